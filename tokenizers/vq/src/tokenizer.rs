//! What every image tokenizer does and says about itself.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::cost::Cost;
use super::error::VqError;
use super::executor::ExecutorId;
use super::pixels;
use super::preprocessing::Preprocessing;
use super::selftest::Selftest;

/// Turns RGB images of one size into a grid of codebook ids.
///
/// An image's ids never depend on what shares its call, nor on the number of threads.
pub trait ImageTokenizer: Debug + Send + Sync {
    /// What its images and their ids look like.
    fn layout(&self) -> IdLayout;
    /// Columns and rows of the input, in pixels.
    fn size(&self) -> ImageSize {
        self.layout().size
    }
    /// The shorter side of the input, in pixels; the side of the square where it is one.
    fn image_size(&self) -> u32 {
        self.size().width.min(self.size().height)
    }
    /// Columns and rows of the token grid.
    fn grid(&self) -> Grid {
        self.layout().grid
    }
    /// Ids for each place of the grid: 1, but for residual quantisers, whose ids for a place follow each other.
    fn codes_per_cell(&self) -> u32 {
        self.layout().codes_per_cell
    }
    /// Ids of an image.
    fn codes_per_image(&self) -> u32 {
        self.layout().codes_per_image()
    }
    /// Ids are below this.
    fn codebook_size(&self) -> u32 {
        self.layout().codebook_size
    }
    /// How the model's own code makes its input from an image file.
    fn preprocessing(&self) -> Preprocessing;
    /// The same as what `pixels::prepare` follows, for this tokenizer's size.
    fn recipe(&self) -> pixels::Preprocessing {
        self.preprocessing().recipe(self.size())
    }
    /// What an image costs.
    fn cost(&self) -> Cost;
    /// The most bytes of this machine's memory that encoding on so many threads at once holds, beside the model: zero on a
    /// GPU, which has its own, and of a user's ONNX file, of which nobody knows.
    fn working_bytes(&self, threads: usize) -> u64;
    /// What made the ids; serialised beside them.
    fn provenance(&self) -> &Provenance;
    /// One id list per image, in raster order. `images` are RGB, raster, `width · height · 3` bytes each.
    fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError>;
    /// Encodes a few built-in images, and holds what comes out against the executor `cpu`.
    ///
    /// It is an error if other ids differ than those between which rounding decides, or if an image's ids depend on what
    /// shares its call: to be asked at the start of every stage whose executor isn't the reference.
    fn selftest(&self) -> Result<Selftest, VqError>;
}

/// Turns grids of codebook ids into RGB images.
pub trait ImageDecoder: Debug + Send + Sync {
    /// What its ids and the images that they stand for look like.
    fn layout(&self) -> IdLayout;
    /// One RGB image, raster, `width · height · 3` bytes, per id list. Lists are as `encode` gives them.
    fn decode(&self, ids: &[&[u32]]) -> Result<Vec<Vec<u8>>, VqError>;
}

/// What an image and its ids look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdLayout {
    /// Columns and rows of the image, in pixels.
    pub size: ImageSize,
    /// Columns and rows of its ids.
    pub grid: Grid,
    /// Ids for each place of the grid.
    pub codes_per_cell: u32,
    /// Ids are below this.
    pub codebook_size: u32,
}

impl IdLayout {
    /// Ids of an image.
    pub fn codes_per_image(&self) -> u32 {
        u32::from(self.grid.width) * u32::from(self.grid.height) * self.codes_per_cell
    }
}

/// Columns and rows of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl ImageSize {
    /// As wide as high.
    pub const fn square(side: u32) -> Self {
        Self { width: side, height: side }
    }
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
    pub executor: ExecutorId,
    /// BLAKE3 of the model file, in hexadecimal digits; of a model in several files, of the names and bytes of the tensors that
    /// were read.
    pub model_blake3: String,
    /// BLAKE3 of `config.json`, whose resolution changes ids with the same weights, in hexadecimal digits.
    pub config_blake3: String,
    /// Columns and rows of the images, in pixels, which change ids with the same weights.
    pub image_size: ImageSize,
}
