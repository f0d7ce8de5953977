//! Decodes ids with the decoder of a model folder.

use std::path::Path;
use std::sync::Arc;

use super::cpu::CpuDecoder;
use super::encoder::Model;
use super::error::VqError;
use super::plan::DecodeExecutor;
use super::tokenizer::{IdLayout, ImageDecoder, ImageSize};

/// Loads the decoder of a model folder, for images of the size it was trained at or of another.
///
/// It is an error if the model file has an encoder alone.
pub fn load_decoder(folder_or_safetensors: &Path, size: Option<ImageSize>) -> Result<Arc<dyn ImageDecoder>, VqError> {
    let model = Model::read(folder_or_safetensors, size)?;
    let executor = Box::new(CpuDecoder::new(model.decode_plan()?));
    Ok(Arc::new(Decoder { layout: model.layout(), executor }))
}

#[derive(Debug)]
struct Decoder {
    layout: IdLayout,
    executor: Box<dyn DecodeExecutor>,
}

impl ImageDecoder for Decoder {
    fn layout(&self) -> IdLayout {
        self.layout
    }

    fn decode(&self, ids: &[&[u32]]) -> Result<Vec<Vec<u8>>, VqError> {
        let (expected, codebook_size) = (self.layout.codes_per_image() as usize, self.layout.codebook_size);
        for (index, ids) in ids.iter().enumerate() {
            let largest = ids.iter().copied().max().unwrap_or(0);
            if ids.len() != expected || largest >= codebook_size {
                return Err(VqError::Ids { index, found: ids.len(), expected, largest, codebook_size });
            }
        }
        Ok(self.executor.decode(ids))
    }
}
