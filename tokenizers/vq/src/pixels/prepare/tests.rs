use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use super::super::decode::{Header, header};
use super::super::recipe::{Crop, Orientation, Resize, Rounding};
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
        let found = header(&bytes).expect("reads");
        assert_eq!((found.format, found.width, found.height), (name, 40, 30));
    }
    assert_eq!(header(b"").expect_err("refused").reason(), "image_empty");
}

#[test]
fn a_header_says_how_many_bytes_a_pixel_takes_as_it_is_stored() {
    let of = |image: DynamicImage, format| header(&encoded(image, format)).expect("reads").bytes_of_a_pixel;
    let grey = DynamicImage::from(gradient(4, 3));
    assert_eq!(of(grey.to_rgb8().into(), ImageFormat::Tiff), 3);
    assert_eq!(of(grey.to_rgba16().into(), ImageFormat::Png), 8);
    assert_eq!(of(grey.to_rgba32f().into(), ImageFormat::Tiff), 16);
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

/// A palette of one colour and a third, on which `png` panics.
const PANICS: &[u8] = b"\x89PNG\x0D\x0A\x1A\x0A\0\0\0\x0DIHDR\0\0\0\x01\0\0\0\x01\x08\x03\0\0\0(\xCB4\xBB\0\0\0\x04PLTE\x01\x02\x03\x04#\xDB\x8A\xAB\0\0\0\x0AIDATx\x9Cc`\0\0\0\x02\0\x01H\xAF\xA4q\0\0\0\0IEND\xAEB`\x82";

#[test]
fn a_file_on_which_a_decoder_panics_is_corrupt() {
    assert_eq!(reason(PANICS, Limits::default()), "image_corrupt");
}

#[test]
fn what_is_no_image_is_told_apart() {
    assert_eq!(reason(b"", Limits::default()), "image_empty");
    assert_eq!(reason(b"<s", Limits::default()), "image_unsupported_format");
    assert_eq!(reason(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Limits::default()), "image_unsupported_format");
}

#[test]
fn resized_pixels_are_those_of_pillow_and_opencv() {
    let level = |x: u32, y: u32, channel: u32| ((x * 37 + y * 91 + channel * 53 + x * y * 29) % 256) as u8;
    let places = (0..5).flat_map(|y| (0..7).flat_map(move |x| (0..3).map(move |channel| (x, y, channel))));
    let rgb = places.map(|(x, y, channel)| level(x, y, channel)).collect();
    let image = Picture { size: Size { width: 7, height: 5 }, rgb };
    let size = Size { width: 3, height: 2 };
    // Pillow 12.0.0, opencv-python-headless 5.0.0.
    for (sampling, expected) in [
        (Sampling::Box, [82, 135, 102, 118, 114, 167, 198, 123, 91, 68, 121, 174, 94, 105, 115, 121, 110, 163]),
        (Sampling::Bilinear, [96, 127, 114, 114, 118, 154, 174, 136, 109, 81, 131, 141, 102, 109, 142, 131, 104, 152]),
        (Sampling::Bicubic, [95, 125, 110, 112, 120, 163, 181, 138, 105, 81, 135, 143, 100, 106, 136, 130, 100, 157]),
        (Sampling::Lanczos, [97, 120, 108, 109, 125, 168, 183, 140, 106, 85, 139, 140, 98, 105, 135, 130, 97, 158]),
        (
            Sampling::OpencvBilinear,
            [107, 160, 85, 53, 106, 159, 190, 157, 40, 84, 137, 190, 114, 167, 220, 142, 131, 184],
        ),
    ] {
        assert_eq!(resize(image.clone(), size, sampling, size.whole()).rgb, expected, "{sampling:?}");
    }
}

#[test]
fn decoded_jpeg_is_that_of_libjpeg_turbo() {
    // Written and read by Pillow 12.0.0: 17 x 9 pixels.
    for (jpeg, rgb) in [
        (include_bytes!("../testdata/420.jpg").as_slice(), include_bytes!("../testdata/420.rgb").as_slice()),
        (include_bytes!("../testdata/422_progressive.jpg"), include_bytes!("../testdata/422_progressive.rgb")),
        (include_bytes!("../testdata/cmyk.jpg"), include_bytes!("../testdata/cmyk.rgb")),
        (include_bytes!("../testdata/restarts.jpg"), include_bytes!("../testdata/restarts.rgb")),
        (include_bytes!("../testdata/grey.jpg"), include_bytes!("../testdata/grey.rgb")),
    ] {
        let whole = Preprocessing { resize: Resize::Keep, crop: Crop::Whole, ..recipe(9) };
        let prepared = prepare(jpeg, &whole, MIDDLE, &Limits::default()).expect("decodes");
        assert_eq!((prepared.width, prepared.height), (17, 9));
        assert_eq!(prepared.crops[0].rgb, rgb);
    }
}

/// A JPEG without the Huffman tables whose number isn't to be kept; those of means have numbers below 16.
fn without_tables(jpeg: &[u8], kept: fn(u8) -> bool) -> Vec<u8> {
    let (mut left, mut at) = (jpeg[..2].to_vec(), 2);
    while jpeg[at + 1] != 0xDA {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        let mut tables = &jpeg[at + 4..end];
        if jpeg[at + 1] != 0xC4 {
            left.extend(&jpeg[at..end]);
            tables = &[];
        }
        while let Some(&number) = tables.first() {
            let length = 17 + tables[1..17].iter().map(|&count| usize::from(count)).sum::<usize>();
            if kept(number) {
                left.extend([0xFF, 0xC4].into_iter().chain((length as u16 + 2).to_be_bytes()));
                left.extend(&tables[..length]);
            }
            tables = &tables[length..];
        }
        at = end;
    }
    left.extend(&jpeg[at..]);
    left
}

#[test]
fn a_sequential_jpeg_without_huffman_tables_has_the_standard_ones() {
    // Pillow 12.0.0 writes these tables, and reads the same pixels of the file without any or all of them.
    let (jpeg, rgb) =
        (include_bytes!("../testdata/standard_tables.jpg"), include_bytes!("../testdata/standard_tables.rgb"));
    let whole = Preprocessing { resize: Resize::Keep, crop: Crop::Whole, ..recipe(9) };
    for (kept, bytes) in [
        ((|_| false) as fn(u8) -> bool, 314),
        (|number| number < 16, 380),
        (|number| number >= 16, 680),
        (|number| number == 16, 497),
    ] {
        let stripped = without_tables(jpeg, kept);
        assert_eq!(stripped.len(), bytes);
        let prepared = prepare(&stripped, &whole, MIDDLE, &Limits::default()).expect("decodes");
        assert_eq!(prepared.crops[0].rgb, rgb);
    }
    // Pillow refuses a progressive one, and one that names a table without a standard.
    let progressive = without_tables(include_bytes!("../testdata/422_progressive.jpg"), |_| false);
    let mut third = without_tables(jpeg, |_| false);
    let scan = third.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    third[scan + 6] = 0x22;
    for refused in [progressive, third] {
        let error = prepare(&refused, &whole, MIDDLE, &Limits::default()).expect_err("refused");
        assert_eq!(error.reason(), "image_corrupt");
    }
}

#[test]
fn a_jpeg_whose_means_have_more_than_fifteen_bits_is_refused_as_pillow_refuses_it() {
    let mut jpeg = include_bytes!("../testdata/420.jpg").to_vec();
    let table = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC4]).unwrap() + 2;
    let length = usize::from(u16::from_be_bytes([jpeg[table], jpeg[table + 1]]));
    jpeg[table + length - 1] = 16;
    assert_eq!(reason(&jpeg, Limits::default()), "image_corrupt");
}

#[test]
fn a_jpeg_cut_off_or_damaged_anywhere_ends_in_an_image_or_an_error() {
    for jpeg in [include_bytes!("../testdata/420.jpg").as_slice(), include_bytes!("../testdata/422_progressive.jpg")] {
        for at in 0..jpeg.len() {
            assert!(prepare(&jpeg[..at], &recipe(8), MIDDLE, &Limits::default()).is_err(), "cut off at {at}");
            for bit in 0..8 {
                let mut damaged = jpeg.to_vec();
                damaged[at] ^= 1 << bit;
                let limits = Limits { max_pixels: 1 << 16, ..Limits::default() };
                let _: Result<Prepared, ImageError> = prepare(&damaged, &recipe(8), MIDDLE, &limits);
            }
        }
    }
}

#[test]
fn an_image_lies_as_its_camera_was_held_where_the_recipe_says_so() {
    // An upright picture of 17 x 9 that says it has to be turned to the right.
    let exif = b"\xFF\xE1\x00\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let plain = include_bytes!("../testdata/420.jpg");
    let jpeg = [&plain[..2], exif, &plain[2..]].concat();
    let sides = |orientation| {
        let whole = Preprocessing { orientation, resize: Resize::Keep, crop: Crop::Whole, ..recipe(9) };
        let prepared = prepare(&jpeg, &whole, MIDDLE, &Limits::default()).expect("decodes");
        (prepared.width, prepared.height, prepared.crops[0].rgb[..3].to_vec())
    };
    let rgb = include_bytes!("../testdata/420.rgb");
    assert_eq!(sides(Orientation::Ignored), (17, 9, rgb[..3].to_vec()));
    assert_eq!(sides(Orientation::Applied), (9, 17, rgb[8 * 17 * 3..][..3].to_vec()));
}

#[test]
fn ten_crops_are_corners_and_middle_and_those_of_the_mirror_image() {
    let bytes = encoded(gradient(30, 20), ImageFormat::Png);
    let recipe = Preprocessing { sampling: Sampling::Box, ..recipes::llamagen_ten(16, 1250) };
    let prepared = prepare(&bytes, &recipe, MIDDLE, &Limits::default()).expect("decodes");
    let shows: Vec<(f64, f64, bool)> =
        prepared.crops.iter().map(|crop| (crop.shows[0], crop.shows[1], crop.mirrored)).collect();
    let places = [(5.0, 0.0), (9.0, 0.0), (5.0, 4.0), (9.0, 4.0), (7.0, 2.0)];
    let mirrored = [(9.0, 0.0), (5.0, 0.0), (9.0, 4.0), (5.0, 4.0), (7.0, 2.0)];
    let expected = places.iter().map(|&(x, y)| (x, y, false)).chain(mirrored.iter().map(|&(x, y)| (x, y, true)));
    assert_eq!(shows, expected.collect::<Vec<_>>());
    assert_eq!(prepared.crops[0].rgb[..3], gradient(30, 20).get_pixel(5, 0).0);
    assert_eq!(prepared.crops[5].rgb[..3], gradient(30, 20).get_pixel(24, 0).0);
}

#[test]
fn the_hash_of_a_jpeg_is_the_same_whether_or_not_its_rows_are_resized_as_they_come() {
    for (width, height) in [(90, 40), (40, 90), (47, 61), (61, 25), (32, 32), (5, 3), (700, 8)] {
        let file = encoded(gradient(width, height), ImageFormat::Jpeg);
        let whole = Preprocessing { resize: Resize::Keep, crop: Crop::Whole, ..recipe(32) };
        let decoded = prepare(&file, &whole, MIDDLE, &Limits::default()).unwrap();
        let expected = perceptual_hash(&decoded.crops[0].rgb, width, height);
        for recipe in [recipe(32), recipes::llamagen(16), recipes::taming(32), whole] {
            let (prepared, hash) = prepare_and_hash(&file, &recipe, MIDDLE, &Limits::default()).unwrap();
            assert_eq!(Ok(prepared), prepare(&file, &recipe, MIDDLE, &Limits::default()));
            assert_eq!(hash, expected, "{width} x {height}");
        }
    }
}

#[test]
fn a_recipe_is_read_as_it_was_written_and_keeps_its_name() {
    let names: Vec<String> = [recipes::taming(256), recipes::emu3(), recipes::lumina(512), recipes::chameleon(512)]
        .iter()
        .map(|recipe| {
            let text = serde_json::to_string(recipe).expect("writes");
            assert_eq!(&serde_json::from_str::<Preprocessing>(&text).expect("reads"), recipe);
            recipe.fingerprint()
        })
        .collect();
    assert_eq!(names[0], recipes::taming(256).fingerprint());
    assert!(names.iter().all(|name| name.starts_with("pixels-2-")));
    assert!((1..names.len()).all(|at| !names[..at].contains(&names[at])));
}

#[test]
fn the_hash_is_of_the_whole_image() {
    let file = encoded(gradient(90, 40), ImageFormat::Png);
    let (prepared, hash) = prepare_and_hash(&file, &recipe(32), MIDDLE, &Limits::default()).unwrap();
    assert_eq!(Ok(prepared), prepare(&file, &recipe(32), MIDDLE, &Limits::default()));
    assert_eq!(hash, perceptual_hash(gradient(90, 40).as_raw(), 90, 40));
}

#[test]
fn a_tiff_with_a_palette_has_the_pixels_of_pillow() {
    // Written and read by Pillow 12.0.0: 5 x 3 pixels, with LZW.
    let tiff = include_bytes!("../testdata/palette.tif");
    let whole = Preprocessing { resize: Resize::Keep, crop: Crop::Whole, ..recipe(3) };
    let prepared = prepare(tiff, &whole, MIDDLE, &Limits::default()).expect("decodes");
    assert_eq!((prepared.width, prepared.height), (5, 3));
    assert_eq!(prepared.crops[0].rgb, include_bytes!("../testdata/palette.rgb"));
    let expected = Header { format: "tiff", width: 5, height: 3, bytes_of_a_pixel: 1 };
    assert_eq!(header(tiff).expect("reads"), expected);
    let few = Limits { max_pixels: 14, ..Limits::default() };
    assert_eq!(prepare(tiff, &whole, MIDDLE, &few).expect_err("refused").reason(), "image_too_large");
    for at in 0..tiff.len() {
        for bit in 0..8 {
            let mut damaged = tiff.to_vec();
            damaged[at] ^= 1 << bit;
            let limits = Limits { max_pixels: 1 << 12, ..Limits::default() };
            let _: Result<Prepared, ImageError> = prepare(&damaged, &whole, MIDDLE, &limits);
        }
    }
}

#[test]
fn a_tiff_lies_as_it_says_whatever_the_recipe_says() {
    // As above, turned by Pillow as it is opened: to the right, so that the last row's first pixel comes first.
    let tiff = include_bytes!("../testdata/turned.tif");
    let whole = Preprocessing { resize: Resize::Keep, crop: Crop::Whole, ..recipe(3) };
    let prepared = prepare(tiff, &whole, MIDDLE, &Limits::default()).expect("decodes");
    assert_eq!((prepared.width, prepared.height), (3, 5));
    assert_eq!(prepared.crops[0].rgb, include_bytes!("../testdata/turned.rgb"));
}
