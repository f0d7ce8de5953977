use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use super::super::decode::{Header, header};
use super::super::recipe::{Crop, Rounding};
use super::super::recipes;
use super::*;

const MIDDLE: Draw = Draw { x: 0.5, y: 0.5 };

fn recipe(size: u32) -> Preprocessing {
    recipes::cm3(size, Crop::Center { size: None, rounding: Rounding::Down })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

fn gradient(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 3) as u8, (y * 5) as u8, (x * 7 + y * 11) as u8]))
}

fn reason(bytes: &[u8], limits: Limits) -> &'static str {
    prepare(bytes, &recipe(8), MIDDLE, &limits).expect_err("refused").reason()
}

#[test]
fn what_is_transparent_shows_white() {
    let pixels = [[0, 0, 0, 0], [10, 20, 30, 255], [0, 0, 0, 51], [255, 0, 0, 0]];
    let image = RgbaImage::from_fn(2, 2, |x, y| Rgba(pixels[(y * 2 + x) as usize]));
    let prepared = prepare(&encoded(image, ImageFormat::Png), &recipe(2), MIDDLE, &Limits::default());
    assert_eq!(
        prepared.expect("decodes").crops[0].rgb,
        [[255, 255, 255], [10, 20, 30], [204, 204, 204], [255, 255, 255]].concat()
    );
}

#[test]
fn an_image_of_the_right_size_keeps_its_pixels() {
    let image = gradient(8, 8);
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let prepared = prepare(&encoded(image.clone(), format), &recipe(8), MIDDLE, &Limits::default());
        assert_eq!(&prepared.expect("decodes").crops[0].rgb, image.as_raw(), "{format:?}");
    }
}

#[test]
fn a_cut_has_the_pixels_of_the_whole_image_resized() {
    let image = Picture { size: Size { width: 90, height: 41 }, rgb: gradient(90, 41).into_raw() };
    let size = Size { width: 45, height: 20 };
    let area = Area { left: 7, top: 3, width: 11, height: 16 };
    for sampling in [Sampling::Box, Sampling::Bilinear, Sampling::Bicubic, Sampling::Lanczos, Sampling::OpencvBilinear]
    {
        let whole = resize(image.clone(), size, sampling, size.whole());
        assert_eq!(resize(image.clone(), size, sampling, area), whole.cut(area), "{sampling:?}");
    }
}

#[test]
fn the_original_size_is_kept_beside_the_pixels() {
    let bytes = encoded(gradient(30, 20), ImageFormat::Png);
    let prepared = prepare(&bytes, &recipe(8), MIDDLE, &Limits::default()).expect("decodes");
    assert_eq!((prepared.width, prepared.height, prepared.crops[0].rgb.len()), (30, 20, 192));
}

#[test]
fn a_truncated_file_is_corrupt_in_every_format() {
    for format in
        [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff]
    {
        let bytes = encoded(gradient(40, 40), format);
        assert!(prepare(&bytes, &recipe(8), MIDDLE, &Limits::default()).is_ok(), "{format:?}");
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
