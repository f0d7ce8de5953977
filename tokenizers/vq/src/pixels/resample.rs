//! Resizes RGB images to the bytes that Pillow's `Image.resize` makes (`src/libImaging/Resample.c`).

use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

use super::picture::{Area, Picture, Size};

#[cfg(target_arch = "x86_64")]
mod avx2;

/// A filter of Pillow. All but `box` and `bilinear` may ring; all widen with the scale, so that nothing aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The mean of what a pixel covers.
    Box,
    /// A triangle of radius 1.
    Bilinear,
    /// Keys' cubic with a = -0.5, of radius 2.
    Bicubic,
    /// A sinc windowed by a sinc, of radius 3.
    Lanczos,
}

impl Filter {
    fn radius(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let far = x.abs();
        match self {
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - far).max(0.0),
            Self::Bicubic if far < 1.0 => (1.5 * far - 2.5) * far * far + 1.0,
            Self::Bicubic if far < 2.0 => (((far - 5.0) * far + 8.0) * far - 4.0) * -0.5,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    libm::sin(x) / x
}

/// The `area` of the whole image resized to `size`, without the work for what lies outside of it.
pub(super) fn resize(image: &Picture, size: Size, filter: Filter, area: Area) -> Picture {
    let mut resizing = Resizing::new(image.size, size, filter, area);
    let Area { top, height, .. } = resizing.needed();
    let row_bytes = image.size.width as usize * 3;
    let rows = top as usize * row_bytes..(top + height) as usize * row_bytes;
    resizing.push(image.rgb.get(rows).unwrap_or_default(), image.size.whole());
    resizing.finish()
}

/// An image that is resized while its rows come.
///
/// The columns are resized first and rounded to bytes, then the rows; weights have 22 bits behind the point.
pub(super) struct Resizing {
    area: Area,
    /// What is needed of the original.
    needed: Area,
    columns: Option<Weights>,
    rows: Option<Weights>,
    #[cfg(target_arch = "x86_64")]
    fast: Option<avx2::Resizing>,
    /// Rows whose columns are resized.
    middle: Vec<u8>,
}

impl Resizing {
    /// Of an image of size `from`, for the `area` of what it would be in size `to`.
    pub fn new(from: Size, to: Size, filter: Filter, area: Area) -> Self {
        let columns = (from.width != to.width).then(|| {
            let range = area.left..area.left + area.width;
            Weights::new(from.width as usize, to.width, range, filter)
        });
        let rows = (from.height != to.height).then(|| {
            let range = area.top..area.top + area.height;
            Weights::new(from.height as usize, to.height, range, filter)
        });
        let across = columns.as_ref().map_or(area.left..area.left + area.width, Weights::needed);
        let down = rows.as_ref().map_or(area.top..area.top + area.height, Weights::needed);
        let needed = Area {
            left: across.start,
            top: down.start,
            width: across.end - across.start,
            height: down.end - down.start,
        };
        #[cfg(target_arch = "x86_64")]
        let fast = match (pulp::x86::V3::try_new(), &columns, &rows) {
            (Some(simd), Some(columns), Some(rows)) => avx2::Resizing::new(simd, columns, rows),
            _ => None,
        };
        Self {
            area,
            needed,
            columns,
            rows,
            #[cfg(target_arch = "x86_64")]
            fast,
            middle: Vec::new(),
        }
    }

    /// The part of the original that is to come.
    pub fn needed(&self) -> Area {
        self.needed
    }

    /// The next rows of the original, or of what is needed of it: `shown` is the part that has such columns. Eight rows
    /// at a time take least.
    pub fn push(&mut self, rows: &[u8], shown: Area) {
        let row_bytes = shown.width as usize * 3;
        let skipped = (self.needed.left - shown.left) as usize;
        #[cfg(target_arch = "x86_64")]
        if let Some(fast) = &mut self.fast {
            return fast.across(rows, row_bytes, skipped, &mut self.middle);
        }
        let width = self.area.width as usize * 3;
        let begin = self.middle.len();
        self.middle.resize(begin + width * (rows.len() / row_bytes.max(1)), 0);
        let out = &mut self.middle[begin..];
        match &self.columns {
            Some(weights) => {
                let first = shown.left as usize;
                Arch::new().dispatch(Columns { weights, first, source: rows, row_bytes, out });
            }
            // A side without weights is only cut.
            None => {
                for (to, row) in out.chunks_exact_mut(width).zip(rows.chunks_exact(row_bytes)) {
                    to.copy_from_slice(&row[skipped * 3..skipped * 3 + width]);
                }
            }
        }
    }

    /// The result, when all that is needed has come.
    pub fn finish(self) -> Picture {
        let size = Size { width: self.area.width, height: self.area.height };
        #[cfg(target_arch = "x86_64")]
        if let Some(fast) = &self.fast {
            return Picture { size, rgb: fast.down(&self.middle) };
        }
        let Some(weights) = &self.rows else { return Picture { size, rgb: self.middle } };
        let row_bytes = size.width as usize * 3;
        let mut rgb = vec![0; row_bytes * size.height as usize];
        let first = self.needed.top as usize;
        Arch::new().dispatch(Rows { weights, first, source: &self.middle, row_bytes, out: &mut rgb });
        Picture { size, rgb }
    }
}

/// What each pixel along one side of the result takes from the pixels along that side of the original.
struct Weights {
    starts: Vec<usize>,
    /// The weights of all pixels behind each other, and where each one's end.
    values: Vec<i32>,
    ends: Vec<usize>,
}

/// Bits of a weight behind the point: Pillow keeps two for what overshoots, beside the eight of a level.
const PRECISION: u32 = 22;
const HALF: i32 = 1 << (PRECISION - 1);

impl Weights {
    fn new(from: usize, to: u32, range: std::ops::Range<u32>, filter: Filter) -> Self {
        let scale = from as f64 / f64::from(to);
        let filter_scale = scale.max(1.0);
        let (support, step) = (filter.radius() * filter_scale, 1.0 / filter_scale);
        let mut weights = Self { starts: Vec::new(), values: Vec::new(), ends: Vec::new() };
        let mut exact = Vec::new();
        for place in range {
            let center = (f64::from(place) + 0.5) * scale;
            // Casts cut off towards zero, as Pillow's do, and negative places are 0.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            exact.clear();
            exact.extend((start..end).map(|x| filter.at((x as f64 - center + 0.5) * step)));
            let sum: f64 = exact.iter().sum();
            let sum = if sum == 0.0 { 1.0 } else { sum };
            weights.starts.push(start);
            weights.values.extend(exact.iter().map(|weight| {
                let fixed = weight / sum * f64::from(1 << PRECISION);
                (fixed + 0.5_f64.copysign(fixed)) as i32
            }));
            weights.ends.push(weights.values.len());
        }
        weights
    }

    fn each(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        self.starts.iter().zip(begins.zip(&self.ends)).map(|(&start, (begin, &end))| (start, &self.values[begin..end]))
    }

    /// The pixels of the original that any weight is for.
    fn needed(&self) -> std::ops::Range<u32> {
        let start = self.starts.first().copied().unwrap_or(0);
        let end = self.each().map(|(start, values)| start + values.len()).max().unwrap_or(start);
        start as u32..end as u32
    }
}

fn level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Eight pixels, three weights each: one step of a horizontal sum.
const LANES: usize = 24;

struct Columns<'a> {
    weights: &'a Weights,
    /// The column of the original that rows of `source` begin with.
    first: usize,
    source: &'a [u8],
    row_bytes: usize,
    out: &'a mut [u8],
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Where a weight is repeated for its pixel's three levels, levels and weights are multiplied as they lie.
        let tripled: Vec<i32> = self.weights.values.iter().flat_map(|&weight| [weight; 3]).collect();
        let Self { weights, first, source, row_bytes, out } = self;
        simd.vectorize(ColumnsTripled { weights, first, tripled: &tripled, source, row_bytes, out });
    }
}

struct ColumnsTripled<'a> {
    weights: &'a Weights,
    first: usize,
    tripled: &'a [i32],
    source: &'a [u8],
    row_bytes: usize,
    out: &'a mut [u8],
}

impl WithSimd for ColumnsTripled<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.weights.starts.len() * 3;
        for (row, out) in self.source.chunks_exact(self.row_bytes).zip(self.out.chunks_exact_mut(width)) {
            let mut begin = 0;
            for ((&start, &end), to) in self.weights.starts.iter().zip(&self.weights.ends).zip(out.as_chunks_mut().0) {
                let weights = &self.tripled[begin * 3..end * 3];
                let place = (start - self.first) * 3;
                *to = weighted_pixel(&row[place..place + weights.len()], weights);
                begin = end;
            }
        }
    }
}

#[inline(always)]
fn weighted_pixel(levels: &[u8], weights: &[i32]) -> [u8; 3] {
    let (levels, levels_left) = levels.as_chunks::<LANES>();
    let (weights, weights_left) = weights.as_chunks::<LANES>();
    let mut sums = [0; LANES];
    for (levels, weights) in levels.iter().zip(weights) {
        for ((sum, &level), weight) in sums.iter_mut().zip(levels).zip(weights) {
            *sum += i32::from(level) * weight;
        }
    }
    let mut pixel = [HALF; 3];
    for lanes in sums.as_chunks::<3>().0 {
        for (sum, lane) in pixel.iter_mut().zip(lanes) {
            *sum += lane;
        }
    }
    for (levels, weights) in levels_left.as_chunks::<3>().0.iter().zip(weights_left.as_chunks::<3>().0) {
        for ((sum, &level), weight) in pixel.iter_mut().zip(levels).zip(weights) {
            *sum += i32::from(level) * weight;
        }
    }
    pixel.map(level)
}

/// Bytes of a row that are summed at once.
const BLOCK: usize = 64;

struct Rows<'a> {
    weights: &'a Weights,
    /// The row of the original that `source` begins with.
    first: usize,
    source: &'a [u8],
    row_bytes: usize,
    out: &'a mut [u8],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { weights, first, source, row_bytes, out } = self;
        for (out, (start, weights)) in out.chunks_exact_mut(row_bytes).zip(weights.each()) {
            let rows = &source[(start - first) * row_bytes..];
            let (blocks, left) = out.as_chunks_mut::<BLOCK>();
            let mut at = 0;
            for block in blocks {
                let mut sums = [HALF; BLOCK];
                for (row, &weight) in rows.chunks_exact(row_bytes).zip(weights) {
                    let Some(levels) = row[at..].first_chunk::<BLOCK>() else { break };
                    for (sum, &level) in sums.iter_mut().zip(levels) {
                        *sum += i32::from(level) * weight;
                    }
                }
                for (to, &sum) in block.iter_mut().zip(&sums) {
                    *to = level(sum);
                }
                at += BLOCK;
            }
            for (place, out) in (at..).zip(left) {
                let column = rows.iter().skip(place).step_by(row_bytes);
                *out = level(HALF + column.zip(weights).map(|(&level, weight)| i32::from(level) * weight).sum::<i32>());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_resize_gives_the_same_bytes() {
        let rgb: Vec<u8> = (0..61 * 47 * 3_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
        let image = Picture { size: Size { width: 61, height: 47 }, rgb };
        for filter in [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            for (width, height) in [(1, 1), (7, 46), (30, 23), (60, 5), (61, 30), (62, 48), (200, 100)] {
                for left in [0, width / 3] {
                    let area = Area { left, top: height / 4, width: width - left, height: height - height / 4 };
                    let size = Size { width, height };
                    let found = resize(&image, size, filter, area);
                    let mut plain = Resizing::new(image.size, size, filter, area);
                    #[cfg(target_arch = "x86_64")]
                    {
                        plain.fast = None;
                    }
                    let new = || Resizing::new(image.size, size, filter, area);
                    for (resizing, rows) in [(plain, 8), (new(), 8), (new(), 3)] {
                        let expected = in_parts(&image, resizing, rows);
                        assert!(found == expected, "{filter:?} to {width} x {height} from {left}");
                    }
                }
            }
        }
    }

    /// From what is needed alone, so many rows at a time.
    fn in_parts(image: &Picture, mut resizing: Resizing, rows: usize) -> Picture {
        let needed = resizing.needed();
        for rows in image.cut(needed).rgb.chunks(needed.width as usize * 3 * rows) {
            resizing.push(rows, needed);
        }
        resizing.finish()
    }
}
