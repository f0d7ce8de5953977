//! 64 bits that are alike for images that look alike: Python's `imagehash.phash`, to the bit.

mod cosines;

use cosines::cosine_transform;

use super::picture::{Picture, Size};
use super::resample::{Filter, resize};

/// The image is made this small, whatever its shape.
const SIDE: usize = 32;
/// Rows and columns of frequencies that are looked at, the lowest ones.
const LOW: usize = 8;

/// The perceptual hash of an RGB image in raster order; 0 where there are no pixels, or not `width · height · 3` bytes.
///
/// Its highest bit is the lowest frequency, so that 16 hexadecimal digits are what `str(imagehash.phash(image))` gives of
/// an image that is, or was turned into, RGB (ImageHash 4.3 with Pillow and SciPy). Bits that differ between two hashes
/// are counted: few of 64 where one image is a copy of the other in another size or quality, about half where they have
/// nothing in common.
pub fn perceptual_hash(rgb: &[u8], width: u32, height: u32) -> u64 {
    let (levels, rest) = rgb.as_chunks::<3>();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || !rest.is_empty() || levels.len() as u64 != pixels {
        return 0;
    }
    let grey: Vec<u8> = levels.iter().map(luma).collect();
    above_median(&low_frequencies(&reduced(grey, width, height)))
}

// Pillow's `convert("L")`: ITU-R 601 with 16 bits behind the point.
fn luma(&[red, green, blue]: &[u8; 3]) -> u8 {
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}

// Pillow's `resize((32, 32), LANCZOS)` of one level per pixel. Channels don't mix, and rows, while columns are resized,
// don't either: so three rows are the three channels of one, and then three columns those of one.
fn reduced(mut grey: Vec<u8>, width: u32, height: u32) -> Vec<u8> {
    let (columns, rows) = (width as usize, height as usize);
    grey.resize(columns * rows.next_multiple_of(3), 0);
    let mut triples = Vec::with_capacity(grey.len());
    for three in grey.chunks_exact(columns * 3) {
        triples.extend((0..columns).flat_map(|x| [three[x], three[columns + x], three[2 * columns + x]]));
    }
    let size = Size { width, height: height.div_ceil(3) };
    let narrow = by_lanczos(triples, size, Size { width: SIDE as u32, ..size });
    // A row of 32 is padded to eleven triples.
    const PADDED: usize = SIDE.next_multiple_of(3);
    let mut padded = Vec::with_capacity(rows * PADDED);
    for row in 0..rows {
        let three = &narrow[row / 3 * SIDE * 3..][..SIDE * 3];
        padded.extend(three.iter().skip(row % 3).step_by(3));
        padded.resize((row + 1) * PADDED, 0);
    }
    let size = Size { width: (PADDED / 3) as u32, height };
    let small = by_lanczos(padded, size, Size { height: SIDE as u32, ..size });
    small.chunks_exact(PADDED).flat_map(|row| &row[..SIDE]).copied().collect()
}

fn by_lanczos(rgb: Vec<u8>, from: Size, to: Size) -> Vec<u8> {
    resize(&Picture { size: from, rgb }, to, Filter::Lanczos, to.whole()).rgb
}

// The cosine transform of all columns, and then of the rows that are looked at.
fn low_frequencies(grey: &[u8]) -> [f64; LOW * LOW] {
    let mut rows = [[0.0; SIDE]; LOW];
    for x in 0..SIDE {
        let column = cosine_transform(std::array::from_fn(|y| f64::from(grey[y * SIDE + x])));
        for (row, value) in rows.iter_mut().zip(column) {
            row[x] = value;
        }
    }
    let mut lowest = [0.0; LOW * LOW];
    for (row, lowest) in rows.into_iter().zip(lowest.chunks_exact_mut(LOW)) {
        lowest.copy_from_slice(&cosine_transform(row)[..LOW]);
    }
    lowest
}

fn above_median(frequencies: &[f64; LOW * LOW]) -> u64 {
    let mut sorted = *frequencies;
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    frequencies.iter().fold(0, |hash, &value| hash << 1 | u64::from(value > median))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::image;

    /// An image by `crate::rule`, and what is done to it: the same in `tests/pixels/phash.py`.
    #[derive(serde::Deserialize)]
    struct Golden {
        index: usize,
        width: usize,
        height: usize,
        change: String,
        hash: String,
    }

    fn changed(golden: &Golden) -> Vec<u8> {
        let (width, height) = (golden.width, golden.height);
        let rgb = image(golden.index, width, height);
        let from = |x: usize, y: usize| match golden.change.as_str() {
            "mirrored" => (x.min(width - 1 - x), y),
            "twice mirrored" => (x.min(width - 1 - x), y.min(height - 1 - y)),
            "stripes" => (x, 0),
            "one colour" => (0, 0),
            _ => (x, y),
        };
        (0..width * height)
            .flat_map(|place| {
                let (x, y) = from(place % width, place / width);
                let at = (y * width + x) * 3;
                [rgb[at], rgb[at + 1], rgb[at + 2]]
            })
            .collect()
    }

    #[test]
    fn hashes_are_those_of_imagehash() {
        let goldens: Vec<Golden> = serde_json::from_str(include_str!("testdata/phash.json")).unwrap();
        assert!(goldens.len() >= 500);
        for golden in goldens {
            let hash = perceptual_hash(&changed(&golden), golden.width as u32, golden.height as u32);
            let Golden { index, width, height, change, hash: expected } = golden;
            assert_eq!(format!("{hash:016x}"), expected, "{index} {width}x{height} {change}");
        }
    }

    #[test]
    fn what_is_no_image_has_no_bits() {
        assert_eq!(
            [perceptual_hash(&[], 0, 7), perceptual_hash(&[1, 2, 3], 2, 1), perceptual_hash(&[1, 2], 1, 1)],
            [0; 3]
        );
    }

    #[test]
    fn a_smaller_copy_has_nearly_the_same_hash_and_another_image_has_not() {
        let large = Picture { size: Size { width: 256, height: 192 }, rgb: image(4, 256, 192) };
        let size = Size { width: 100, height: 75 };
        let small = resize(&large, size, Filter::Bilinear, size.whole());
        let hash = |picture: &Picture| perceptual_hash(&picture.rgb, picture.size.width, picture.size.height);
        assert!((hash(&large) ^ hash(&small)).count_ones() <= 6);
        assert!((hash(&large) ^ perceptual_hash(&image(9, 256, 192), 256, 192)).count_ones() >= 16);
    }
}
