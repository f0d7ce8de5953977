//! Image files to square RGB images, and those to grids of codebook ids.

mod checkpoint;
mod config;
mod cost;
mod cpu;
mod decoder;
mod encoder;
mod error;
mod executor;
mod families;
#[cfg(feature = "onnxruntime")]
mod onnx;
pub mod pixels;
mod plan;
mod preprocessing;
mod quantise;
#[cfg(test)]
mod rule;
mod selftest;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use checkpoint::{Converted, Precision, convert};
pub use cost::Cost;
pub use decoder::load_decoder;
pub use encoder::{load, load_at, load_with};
pub use error::VqError;
pub use executor::{Arithmetic, Device, ExecutorId, ExecutorSettings};
pub use preprocessing::{Preprocessing, Range};
pub use selftest::Selftest;
pub use tokenizer::{Grid, IdLayout, ImageDecoder, ImageSize, ImageTokenizer, Provenance};
