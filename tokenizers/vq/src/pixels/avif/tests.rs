use std::ops::Range;

use super::*;

/// Written by Pillow 12.0.0 (ten and twelve bits by imagecodecs 2026's libavif 1.4.0), read by Pillow 12.0.0: 17 x 9 pixels.
macro_rules! pictures {
    ($($name:literal)*) => {
        [$((
            $name,
            include_bytes!(concat!("../testdata/avif/", $name, ".avif")).as_slice(),
            include_bytes!(concat!("../testdata/avif/", $name, ".rgb")).as_slice(),
        )),*]
    };
}

const SIZE: Size = Size { width: 17, height: 9 };
const PLAIN: &[u8] = include_bytes!("../testdata/avif/444.avif");
const PLAIN_RGB: &[u8] = include_bytes!("../testdata/avif/444.rgb");

fn decoded(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    decode(bytes, recipe::Orientation::Ignored, Alpha::Dropped, limits)
}

fn reason(bytes: &[u8], max_pixels: u64) -> &'static str {
    decoded(bytes, &Limits { max_pixels, ..Limits::default() }).expect_err("refused").reason()
}

#[test]
fn pixels_are_those_of_pillow() {
    for (name, avif, rgb) in pictures!(
        "420" "422_limited" "444" "grey" "turned" "alpha" "10_422" "alpha_10_420" "alpha_12_420" "alpha_12_444"
    ) {
        assert!(is_avif(avif), "{name}");
        assert_eq!(size(avif), Ok(SIZE), "{name}");
        assert_eq!(decoded(avif, &Limits::default()), Ok(Picture { size: SIZE, rgb: rgb.to_vec() }), "{name}");
    }
}

#[test]
fn what_is_transparent_shows_white_where_the_recipe_says_so() {
    let avif = include_bytes!("../testdata/avif/alpha.avif");
    let picture = decode(avif, recipe::Orientation::Ignored, Alpha::OnWhite, &Limits::default()).unwrap();
    // The first column is wholly transparent, the last not at all.
    assert_eq!(picture.rgb[..3], [255; 3]);
    assert_eq!(picture.rgb[16 * 3..17 * 3], include_bytes!("../testdata/avif/alpha.rgb")[16 * 3..17 * 3]);
}

#[test]
fn a_picture_is_turned_where_the_recipe_says_so() {
    let avif = include_bytes!("../testdata/avif/turned.avif");
    let rgb = include_bytes!("../testdata/avif/turned.rgb");
    let picture = decode(avif, recipe::Orientation::Applied, Alpha::Dropped, &Limits::default()).unwrap();
    // To the right: the last row's first pixel comes first.
    assert_eq!(picture.size, Size { width: 9, height: 17 });
    assert_eq!(picture.rgb[..3], rgb[8 * 17 * 3..][..3]);
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    assert_eq!(decoded(PLAIN, &Limits { max_pixels: 153, ..Limits::default() }).map(|picture| picture.size), Ok(SIZE));
    assert_eq!(reason(PLAIN, 152), "image_too_large");
    // As wide as no picture is, though the code says 17: it has the size that its item names, or none.
    let wide = with_size(PLAIN, 50_000, 50_000);
    assert_eq!(reason(&wide, 100_000_000), "image_too_large");
    assert_eq!(reason(&with_size(PLAIN, 16, 9), 100_000_000), "image_unsupported_format");
    assert_eq!(reason(&with_size(PLAIN, 0, 9), 100_000_000), "image_empty");
}

fn with_size(avif: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut avif = avif.to_vec();
    let at = avif.windows(4).position(|kind| kind == b"ispe").unwrap() + 8;
    avif[at..at + 4].copy_from_slice(&width.to_be_bytes());
    avif[at + 4..at + 8].copy_from_slice(&height.to_be_bytes());
    avif
}

#[test]
fn a_file_damaged_anywhere_ends_in_a_picture_or_an_error() {
    let limits = Limits { max_pixels: 1 << 12, ..Limits::default() };
    for (_, avif, _) in pictures!("420" "alpha_10_420") {
        for at in 0..avif.len() {
            assert!(decoded(&avif[..at], &limits).is_err(), "cut off at {at}");
            for bit in 0..8 {
                let mut damaged = avif.to_vec();
                damaged[at] ^= 1 << bit;
                let _: Result<Picture, ImageError> = decoded(&damaged, &limits);
                let _: Result<Size, ImageError> = size(&damaged);
            }
        }
    }
}

/// An item made by hand: its kind, where its bytes lie, and its properties as `ipma` has them.
struct Made {
    kind: &'static [u8; 4],
    extents: Vec<Range<usize>>,
    properties: Vec<u8>,
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), kind.as_slice(), content].concat()
}

/// A file whose first item is shown, with tiles from the others, of properties `ispe` and more.
fn file(data: &[u8], items: &[Made], properties: &[Vec<u8>]) -> Vec<u8> {
    let (mut places, mut kinds, mut owned) = (Vec::new(), Vec::new(), Vec::new());
    for (at, item) in items.iter().enumerate() {
        let number = [0, at as u8 + 1];
        places.extend([number.as_slice(), &[0, 1, 0, 0], &(item.extents.len() as u16).to_be_bytes()].concat());
        for extent in &item.extents {
            places.extend([(extent.start as u32).to_be_bytes(), (extent.len() as u32).to_be_bytes()].concat());
        }
        kinds.extend(boxed(b"infe", &[&[2, 0, 0, 0], number.as_slice(), &[0, 0], item.kind, &[0]].concat()));
        owned.extend([number.as_slice(), &[item.properties.len() as u8], &item.properties].concat());
    }
    let count = [0, items.len() as u8];
    let tiles: Vec<u8> = (2..=count[1]).flat_map(|number| [0, number]).collect();
    let tiles = boxed(b"dimg", &[&[0, 1, 0, count[1] - 1], tiles.as_slice()].concat());
    let owned = [&[0, 0, 0, 0, 0, 0], count.as_slice(), &owned].concat();
    let meta = [
        vec![0; 4],
        boxed(b"pitm", &[0, 0, 0, 0, 0, 1]),
        boxed(b"iloc", &[&[1, 0, 0, 0, 0x44, 0], count.as_slice(), &places].concat()),
        boxed(b"iinf", &[&[0, 0, 0, 0], count.as_slice(), &kinds].concat()),
        boxed(b"iref", &[&[0; 4], tiles.as_slice()].concat()),
        boxed(b"iprp", &[boxed(b"ipco", &properties.concat()), boxed(b"ipma", &owned)].concat()),
        boxed(b"idat", data),
    ];
    [boxed(b"ftyp", b"mif1\0\0\0\0avif"), boxed(b"meta", &meta.concat())].concat()
}

fn extent_of(width: u32, height: u32) -> Vec<u8> {
    boxed(b"ispe", &[&[0; 4], width.to_be_bytes().as_slice(), &height.to_be_bytes()].concat())
}

/// The code of the plain picture.
fn code() -> &'static [u8] {
    let at = PLAIN.windows(4).position(|kind| kind == b"mdat").unwrap();
    &PLAIN[at + 4..]
}

/// A grid of two tiles beside each other.
fn grid(width: u32, tile_width: u32) -> Vec<u8> {
    let head = [&[0, 0, 0, 1], (width as u16).to_be_bytes().as_slice(), &[0, 9]].concat();
    let data = [&head, code()].concat();
    let tile = || Made { kind: b"av01", extents: vec![8..data.len()], properties: vec![2] };
    let whole = Made { kind: b"grid", extents: vec![0..8], properties: vec![1] };
    file(&data, &[whole, tile(), tile()], &[extent_of(width, 9), extent_of(tile_width, 9)])
}

#[test]
fn a_grid_is_put_together_of_its_tiles_and_cut() {
    let picture = decoded(&grid(30, 17), &Limits::default()).unwrap();
    assert_eq!(picture.size, Size { width: 30, height: 9 });
    let rows = PLAIN_RGB.chunks(17 * 3).flat_map(|row| [row, &row[..13 * 3]]);
    assert_eq!(picture.rgb, rows.collect::<Vec<_>>().concat());
}

#[test]
fn tiles_cover_their_grid_within_limits() {
    assert_eq!(reason(&grid(35, 17), 1 << 20), "image_corrupt");
    assert_eq!(reason(&grid(17, 17), 1 << 20), "image_corrupt");
    // The grid itself would fit.
    assert_eq!(reason(&grid(18, 17), 18 * 9), "image_too_large");
}

fn one(extents: Vec<Range<usize>>, property: u8, data: &[u8]) -> Vec<u8> {
    let item = Made { kind: b"av01", extents, properties: vec![1, property] };
    file(data, &[item], &[extent_of(17, 9), boxed(b"wxyz", &[])])
}

#[test]
fn what_repeats_itself_is_refused() {
    let data = code().repeat(4);
    assert!(decoded(&one(vec![0..code().len()], 2, code()), &Limits::default()).is_ok());
    // Four frames of one picture.
    assert_eq!(reason(&one(vec![0..data.len()], 2, &data), 3 * 17 * 9), "image_too_large");
    let again = vec![0..data.len(); 9];
    assert_eq!(reason(&one(again, 2, &data), 1 << 20), "image_corrupt");
}

#[test]
fn places_that_take_no_bytes_are_refused_where_there_are_several() {
    // One item, with as many extents as a number of 16 bits can say.
    let places = [&[1, 0, 0, 0, 0, 0], [0, 1].as_slice(), &[0, 1, 0, 0, 0, 0], &[0xFF, 0xFF]].concat();
    let meta = [vec![0; 4], boxed(b"pitm", &[0, 0, 0, 0, 0, 1]), boxed(b"iloc", &places)].concat();
    let avif = [boxed(b"ftyp", b"mif1\0\0\0\0avif"), boxed(b"meta", &meta)].concat();
    assert_eq!(size(&avif), Err(broken("an item repeats its bytes")));
}

#[test]
fn tiles_that_read_the_files_bytes_over_and_over_are_refused() {
    let tiles = |data: &[u8]| {
        let head = [0, 0, 5, 1, 0, 34, 0, 54];
        let data = [head.as_slice(), code(), data].concat();
        let tile = || Made { kind: b"av01", extents: vec![8..data.len()], properties: vec![2] };
        let mut items = vec![Made { kind: b"grid", extents: vec![0..8], properties: vec![1] }];
        items.extend((0..12).map(|_| tile()));
        decoded(&file(&data, &items, &[extent_of(34, 54), extent_of(17, 9)]), &Limits::default())
    };
    assert!(tiles(&[]).is_ok());
    assert_eq!(tiles(&[0; 4096]).map(|picture| picture.size), Err(broken("a grid repeats its bytes")));
}

#[test]
fn what_must_not_be_shown_without_what_is_not_understood_is_refused() {
    let essential = 0x80 | 2;
    assert_eq!(reason(&one(vec![0..code().len()], essential, code()), 1 << 20), "image_unsupported_format");
}

#[test]
fn other_files_of_boxes_are_no_avif() {
    assert!(!is_avif(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"));
    assert!(!is_avif(b"\0\0\0\x14ftypmif1avif\0\0\0\0"));
    assert!(!is_avif(b"\0\0\0\x1Cftypavif"));
}
