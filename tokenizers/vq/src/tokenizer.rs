//! What every image tokenizer does and says about itself.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::error::VqError;

/// Turns square RGB images into a grid of codebook ids.
///
/// An image's ids never depend on what shares its call, nor on the number of threads.
pub trait ImageTokenizer: Debug + Send + Sync {
    /// Side of the square input, in pixels.
    fn image_size(&self) -> u32;
    /// Columns and rows of the token grid.
    fn grid(&self) -> Grid;
    /// Ids are below this.
    fn codebook_size(&self) -> u32;
    /// What made the ids; serialised beside them.
    fn provenance(&self) -> &Provenance;
    /// One id list per image, in raster order. `images` are RGB, raster, `image_size² · 3` bytes each.
    fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError>;
}

/// Columns and rows of an image's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// What made an image's ids: with the same one, the same image has the same ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The architecture, as `config.json` names it.
    pub family: String,
    /// What ran it.
    pub executor: String,
    /// The number format it computed in.
    pub precision: String,
    /// BLAKE3 of `model.safetensors`, in hexadecimal digits.
    pub model_blake3: String,
    /// BLAKE3 of `config.json`, whose resolution changes ids with the same weights, in hexadecimal digits.
    pub config_blake3: String,
}
