//! 64 bits that are alike for images that look alike: Python's `imagehash.phash`, to the bit.

mod cosines;

use cosines::cosine_transform;
use pulp::{Arch, Simd, WithSimd};

use super::picture::{Picture, Size};
use super::resample::{Filter, Resizing, resize};

/// Rows whose columns are resized together, at least.
const ROWS: usize = 48;
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
    let bytes = u64::from(width) * u64::from(height) * 3;
    if bytes == 0 || rgb.len() as u64 != bytes {
        return 0;
    }
    let mut hashing = Hashing::new(Size { width, height });
    hashing.push(rgb);
    hashing.finish()
}

/// A hash that is worked out while an image's rows come.
///
/// First columns are resized and then rows, as Pillow's `resize((32, 32), LANCZOS)` does it, of one level per pixel.
/// Channels don't mix, and rows, while columns are resized, don't either: so three rows are the three channels of one, and
/// then three columns those of one.
pub(super) struct Hashing {
    size: Size,
    /// Rows that wait for others of their three.
    grey: Vec<u8>,
    triples: Vec<u8>,
    columns: Resizing,
}

impl Hashing {
    /// Of an image with pixels.
    pub fn new(size: Size) -> Self {
        let from = Size { height: size.height.div_ceil(3), ..size };
        let narrow = Size { width: SIDE as u32, ..from };
        let columns = Resizing::new(from, narrow, Filter::Lanczos, narrow.whole());
        Self { size, grey: Vec::new(), triples: Vec::new(), columns }
    }

    /// The next rows.
    pub fn push(&mut self, rgb: &[u8]) {
        let begin = self.grey.len();
        self.grey.resize(begin + rgb.len() / 3, 0);
        Arch::new().dispatch(Grey { rgb, grey: &mut self.grey[begin..] });
        if self.grey.len() >= self.size.width as usize * ROWS {
            self.narrow();
        }
    }

    /// Resizes the columns of all rows of which three are there.
    fn narrow(&mut self) {
        let Self { size, grey, triples, columns } = self;
        let width = size.width as usize;
        triples.clear();
        triples.resize(grey.len() / (width * 3) * (width * 3), 0);
        for (three, to) in grey.chunks_exact(width * 3).zip(triples.chunks_exact_mut(width * 3)) {
            let (first, rest) = three.split_at(width);
            let (second, third) = rest.split_at(width);
            for (to, ((&first, &second), &third)) in
                to.as_chunks_mut().0.iter_mut().zip(first.iter().zip(second).zip(third))
            {
                *to = [first, second, third];
            }
        }
        grey.drain(..triples.len());
        columns.push(triples, size.whole());
    }

    /// The hash, when all rows have come.
    pub fn finish(mut self) -> u64 {
        let Size { width, height } = self.size;
        self.grey.resize(self.grey.len().next_multiple_of(width as usize * 3), 0);
        self.narrow();
        above_median(&low_frequencies(&shortened(&self.columns.finish().rgb, height)))
    }
}

/// Levels of red, green and blue, to become one each.
struct Grey<'a> {
    rgb: &'a [u8],
    grey: &'a mut [u8],
}

impl WithSimd for Grey<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (to, levels) in self.grey.iter_mut().zip(self.rgb.as_chunks().0) {
            *to = luma(levels);
        }
    }
}

// Pillow's `convert("L")`: ITU-R 601 with 16 bits behind the point.
#[inline(always)]
fn luma(&[red, green, blue]: &[u8; 3]) -> u8 {
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}

/// Resizes rows of what is `SIDE` columns wide, three rows in one.
fn shortened(narrow: &[u8], height: u32) -> Vec<u8> {
    let rows = height as usize;
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
