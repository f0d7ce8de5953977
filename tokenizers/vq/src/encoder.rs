//! Loads a model folder and encodes with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::checkpoint::{Checkpoint, digest, enough_of};
use super::config::Config;
use super::cost::Cost;
use super::error::VqError;
use super::executor::{Arithmetic, Device, Executor, ExecutorSettings};
#[cfg(feature = "onnxruntime")]
use super::onnx::OnnxFile;
use super::plan::{DecodePlan, Plan, Quantiser};
use super::preprocessing::Preprocessing;
use super::quantise;
use super::selftest::{Judge, Reference, Selftest, selftest};
use super::tokenizer::{Grid, IdLayout, ImageSize, ImageTokenizer, Provenance};

/// Names under which model files are published, the first that is there being read.
const MODEL_FILES: [&str; 5] = [
    "model.safetensors",
    "diffusion_pytorch_model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.onnx",
];

/// What the names of model files end with, that they are told from folders by.
const MODEL_EXTENSIONS: [&str; 8] = ["safetensors", "json", "ckpt", "pt", "pth", "bin", "pkl", "onnx"];

/// Loads `config.json` and the safetensors file of a folder, or the file named, safetensors, a PyTorch checkpoint or an
/// ONNX encoder, and the `config.json` beside it. Of a model that is split over several files, the index stands for them; of
/// a folder of diffusers' with several models, the one that is a tokenizer is taken.
///
/// Every tensor's shape is checked against the configuration, and every encoder tensor must be accounted for.
pub fn load(folder_or_safetensors: &Path) -> Result<Arc<dyn ImageTokenizer>, VqError> {
    load_at(folder_or_safetensors, None)
}

/// As `load`, for images of another size than the model was trained at.
///
/// Convolutional families take every size whose sides are multiples of what a place of their grid covers.
pub fn load_at(folder_or_safetensors: &Path, size: Option<ImageSize>) -> Result<Arc<dyn ImageTokenizer>, VqError> {
    load_with(folder_or_safetensors, size, &ExecutorSettings::default())
}

/// As `load_at`, with another executor than the CPU's.
///
/// Another executor rounds otherwise: before its ids are kept, `ImageTokenizer::selftest` says whether that is all.
pub fn load_with(
    folder_or_file: &Path,
    size: Option<ImageSize>,
    executor: &ExecutorSettings,
) -> Result<Arc<dyn ImageTokenizer>, VqError> {
    let source = Source { named: folder_or_file.to_owned(), size };
    Ok(Arc::new(source.open(executor)?.encoder))
}

/// What an encoder is made of, once more if need be.
#[derive(Debug, Clone)]
struct Source {
    named: PathBuf,
    size: Option<ImageSize>,
}

/// An encoder, and how its features become ids where it has any.
struct Opened {
    encoder: Encoder,
    quantiser: Option<Quantiser>,
}

impl Source {
    fn open(self, settings: &ExecutorSettings) -> Result<Opened, VqError> {
        let path = model_file(&self.named);
        if is_onnx(&path) {
            return self.open_onnx(&path, settings);
        }
        let model = Model::read(&self.named, self.size)?;
        let (plan, model_blake3) = model.plan()?;
        let (cost, quantiser) = (Cost::of(&plan), plan.quantiser.clone());
        let executor = (settings.registered()?.new)(plan, settings)?;
        let provenance = Provenance {
            family: model.config.family.to_owned(),
            executor: executor.id().clone(),
            model_blake3,
            config_blake3: blake3::hash(&model.config_bytes).to_hex().to_string(),
            image_size: model.size,
        };
        let encoder = Encoder {
            layout: model.layout(),
            preprocessing: model.preprocessing(),
            cost,
            provenance,
            executor,
            settings: settings.clone(),
            source: self,
        };
        Ok(Opened { encoder, quantiser: Some(quantiser) })
    }

    #[cfg(feature = "onnxruntime")]
    fn open_onnx(self, path: &Path, settings: &ExecutorSettings) -> Result<Opened, VqError> {
        if settings.registered()?.name != "onnxruntime" {
            return Err(settings.refused(format!("{} needs the executor `onnxruntime`", path.display())));
        }
        let config_path = path.with_file_name("config.json");
        let (config_bytes, mut bytes) = (read(&config_path)?, read(path)?);
        let file = OnnxFile::parse(&config_path, &config_bytes)?;
        if let Some(size) = self.size.filter(|size| *size != file.size()) {
            let ImageSize { width, height } = size;
            let reason = format!("an ONNX file has one size, `image_size`, which isn't {width} x {height}");
            return Err(VqError::Config { path: config_path, reason });
        }
        let opened = file.open(path, &bytes, settings)?;
        let executor: Box<dyn Executor> = Box::new(opened.executor);
        bytes.extend(opened.codebook_bytes);
        let provenance = Provenance {
            family: "onnx".to_owned(),
            executor: executor.id().clone(),
            model_blake3: blake3::hash(&bytes).to_hex().to_string(),
            config_blake3: blake3::hash(&config_bytes).to_hex().to_string(),
            image_size: file.size(),
        };
        let encoder = Encoder {
            layout: file.layout(),
            preprocessing: file.preprocessing(),
            // What a file computes is its own affair.
            cost: Cost::default(),
            provenance,
            executor,
            settings: settings.clone(),
            source: self,
        };
        Ok(Opened { encoder, quantiser: opened.quantiser })
    }

    #[cfg(not(feature = "onnxruntime"))]
    fn open_onnx(self, path: &Path, settings: &ExecutorSettings) -> Result<Opened, VqError> {
        Err(settings.refused(format!("{} needs the executor `onnxruntime`, which this build lacks", path.display())))
    }
}

/// A model folder's files.
pub(super) struct Model {
    pub config: Config,
    config_bytes: Vec<u8>,
    path: PathBuf,
    /// As many of the file's as tell what it is.
    bytes: Vec<u8>,
    pub size: ImageSize,
    pub grid: Grid,
}

impl Model {
    pub fn read(folder_or_safetensors: &Path, size: Option<ImageSize>) -> Result<Self, VqError> {
        let path = model_file(folder_or_safetensors);
        if is_onnx(&path) {
            return Err(VqError::NoDecoder { path });
        }
        let config_path = path.with_file_name("config.json");
        let config_bytes = read(&config_path)?;
        let config = Config::parse(&config_path, &config_bytes)?;
        let size = size.unwrap_or(config.architecture.native_size());
        let grid = config.architecture.grid(size);
        let grid = grid.map_err(|reason| VqError::Config { path: config_path, reason })?;
        let bytes = enough_of(&path)?;
        Ok(Self { config, config_bytes, path, bytes, size, grid })
    }

    pub fn layout(&self) -> IdLayout {
        IdLayout {
            size: self.size,
            grid: self.grid,
            codes_per_cell: self.config.architecture.codes_per_cell(),
            codebook_size: self.config.architecture.codebook_size(),
        }
    }

    pub fn preprocessing(&self) -> Preprocessing {
        let preprocessing = self.config.architecture.preprocessing();
        Preprocessing { range: self.config.input_range.unwrap_or(preprocessing.range), ..preprocessing }
    }

    /// And the digest of what it was made of.
    fn plan(&self) -> Result<(Plan, String), VqError> {
        let (plan, of_part) = read_plan_and_digest(&self.config, self.size, &self.path, &self.bytes)?;
        let digest = of_part.map_or_else(|| digest(&self.path, &self.bytes), Ok)?;
        Ok((plan, digest))
    }

    pub fn decode_plan(&self) -> Result<DecodePlan, VqError> {
        read_decode_plan(&self.config, self.grid, &self.path, &self.bytes)
    }
}

fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "onnx")
}

fn model_file(named: &Path) -> PathBuf {
    // A file of a folder may be named itself, which a PyTorch checkpoint has to be: trainers leave many in one folder.
    if named.extension().is_some_and(|extension| MODEL_EXTENSIONS.iter().any(|known| extension == *known)) {
        return named.to_owned();
    }
    let named = &tokenizer_of_pipeline(named).unwrap_or_else(|| named.to_owned());
    let [first, ..] = MODEL_FILES;
    MODEL_FILES.map(|name| named.join(name)).into_iter().find(|path| path.exists()).unwrap_or_else(|| named.join(first))
}

/// The folder of the `VQModel` among the models of a diffusers pipeline, which `model_index.json` lists by their folders.
fn tokenizer_of_pipeline(folder: &Path) -> Option<PathBuf> {
    let listed: serde_json::Map<String, Value> =
        serde_json::from_slice(&std::fs::read(folder.join("model_index.json")).ok()?).ok()?;
    let (name, _) = listed.iter().find(|(_, library_and_class)| library_and_class[1] == "VQModel")?;
    Some(folder.join(name))
}

fn read(path: &Path) -> Result<Vec<u8>, VqError> {
    std::fs::read(path).map_err(|source| VqError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
pub(super) fn read_plan(config: &Config, size: ImageSize, path: &Path, bytes: &[u8]) -> Result<Plan, VqError> {
    read_plan_and_digest(config, size, path, bytes).map(|(plan, _)| plan)
}

/// The digest only where the file is more than the plan is made of.
fn read_plan_and_digest(
    config: &Config,
    size: ImageSize,
    path: &Path,
    bytes: &[u8],
) -> Result<(Plan, Option<String>), VqError> {
    let mut checkpoint = Checkpoint::parse(path, bytes)?;
    let taken = config.architecture.encoder(size, &mut checkpoint)?;
    let digest = checkpoint.digest_of_part();
    checkpoint.finish(&taken.prefixes)?;
    Ok((Plan { input: config.input_range.unwrap_or(taken.plan.input), ..taken.plan }, digest))
}

pub(super) fn read_decode_plan(config: &Config, grid: Grid, path: &Path, bytes: &[u8]) -> Result<DecodePlan, VqError> {
    let mut checkpoint = Checkpoint::parse(path, bytes)?;
    if !checkpoint.names().any(|name| name.contains("decoder")) {
        return Err(VqError::NoDecoder { path: path.to_owned() });
    }
    let taken = config.architecture.decoder(grid, &mut checkpoint)?;
    checkpoint.finish(&taken.prefixes)?;
    Ok(taken.plan)
}

#[derive(Debug)]
struct Encoder {
    layout: IdLayout,
    preprocessing: Preprocessing,
    cost: Cost,
    provenance: Provenance,
    executor: Box<dyn Executor>,
    settings: ExecutorSettings,
    source: Source,
}

impl Encoder {
    /// What this encoder is held against: the executor `cpu`, or for an ONNX file ONNX Runtime on the processor.
    fn reference(&self) -> Result<Opened, VqError> {
        let settings = match self.provenance.family.as_str() {
            "onnx" => {
                let (device, precision) = (Device::Cpu, Arithmetic::F32);
                ExecutorSettings { device, precision, batch: None, ..self.settings.clone() }
            }
            _ => ExecutorSettings::default(),
        };
        let reference = self.source.clone().open(&settings)?;
        let same = |of: &Encoder| (of.provenance.model_blake3.clone(), of.provenance.config_blake3.clone());
        if same(&reference.encoder) != same(self) {
            return Err(VqError::Config {
                path: self.source.named.clone(),
                reason: "the model has changed since it was loaded".to_owned(),
            });
        }
        Ok(reference)
    }
}

impl ImageTokenizer for Encoder {
    fn layout(&self) -> IdLayout {
        self.layout
    }

    fn preprocessing(&self) -> Preprocessing {
        self.preprocessing
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn working_bytes(&self, threads: usize) -> u64 {
        self.executor.working_bytes(threads)
    }

    fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError> {
        let size = self.layout.size;
        let expected = size.width as usize * size.height as usize * 3;
        if let Some((index, image)) = images.iter().enumerate().find(|(_, image)| image.len() != expected) {
            return Err(VqError::ImageBytes { index, found: image.len(), expected, size });
        }
        self.executor.encode(images)
    }

    fn selftest(&self) -> Result<Selftest, VqError> {
        let reference = self.reference()?;
        let judge = reference.quantiser.map(|quantiser| Judge {
            dimension: quantiser.dimension(),
            depth: quantiser.depth(),
            quantise: quantise::of(quantiser),
        });
        let reference = Reference { executor: reference.encoder.executor, judge };
        selftest(self.executor.as_ref(), &reference, self.layout.size, &self.recipe())
    }
}
