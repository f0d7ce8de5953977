//! Square RGB images to grids of codebook ids.

mod checkpoint;
mod config;
mod cpu;
mod encoder;
mod error;
mod plan;
mod taming;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use encoder::load;
pub use error::VqError;
pub use tokenizer::{Grid, ImageTokenizer, Provenance};
