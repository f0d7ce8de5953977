//! Image files to square RGB images.

mod complete;
mod decode;
mod prepare;

pub use decode::{Header, ImageError, Limits, header};
pub use prepare::{CropAt, Prepared, prepare};
