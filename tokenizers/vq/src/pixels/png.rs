//! Writes pixels as a PNG.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::decode::ImageError;
use super::picture::Size;

/// A PNG file of these pixels: RGB, raster, `width · height · 3` bytes. Any other number of bytes is an error.
pub fn png(rgb: &[u8], size: Size) -> Result<Vec<u8>, ImageError> {
    let expected = size.width as usize * size.height as usize * 3;
    if rgb.len() != expected || rgb.is_empty() {
        return Err(ImageError::Corrupt(format!("{} bytes of pixels where {expected} belong", rgb.len())));
    }
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(rgb, size.width, size.height, ExtendedColorType::Rgb8)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_back_and_a_wrong_number_of_them_is_an_error() {
        let (rgb, size) = ([1, 2, 3, 4, 5, 6], Size { width: 2, height: 1 });
        let file = png(&rgb, size).unwrap();
        assert_eq!(image::load_from_memory(&file).unwrap().into_rgb8().into_raw(), rgb);
        assert!(png(&rgb[1..], size).is_err());
        assert!(png(&[], Size { width: 0, height: 0 }).is_err());
    }
}
