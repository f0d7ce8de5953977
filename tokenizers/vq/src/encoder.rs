//! Loads a model folder and encodes with it.

use std::path::Path;
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::config::{Config, Family};
use super::cpu::CpuExecutor;
use super::error::VqError;
use super::plan::{Executor, Plan};
use super::taming;
use super::tokenizer::{Grid, ImageTokenizer, Provenance};

/// Loads `config.json` and `model.safetensors` from a folder, or the config beside the safetensors file named.
///
/// Every tensor's shape is checked against the configuration, and every encoder tensor must be accounted for.
pub fn load(folder_or_safetensors: &Path) -> Result<Arc<dyn ImageTokenizer>, VqError> {
    let named = folder_or_safetensors;
    let is_file = named.extension().is_some_and(|extension| extension == "safetensors");
    let model_path = if is_file { named.to_owned() } else { named.join("model.safetensors") };
    let config_path = model_path.with_file_name("config.json");
    let config_bytes = read(&config_path)?;
    let config = Config::parse(&config_path, &config_bytes)?;
    let bytes = read(&model_path)?;
    let plan = read_plan(&config, &model_path, &bytes)?;
    let side = config.grid_side() as u16;
    let executor = Box::new(CpuExecutor::new(plan));
    let provenance = Provenance {
        family: config.family.name().to_owned(),
        executor: executor.name().to_owned(),
        precision: executor.precision().to_owned(),
        model_blake3: blake3::hash(&bytes).to_hex().to_string(),
        config_blake3: blake3::hash(&config_bytes).to_hex().to_string(),
    };
    Ok(Arc::new(Encoder {
        image_size: config.ddconfig.resolution,
        grid: Grid { width: side, height: side },
        codebook_size: config.n_embed,
        provenance,
        executor,
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, VqError> {
    std::fs::read(path).map_err(|source| VqError::Read { path: path.to_owned(), source })
}

pub(super) fn read_plan(config: &Config, path: &Path, bytes: &[u8]) -> Result<Plan, VqError> {
    let mut checkpoint = Checkpoint::parse(path, bytes)?;
    let plan = match config.family {
        Family::Taming => taming::plan(config, &mut checkpoint)?,
    };
    checkpoint.finish(&taming::PREFIXES)?;
    Ok(plan)
}

#[derive(Debug)]
struct Encoder {
    image_size: u32,
    grid: Grid,
    codebook_size: u32,
    provenance: Provenance,
    executor: Box<dyn Executor>,
}

impl ImageTokenizer for Encoder {
    fn image_size(&self) -> u32 {
        self.image_size
    }

    fn grid(&self) -> Grid {
        self.grid
    }

    fn codebook_size(&self) -> u32 {
        self.codebook_size
    }

    fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError> {
        let size = self.image_size;
        let expected = size as usize * size as usize * 3;
        if let Some((index, image)) = images.iter().enumerate().find(|(_, image)| image.len() != expected) {
            return Err(VqError::ImageBytes { index, found: image.len(), expected, size });
        }
        Ok(self.executor.encode(images))
    }
}
