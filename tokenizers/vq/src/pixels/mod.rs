//! Image files to RGB images of a model's size.

/// The same for each of several values. As a closure it would be compiled without the instructions that are around it.
#[cfg(target_arch = "x86_64")]
macro_rules! each {
    ([$($value:expr),*], $name:ident => $result:expr) => { [$({ let $name = $value; $result }),*] };
}

mod avif;
mod bilinear;
mod decode;
mod jpeg;
mod modes;
mod palette_tiff;
mod phash;
mod picture;
mod plan;
mod png;
mod png_profile;
mod prepare;
mod recipe;
pub mod recipes;
mod resample;
mod svg;

pub use decode::{Header, ImageError, Limits, header};
pub use phash::perceptual_hash;
pub use picture::Size;
pub use png::png;
pub use prepare::{Cropped, Prepared, prepare, prepare_and_hash};
pub use recipe::{Alpha, Crop, Draw, Orientation, Preprocessing, Resize, Rounding, Sampling};
