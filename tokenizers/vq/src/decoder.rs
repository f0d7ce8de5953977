//! Decodes ids with the decoder of a model folder.

use std::path::Path;
use std::sync::Arc;

use super::cpu::CpuDecoder;
use super::encoder::Model;
use super::error::VqError;
use super::plan::DecodeExecutor;
use super::tokenizer::{Grid, ImageDecoder, ImageSize};

/// Loads the decoder of a model folder, for images of the size it was trained at or of another.
///
/// It is an error if the model file has an encoder alone.
pub fn load_decoder(folder_or_safetensors: &Path, size: Option<ImageSize>) -> Result<Arc<dyn ImageDecoder>, VqError> {
    let model = Model::read(folder_or_safetensors, size)?;
    let executor = Box::new(CpuDecoder::new(model.decode_plan()?));
    Ok(Arc::new(Decoder {
        size: model.size,
        grid: model.grid,
        codes_per_cell: model.config.architecture.codes_per_cell(),
        codebook_size: model.config.architecture.codebook_size(),
        executor,
    }))
}

#[derive(Debug)]
struct Decoder {
    size: ImageSize,
    grid: Grid,
    codes_per_cell: u32,
    codebook_size: u32,
    executor: Box<dyn DecodeExecutor>,
}

impl ImageDecoder for Decoder {
    fn size(&self) -> ImageSize {
        self.size
    }

    fn grid(&self) -> Grid {
        self.grid
    }

    fn codes_per_cell(&self) -> u32 {
        self.codes_per_cell
    }

    fn codebook_size(&self) -> u32 {
        self.codebook_size
    }

    fn decode(&self, ids: &[&[u32]]) -> Result<Vec<Vec<u8>>, VqError> {
        let expected = usize::from(self.grid.width) * usize::from(self.grid.height) * self.codes_per_cell as usize;
        for (index, ids) in ids.iter().enumerate() {
            let largest = ids.iter().copied().max().unwrap_or(0);
            if ids.len() != expected || largest >= self.codebook_size {
                let codebook_size = self.codebook_size;
                return Err(VqError::Ids { index, found: ids.len(), expected, largest, codebook_size });
            }
        }
        Ok(self.executor.decode(ids))
    }
}
