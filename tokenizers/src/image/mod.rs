//! Image files to square RGB images.

mod complete;
mod decode;
mod prepare;

pub use decode::{ImageError, Limits};
pub use prepare::{CropAt, Prepared, prepare};
