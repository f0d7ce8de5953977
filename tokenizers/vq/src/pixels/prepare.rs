//! Resizes an image's short side and cuts a square out of it.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use super::decode::{ImageError, Limits, decode};

/// Where the square is cut out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CropAt {
    /// In the middle.
    Center,
    /// At a place drawn by the caller.
    Random {
        /// From 0 (left) to below 1 (right).
        x: f64,
        /// From 0 (top) to below 1 (bottom).
        y: f64,
    },
}

/// A square image and the size of the image it was cut out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// RGB, raster order, `size² · 3` bytes.
    pub rgb: Vec<u8>,
    /// Of the image as it was found, in pixels.
    pub width: u32,
    /// Of the image as it was found, in pixels.
    pub height: u32,
}

/// Decodes JPEG, PNG, GIF (first frame), WebP, BMP or TIFF onto white, resizes the short side to `size` pixels, keeping
/// the aspect, and cuts out a square.
///
/// The filter is bicubic with a = -0.5 and widens with the scale, as Pillow's `BICUBIC` does: what most VQ tokenizers
/// were trained behind.
pub fn prepare(bytes: &[u8], size: u32, crop: CropAt, limits: &Limits) -> Result<Prepared, ImageError> {
    let decoded = decode(bytes, limits)?;
    let (width, height) = decoded.dimensions();
    if size == 0 {
        return Err(ImageError::Empty);
    }
    let rgb = resize_square(&decoded, size, crop).map_err(ImageError::Corrupt)?;
    Ok(Prepared { rgb, width, height })
}

/// The same pixels as resizing all of the image and then cutting, without a buffer for what is cut away: the filter
/// still sees the image's pixels on both sides of the cut.
fn resize_square(decoded: &RgbImage, size: u32, crop: CropAt) -> Result<Vec<u8>, String> {
    let (width, height) = decoded.dimensions();
    let short = width.min(height);
    let (at_x, at_y) = match crop {
        CropAt::Center => (None, None),
        CropAt::Random { x, y } => (Some(x), Some(y)),
    };
    let (left, crop_width) = cut(width, short, size, at_x);
    let (top, crop_height) = cut(height, short, size, at_y);
    let source = ImageRef::new(width, height, decoded.as_raw(), PixelType::U8x3).map_err(|error| error.to_string())?;
    let mut square = Image::new(size, size, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).crop(
        left,
        top,
        crop_width,
        crop_height,
    );
    Resizer::new().resize(&source, &mut square, &options).map_err(|error| error.to_string())?;
    Ok(square.into_vec())
}

/// Where the square starts along one side and how long it is there, in pixels of the original.
fn cut(side: u32, short: u32, size: u32, at: Option<f64>) -> (f64, f64) {
    let resized = (f64::from(side) * f64::from(size) / f64::from(short)).round().max(f64::from(size));
    let spare = resized - f64::from(size);
    let offset = match at {
        None => (spare / 2.0).floor(),
        Some(at) => (at.clamp(0.0, 1.0) * (spare + 1.0)).floor().min(spare),
    };
    let scale = f64::from(side) / resized;
    let length = f64::from(size) * scale;
    ((offset * scale).min(f64::from(side) - length).max(0.0), length)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

    use super::super::decode::{Header, header};
    use super::*;

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).expect("encodes");
        bytes.into_inner()
    }

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 3) as u8, (y * 5) as u8, (x * 7 + y * 11) as u8]))
    }

    fn reason(bytes: &[u8], limits: Limits) -> &'static str {
        prepare(bytes, 8, CropAt::Center, &limits).expect_err("refused").reason()
    }

    #[test]
    fn what_is_transparent_shows_white() {
        let pixels = [[0, 0, 0, 0], [10, 20, 30, 255], [0, 0, 0, 51], [255, 0, 0, 0]];
        let image = RgbaImage::from_fn(2, 2, |x, y| Rgba(pixels[(y * 2 + x) as usize]));
        let prepared = prepare(&encoded(image, ImageFormat::Png), 2, CropAt::Center, &Limits::default());
        assert_eq!(
            prepared.expect("decodes").rgb,
            [[255, 255, 255], [10, 20, 30], [204, 204, 204], [255, 255, 255]].concat()
        );
    }

    #[test]
    fn an_image_of_the_right_size_keeps_its_pixels() {
        let image = gradient(8, 8);
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
            let prepared = prepare(&encoded(image.clone(), format), 8, CropAt::Center, &Limits::default());
            assert_eq!(&prepared.expect("decodes").rgb, image.as_raw(), "{format:?}");
        }
    }

    #[test]
    fn the_cut_has_the_pixels_of_the_whole_image_resized() {
        let image = gradient(90, 40);
        let mut whole = Image::new(45, 20, PixelType::U8x3);
        let source = ImageRef::new(90, 40, image.as_raw(), PixelType::U8x3).expect("fits");
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
        Resizer::new().resize(&source, &mut whole, &options).expect("resizes");
        for (crop, left) in [
            (CropAt::Center, 12),
            (CropAt::Random { x: 0.0, y: 0.5 }, 0),
            (CropAt::Random { x: 0.5, y: 0.0 }, 13),
            (CropAt::Random { x: 0.999, y: 0.0 }, 25),
        ] {
            let rows = whole.buffer().chunks_exact(45 * 3);
            let expected: Vec<u8> = rows.flat_map(|row| row[left * 3..(left + 20) * 3].to_vec()).collect();
            assert_eq!(resize_square(&image, 20, crop).expect("resizes"), expected, "{crop:?}");
        }
    }

    #[test]
    fn the_original_size_is_kept_beside_the_pixels() {
        let bytes = encoded(gradient(30, 20), ImageFormat::Png);
        let prepared = prepare(&bytes, 8, CropAt::Center, &Limits::default()).expect("decodes");
        assert_eq!((prepared.width, prepared.height, prepared.rgb.len()), (30, 20, 192));
    }

    #[test]
    fn a_truncated_file_is_corrupt_in_every_format() {
        for format in [
            ImageFormat::Jpeg,
            ImageFormat::Png,
            ImageFormat::Gif,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
        ] {
            let bytes = encoded(gradient(40, 40), format);
            assert!(prepare(&bytes, 8, CropAt::Center, &Limits::default()).is_ok(), "{format:?}");
            let half = &bytes[..bytes.len() / 2];
            assert_eq!(reason(half, Limits::default()), "image_corrupt", "{format:?}");
        }
    }

    #[test]
    fn a_header_is_read_in_every_format() {
        for (format, name) in [
            (ImageFormat::Jpeg, "jpeg"),
            (ImageFormat::Png, "png"),
            (ImageFormat::Gif, "gif"),
            (ImageFormat::WebP, "webp"),
            (ImageFormat::Bmp, "bmp"),
            (ImageFormat::Tiff, "tiff"),
        ] {
            let bytes = encoded(gradient(40, 30), format);
            assert_eq!(header(&bytes).expect("reads"), Header { format: name, width: 40, height: 30 });
        }
        assert_eq!(header(b"").expect_err("refused").reason(), "image_empty");
    }

    #[test]
    fn limits_hold_before_pixels_are_decoded() {
        let mut bytes = encoded(gradient(40, 40), ImageFormat::Bmp);
        bytes[18..22].copy_from_slice(&50_000_u32.to_le_bytes());
        bytes[22..26].copy_from_slice(&50_000_u32.to_le_bytes());
        assert_eq!(reason(&bytes, Limits::default()), "image_too_large");
        let mut gif = encoded(gradient(40, 40), ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[0x50, 0xC3, 0x50, 0xC3]);
        assert_eq!(reason(&gif, Limits::default()), "image_too_large");
        let few_bytes = Limits { max_bytes: 100, ..Limits::default() };
        assert_eq!(reason(&encoded(gradient(40, 40), ImageFormat::Png), few_bytes), "image_too_large");
    }

    #[test]
    fn what_is_no_image_is_told_apart() {
        assert_eq!(reason(b"", Limits::default()), "image_empty");
        assert_eq!(reason(b"<s", Limits::default()), "image_unsupported_format");
        assert_eq!(reason(b"<svg xmlns='http://www.w3.org/2000/svg'/>", Limits::default()), "image_unsupported_format");
    }
}
