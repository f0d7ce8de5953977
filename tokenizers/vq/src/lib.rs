//! Image files to square RGB images, and those to grids of codebook ids.

mod checkpoint;
mod config;
mod cpu;
mod encoder;
mod error;
pub mod pixels;
mod plan;
mod taming;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use encoder::load;
pub use error::VqError;
pub use tokenizer::{Grid, ImageTokenizer, Provenance};
