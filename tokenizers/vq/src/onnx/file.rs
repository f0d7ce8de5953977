//! A user's own encoder: an ONNX file, and what `config.json` beside it says of what goes in and comes out.

use std::path::{Path, PathBuf};

use half::f16;
use ort::session::{Session, SessionOutputs};
use ort::value::{DynTensor, Outlet, Tensor, TensorElementType};
use pulp::Arch;
use serde::Deserialize;

use super::executor::{Model, OnnxExecutor, batch, numbers, said};
use super::runtime::Runtime;
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::executor::{Arithmetic, ExecutorSettings};
use crate::plan::{Codebook, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::quantise::{self, Quantise};
use crate::tokenizer::{Grid, IdLayout, ImageSize};

/// What `config.json` says beside an ONNX file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnnxFile {
    /// `onnx`.
    #[expect(dead_code, reason = "it may be written like those of families")]
    family: Option<String>,
    /// Columns and rows of its images, in pixels.
    image_size: [u32; 2],
    /// Columns and rows of its ids.
    grid: [u16; 2],
    codebook_size: u32,
    /// Ids for each place of the grid, which follow each other.
    #[serde(default = "one")]
    codes_per_cell: u32,
    /// Where its input has the colours.
    #[serde(default)]
    channels: Channels,
    /// What levels 0 and 255 become; an input of bytes takes the levels themselves.
    #[serde(default = "signed")]
    input_range: [f64; 2],
    /// Taken from each colour's number afterwards,
    #[serde(default)]
    mean: [f64; 3],
    /// which is then divided by this.
    #[serde(default = "ones")]
    deviation: [f64; 3],
    /// The output that is read; not needed where there is one.
    output: Option<String>,
    /// How an output of features becomes ids; an output of ids needs none.
    quantiser: Option<Choice>,
    /// Where an output of features has the numbers of a place.
    #[serde(default)]
    feature_channels: Channels,
    /// The file with the rows that features are compared with.
    codebook: Option<PathBuf>,
    /// The name of its tensor, `[codebook_size, embed_dim]`.
    #[serde(default = "embedding")]
    codebook_tensor: String,
    /// Numbers of a place.
    embed_dim: Option<usize>,
}

/// Whether a place's numbers lie apart from each other, or side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Channels {
    /// `[batch, channels, ...]`.
    #[default]
    First,
    /// `[batch, ..., channels]`.
    Last,
}

/// As [`Quantiser`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Nearest,
    Cosine,
    Product,
    Largest,
    Signs,
    Levels(Vec<u32>),
}

fn one() -> u32 {
    1
}

fn signed() -> [f64; 2] {
    [-1.0, 1.0]
}

fn ones() -> [f64; 3] {
    [1.0; 3]
}

fn embedding() -> String {
    "quantize.embedding.weight".to_owned()
}

/// An ONNX file that has been opened.
pub(crate) struct Opened {
    pub executor: OnnxExecutor,
    /// How its features become ids, if it gives any.
    pub quantiser: Option<Quantiser>,
    /// What of the file's neighbours decides ids too.
    pub codebook_bytes: Vec<u8>,
}

impl OnnxFile {
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, VqError> {
        let refuse = |reason: String| VqError::Config { path: path.to_owned(), reason };
        let file: Self = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        file.check().map_err(refuse)?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        let sides = self.image_size.iter().chain([&self.codebook_size, &self.codes_per_cell]);
        if sides.clone().any(|side| *side == 0) || self.grid.contains(&0) {
            return Err("`image_size`, `grid`, `codebook_size` and `codes_per_cell` are at least 1".to_owned());
        }
        if self.image_size.iter().any(|side| *side > crate::families::LARGEST_SIDE) {
            return Err(format!("`image_size` is at most {}", crate::families::LARGEST_SIDE));
        }
        let [low, high] = self.input_range;
        if low >= high || self.deviation.iter().any(|deviation| *deviation <= 0.0) {
            return Err("`input_range` rises, and `deviation` is above 0".to_owned());
        }
        if self.quantiser.is_some() && self.codes_per_cell != 1 {
            return Err("a `quantiser` gives one id for each place: `codes_per_cell` is 1".to_owned());
        }
        Ok(())
    }

    pub fn size(&self) -> ImageSize {
        let [width, height] = self.image_size;
        ImageSize { width, height }
    }

    pub fn layout(&self) -> IdLayout {
        let [width, height] = self.grid;
        let grid = Grid { width, height };
        IdLayout { size: self.size(), grid, codes_per_cell: self.codes_per_cell, codebook_size: self.codebook_size }
    }

    /// As torchvision does it, which is what most files were exported beside.
    pub fn preprocessing(&self) -> Preprocessing {
        let [low, high] = self.input_range;
        Preprocessing { range: Range { low, high }, ..Preprocessing::TORCHVISION }
    }

    /// Opens the model, whose content is `bytes`.
    pub fn open(&self, path: &Path, bytes: &[u8], settings: &ExecutorSettings) -> Result<Opened, VqError> {
        if settings.precision != Arithmetic::F32 {
            return Err(settings.refused("an ONNX file has its own precision; leave `precision` out"));
        }
        let refuse = |reason: String| VqError::Config { path: path.with_file_name("config.json"), reason };
        let runtime = Runtime::open(settings)?;
        let session = runtime.session(bytes, settings)?;
        let (quantiser, codebook_bytes) = self.quantiser(path)?;
        let (input, fixed) = self.input(&session).map_err(refuse)?;
        let output = self.output(&session).map_err(refuse)?;
        let batch = fixed.unwrap_or_else(|| batch(settings, usize::MAX));
        let (grid, tables) = (self.grid, self.tables());
        let model = FileModel {
            places: usize::from(grid[0]) * usize::from(grid[1]),
            dimension: quantiser.as_ref().map_or(0, Quantiser::dimension),
            quantise: quantiser.clone().map(quantise::of),
            file: self.clone(),
            tables,
            input,
            output,
        };
        let id = runtime.id(settings, "file");
        Ok(Opened { executor: OnnxExecutor::new(id, Box::new(model), batch, session), quantiser, codebook_bytes })
    }

    /// The numbers of each colour's levels.
    fn tables(&self) -> [[f32; 256]; 3] {
        let [low, high] = self.input_range;
        std::array::from_fn(|colour| {
            std::array::from_fn(|level| {
                let number = low + (high - low) * level as f64 / 255.0;
                ((number - self.mean[colour]) / self.deviation[colour]) as f32
            })
        })
    }

    fn quantiser(&self, path: &Path) -> Result<(Option<Quantiser>, Vec<u8>), VqError> {
        let refuse =
            |reason: &str| VqError::Config { path: path.with_file_name("config.json"), reason: reason.to_owned() };
        let Some(choice) = &self.quantiser else { return Ok((None, Vec::new())) };
        let without_rows = match choice {
            Choice::Largest => Some(Quantiser::Largest { count: self.codebook_size }),
            Choice::Signs if self.codebook_size.is_power_of_two() && self.codebook_size > 1 => {
                Some(Quantiser::Signs { bits: self.codebook_size.ilog2() })
            }
            Choice::Signs => return Err(refuse("signs make a `codebook_size` that is a power of 2")),
            Choice::Levels(levels) => {
                let product = levels.iter().try_fold(1_u32, |product, levels| product.checked_mul(*levels));
                if levels.is_empty() || levels.iter().any(|levels| *levels < 2) || product != Some(self.codebook_size) {
                    return Err(refuse("`levels` are at least 2, and their product is `codebook_size`"));
                }
                Some(Quantiser::Levels(levels.clone()))
            }
            Choice::Nearest | Choice::Cosine | Choice::Product => None,
        };
        if let Some(quantiser) = without_rows {
            return Ok((Some(quantiser), Vec::new()));
        }
        let (Some(file), Some(dimension)) = (&self.codebook, self.embed_dim) else {
            return Err(refuse("a `quantiser` with rows needs `codebook`, a file, and `embed_dim`"));
        };
        let codebook_path = path.with_file_name(file);
        let bytes =
            std::fs::read(&codebook_path).map_err(|source| VqError::Read { path: codebook_path.clone(), source })?;
        let mut checkpoint = Checkpoint::parse(&codebook_path, &bytes)?;
        let count = self.codebook_size as usize;
        let vectors = checkpoint.take(self.codebook_tensor.clone(), &[count, dimension])?;
        checkpoint.finish(&[])?;
        let book = Codebook { count, dimension, vectors };
        let quantiser = match choice {
            Choice::Cosine => Quantiser::Cosine(book),
            Choice::Product => Quantiser::Product(book),
            _ => Quantiser::Nearest(book),
        };
        Ok((Some(quantiser), bytes))
    }

    /// The model's input, and how many images it takes if that can't be chosen.
    fn input(&self, session: &Session) -> Result<(Named, Option<usize>), String> {
        let [input] = session.inputs() else {
            return Err(format!("the model has {} inputs, not one for images", session.inputs().len()));
        };
        let [width, height] = self.image_size.map(i64::from);
        let wanted = match self.channels {
            Channels::First => [-1, 3, height, width],
            Channels::Last => [-1, height, width, 3],
        };
        let named = Named::of(input)?;
        let shape = input.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
        let fits = |(found, wanted): (&i64, &i64)| *wanted == -1 || *found == -1 || found == wanted;
        if shape.len() != 4 || !shape.iter().zip(&wanted).all(fits) {
            return Err(format!("the model's input is {shape:?}, but `image_size` and `channels` make it {wanted:?}"));
        }
        if !matches!(named.element, TensorElementType::Float32 | TensorElementType::Float16 | TensorElementType::Uint8)
        {
            return Err(format!("the model's input is of {}, not of numbers that images become", named.element));
        }
        Ok((named, usize::try_from(shape[0]).ok().filter(|batch| *batch > 0)))
    }

    fn output(&self, session: &Session) -> Result<Named, String> {
        let names = || session.outputs().iter().map(Outlet::name).collect::<Vec<_>>().join(", ");
        let found = match (&self.output, session.outputs()) {
            (None, [only]) => only,
            (None, _) => return Err(format!("the model has the outputs {}: say by `output` which is read", names())),
            (Some(name), outputs) => outputs
                .iter()
                .find(|output| output.name() == name)
                .ok_or_else(|| format!("the model has the outputs {}, but no `{name}`", names()))?,
        };
        let named = Named::of(found)?;
        let of_ids = matches!(named.element, TensorElementType::Int32 | TensorElementType::Int64);
        let of_features = matches!(named.element, TensorElementType::Float32 | TensorElementType::Float16);
        match &self.quantiser {
            None if !of_ids => Err(format!("`{}` is of {}: features need a `quantiser`", named.name, named.element)),
            Some(_) if !of_features => Err(format!("`{}` is of {}, not of features", named.name, named.element)),
            _ => Ok(named),
        }
    }
}

/// An input or an output.
#[derive(Debug)]
struct Named {
    name: String,
    element: TensorElementType,
}

impl Named {
    fn of(outlet: &Outlet) -> Result<Self, String> {
        let element = outlet.dtype().tensor_type();
        let element = element.ok_or_else(|| format!("`{}` is no tensor", outlet.name()))?;
        Ok(Self { name: outlet.name().to_owned(), element })
    }
}

/// A user's model with what is known of it.
#[derive(Debug)]
struct FileModel {
    file: OnnxFile,
    places: usize,
    /// Numbers of a place, where there are features.
    dimension: usize,
    quantise: Option<Box<dyn Quantise>>,
    tables: [[f32; 256]; 3],
    input: Named,
    output: Named,
}

impl FileModel {
    /// Levels in the order of the input, each with its colour.
    fn levels<T: Clone>(&self, images: &[&[u8]], batch: usize, empty: T, of: impl Fn(usize, u8) -> T) -> Vec<T> {
        let [width, height] = self.file.image_size.map(|side| side as usize);
        let mut numbers = Vec::with_capacity(batch * width * height * 3);
        for image in images {
            match self.file.channels {
                Channels::Last => numbers.extend(image.iter().enumerate().map(|(i, level)| of(i % 3, *level))),
                Channels::First => (0..3).for_each(|colour| {
                    numbers.extend(image.iter().skip(colour).step_by(3).map(|level| of(colour, *level)));
                }),
            }
        }
        numbers.resize(batch * width * height * 3, empty);
        numbers
    }

    /// The numbers of the output, of whatever width.
    fn output_numbers(&self, outputs: &SessionOutputs) -> Result<Vec<f32>, String> {
        match self.output.element {
            TensorElementType::Float16 => {
                Ok(numbers::<f16>(outputs, &self.output.name)?.iter().map(|x| x.to_f32()).collect())
            }
            _ => Ok(numbers::<f32>(outputs, &self.output.name)?.to_vec()),
        }
    }

    fn output_ids(&self, outputs: &SessionOutputs) -> Result<Vec<i64>, String> {
        match self.output.element {
            TensorElementType::Int32 => {
                Ok(numbers::<i32>(outputs, &self.output.name)?.iter().map(|id| i64::from(*id)).collect())
            }
            _ => Ok(numbers::<i64>(outputs, &self.output.name)?.to_vec()),
        }
    }

    /// The part of each image, of which there must be so many numbers.
    fn each<'n, T>(
        &self,
        all: &'n [T],
        of_image: usize,
        batch: usize,
    ) -> Result<std::slice::ChunksExact<'n, T>, String> {
        if all.len() == of_image * batch {
            return Ok(all.chunks_exact(of_image));
        }
        let name = &self.output.name;
        Err(format!(
            "`{name}` has {} numbers for {batch} images, not {} as config.json says",
            all.len(),
            of_image * batch
        ))
    }
}

impl Model for FileModel {
    fn input_name(&self) -> &str {
        &self.input.name
    }

    fn input(&self, images: &[&[u8]], batch: usize) -> Result<DynTensor, String> {
        let [width, height] = self.file.image_size.map(|side| side as usize);
        let shape = match self.file.channels {
            Channels::First => [batch, 3, height, width],
            Channels::Last => [batch, height, width, 3],
        };
        let number = |colour: usize, level: u8| self.tables[colour][usize::from(level)];
        let tensor = match self.input.element {
            TensorElementType::Uint8 => {
                Tensor::from_array((shape, self.levels(images, batch, 0, |_, level| level))).map_err(said)?.upcast()
            }
            TensorElementType::Float16 => {
                let half = |colour: usize, level: u8| f16::from_f32(number(colour, level));
                Tensor::from_array((shape, self.levels(images, batch, f16::ZERO, half))).map_err(said)?.upcast()
            }
            _ => Tensor::from_array((shape, self.levels(images, batch, 0.0, number))).map_err(said)?.upcast(),
        };
        Ok(tensor)
    }

    fn id_outputs(&self) -> Vec<&str> {
        vec![&self.output.name]
    }

    fn ids(&self, outputs: &SessionOutputs, count: usize, batch: usize) -> Result<Vec<Vec<u32>>, String> {
        if let Some(quantise) = &self.quantise {
            let of_image = |features: Vec<f32>| {
                let mut ids = Vec::with_capacity(self.places);
                quantise.ids(Arch::new(), &features, &mut Vec::new(), &mut ids);
                ids
            };
            return Ok(self.features(outputs, count, batch)?.into_iter().map(of_image).collect());
        }
        let all = self.output_ids(outputs)?;
        let below = |id: &i64| u32::try_from(*id).ok().filter(|id| *id < self.file.codebook_size);
        let of_image = |ids: &[i64]| {
            let known: Option<Vec<u32>> = ids.iter().map(below).collect();
            known.ok_or_else(|| format!("`{}` has ids that aren't below `codebook_size`", self.output.name))
        };
        let ids_of_image = self.places * self.file.codes_per_cell as usize;
        self.each(&all, ids_of_image, batch)?.take(count).map(of_image).collect()
    }

    fn feature_output(&self) -> Option<&str> {
        self.quantise.as_ref().map(|_| self.output.name.as_str())
    }

    fn features(&self, outputs: &SessionOutputs, count: usize, batch: usize) -> Result<Vec<Vec<f32>>, String> {
        let all = self.output_numbers(outputs)?;
        let of_image = |numbers: &[f32]| {
            if numbers.iter().any(|number| !number.is_finite()) {
                return Err(format!("`{}` has numbers that aren't finite", self.output.name));
            }
            let place_first = |i: usize| numbers[i % self.dimension * self.places + i / self.dimension];
            Ok(match self.file.feature_channels {
                Channels::Last => numbers.to_vec(),
                Channels::First => (0..numbers.len()).map(place_first).collect(),
            })
        };
        self.each(&all, self.places * self.dimension, batch)?.take(count).map(of_image).collect()
    }
}
