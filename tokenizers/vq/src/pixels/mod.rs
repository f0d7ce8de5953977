//! Image files to RGB images of a model's size.

mod bilinear;
mod decode;
mod jpeg;
mod modes;
mod phash;
mod picture;
mod plan;
mod png;
mod prepare;
mod recipe;
pub mod recipes;
mod resample;

pub use decode::{Header, ImageError, Limits, header};
pub use phash::perceptual_hash;
pub use picture::Size;
pub use png::png;
pub use prepare::{Cropped, Prepared, prepare, prepare_and_hash};
pub use recipe::{Alpha, Crop, Draw, Orientation, Preprocessing, Resize, Rounding, Sampling};
