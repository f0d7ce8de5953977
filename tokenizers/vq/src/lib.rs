//! Image files to square RGB images, and those to grids of codebook ids.

mod checkpoint;
mod config;
mod cost;
mod cpu;
mod decoder;
mod encoder;
mod error;
mod families;
pub mod pixels;
mod plan;
mod preprocessing;
mod quantise;
#[cfg(test)]
mod rule;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use checkpoint::{Converted, Precision, convert};
pub use cost::Cost;
pub use decoder::load_decoder;
pub use encoder::{load, load_at};
pub use error::VqError;
pub use preprocessing::{Preprocessing, Range};
pub use tokenizer::{Grid, ImageDecoder, ImageSize, ImageTokenizer, Provenance};
