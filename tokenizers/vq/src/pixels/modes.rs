//! Turns every kind of pixel into RGB as Pillow's `convert` does.

use image::DynamicImage;

use super::picture::{Picture, Size};
use super::recipe::Alpha;

pub(super) fn to_rgb(image: DynamicImage, alpha: Alpha) -> Picture {
    let size = Size { width: image.width(), height: image.height() };
    let rgb = match image {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageLuma8(image) => image.into_raw().into_iter().flat_map(|level| [level; 3]).collect(),
        DynamicImage::ImageLuma16(image) => {
            image.into_raw().into_iter().flat_map(|level| [clipped(level); 3]).collect()
        }
        DynamicImage::ImageRgb16(image) => image.into_raw().into_iter().map(high_byte).collect(),
        DynamicImage::ImageRgba16(image) => {
            let bytes: Vec<u8> = image.into_raw().into_iter().map(high_byte).collect();
            without_alpha(bytes.as_chunks().0, alpha)
        }
        DynamicImage::ImageLumaA16(image) => {
            let bytes: Vec<u8> = image.into_raw().into_iter().map(high_byte).collect();
            let pixels: Vec<[u8; 4]> = bytes.as_chunks().0.iter().map(|&[level, a]| [level, level, level, a]).collect();
            without_alpha(&pixels, alpha)
        }
        other => without_alpha(other.into_rgba8().into_raw().as_chunks().0, alpha),
    };
    Picture { size, rgb }
}

/// Pillow takes the upper eight of sixteen bits where there are colours or alpha ...
fn high_byte(level: u16) -> u8 {
    (level >> 8) as u8
}

/// ... but for grey alone it keeps levels as they are, so that all above 255 are white.
fn clipped(level: u16) -> u8 {
    level.min(255) as u8
}

fn without_alpha(pixels: &[[u8; 4]], alpha: Alpha) -> Vec<u8> {
    let pixels = pixels.iter();
    match alpha {
        Alpha::Dropped => pixels.flat_map(|&[red, green, blue, _]| [red, green, blue]).collect(),
        Alpha::OnWhite => {
            pixels.flat_map(|&[red, green, blue, a]| [red, green, blue].map(|level| on_white(level, a))).collect()
        }
    }
}

/// With the rounding errors of the reference, which computes with 64-bit floats and cuts off.
fn on_white(level: u8, alpha: u8) -> u8 {
    let alpha = f64::from(alpha) / 255.0;
    ((1.0 - alpha) * 255.0 + alpha * f64::from(level)) as u8
}
