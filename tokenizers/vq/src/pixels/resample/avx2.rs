//! The same sums with 256-bit registers: eight rows at a time across, then 32 levels of a row at a time down.
//!
//! A weight of 22 bits is cut in two, so that levels are multiplied and added in pairs of 16 bits.

use std::arch::x86_64::__m256i;

use pulp::x86::V3;
use pulp::{Simd, WithSimd, cast};

use super::{HALF, PRECISION, Weights};

/// Rows that are resized together.
const ROWS: usize = 8;

/// Bits of a weight's lower part, which is signed.
const LOW_BITS: i32 = 11;

/// An image that is resized while its rows come.
pub(super) struct Resizing {
    simd: V3,
    across: Paired,
    down: Paired,
    /// Bytes of a row whose columns are resized.
    middle_bytes: usize,
    /// Of eight rows, as they are multiplied.
    pairs: Vec<[Pair; 3]>,
}

impl Resizing {
    /// `None` if a weight is too large for its upper part.
    pub fn new(simd: V3, columns: &Weights, rows: &Weights) -> Option<Self> {
        let across = Paired::new(columns, true)?;
        let down = Paired::new(rows, false)?;
        let last = across.starts.iter().max().map_or(0, |start| start / 2 + across.count);
        // Rounded up to how many are made at once.
        let pairs = vec![[[[0; 2]; ROWS]; 3]; last.next_multiple_of(4)];
        let middle_bytes = (across.starts.len() * 3 + 1).next_multiple_of(BLOCK);
        Some(Self { simd, across, down, middle_bytes, pairs })
    }

    /// Resizes the columns of some rows, in which `left` pixels come before the first that has a weight, and adds them to
    /// `middle`. Eight rows take as long as fewer.
    pub fn across(&mut self, source: &[u8], row_bytes: usize, left: usize, middle: &mut Vec<u8>) {
        let Self { simd, across: ref weights, middle_bytes: out_row_bytes, ref mut pairs, .. } = *self;
        let begin = middle.len();
        middle.resize(begin + out_row_bytes * (source.len() / row_bytes.max(1)), 0);
        let out = &mut middle[begin..];
        Simd::vectorize(simd, Across { simd, weights, source, row_bytes, left, pairs, out, out_row_bytes });
    }

    /// Resizes the rows that `across` made.
    pub fn down(&self, middle: &[u8]) -> Vec<u8> {
        let out_row_bytes = self.across.starts.len() * 3;
        let mut out = vec![0; out_row_bytes * self.down.starts.len()];
        let Self { simd, down: ref weights, middle_bytes: row_bytes, .. } = *self;
        Simd::vectorize(simd, Down { simd, weights, source: middle, row_bytes, out: &mut out, out_row_bytes });
        out
    }
}

/// Pairs of weights, upper and lower parts, for a place of the result: as many for each.
struct Paired {
    /// The pair of pixels of the original that each place begins with.
    starts: Vec<usize>,
    /// Of all places behind each other: two upper parts, then two lower parts.
    parts: Vec<[[i16; 2]; 2]>,
    /// Pairs of a place.
    count: usize,
}

impl Paired {
    /// Places count from the first one that has a weight; where they are to be `even`, each begins at an even one.
    fn new(weights: &Weights, even: bool) -> Option<Self> {
        let first = weights.needed().start as usize;
        let most = weights.each().map(|(_, weights)| weights.len()).max()?;
        let count = most / 2 + 1;
        let mut paired = Self { starts: Vec::new(), parts: Vec::new(), count };
        let mut padded = vec![0; 2 * count];
        for (start, weights) in weights.each() {
            let start = start - first;
            let skipped = if even { start % 2 } else { 0 };
            padded.fill(0);
            padded[skipped..skipped + weights.len()].copy_from_slice(weights);
            paired.starts.push(start - skipped);
            for &[first, second] in padded.as_chunks().0 {
                let (first, second) = (cut(first)?, cut(second)?);
                paired.parts.push([[first.0, second.0], [first.1, second.1]]);
            }
        }
        Some(paired)
    }

    fn each(&self) -> impl Iterator<Item = (usize, &[[[i16; 2]; 2]])> {
        self.starts.iter().copied().zip(self.parts.chunks_exact(self.count))
    }
}

/// The upper and the lower part of a weight.
fn cut(weight: i32) -> Option<(i16, i16)> {
    let upper = (weight + (1 << (LOW_BITS - 1))) >> LOW_BITS;
    Some((i16::try_from(upper).ok()?, (weight - (upper << LOW_BITS)) as i16))
}

/// Sums of eight pairs of levels each, by the upper and by the lower parts of weights.
#[derive(Clone, Copy)]
struct Sums {
    upper: __m256i,
    lower: __m256i,
}

impl Sums {
    #[inline(always)]
    fn zero(simd: V3) -> Self {
        let zero = simd.avx._mm256_setzero_si256();
        Self { upper: zero, lower: zero }
    }

    #[inline(always)]
    fn add(&mut self, simd: V3, levels: __m256i, [upper, lower]: [__m256i; 2]) {
        let x = simd.avx2;
        self.upper = x._mm256_add_epi32(self.upper, x._mm256_madd_epi16(levels, upper));
        self.lower = x._mm256_add_epi32(self.lower, x._mm256_madd_epi16(levels, lower));
    }

    /// Rounded, but not yet clipped to a level.
    #[inline(always)]
    fn rounded(self, simd: V3) -> __m256i {
        let x = simd.avx2;
        let sum = x._mm256_add_epi32(x._mm256_slli_epi32::<LOW_BITS>(self.upper), self.lower);
        x._mm256_srai_epi32::<{ PRECISION as i32 }>(x._mm256_add_epi32(sum, simd.avx._mm256_set1_epi32(HALF)))
    }
}

#[inline(always)]
fn spread(simd: V3, parts: &[[i16; 2]; 2]) -> [__m256i; 2] {
    each!([parts[0], parts[1]], pair => simd.avx._mm256_set1_epi32(cast(pair)))
}

/// Resizes rows across.
struct Across<'a> {
    simd: V3,
    weights: &'a Paired,
    /// Rows of pixels.
    source: &'a [u8],
    row_bytes: usize,
    /// The pixel of each row that weights begin with.
    left: usize,
    pairs: &'a mut [[Pair; 3]],
    /// As many rows; what lies in them behind the pixels of the result is of no meaning afterwards.
    out: &'a mut [u8],
    out_row_bytes: usize,
}

/// Two neighbouring levels of one colour, of eight rows.
type Pair = [[u8; 2]; ROWS];

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { simd, weights, source, row_bytes, left, pairs, out, out_row_bytes } = self;
        let sources = source.chunks(row_bytes * ROWS);
        for (source, out) in sources.zip(out.chunks_mut(out_row_bytes * ROWS)) {
            gather(simd, source, row_bytes, left, pairs);
            for (x, (start, parts)) in weights.each().enumerate() {
                let mut sums = [Sums::zero(simd); 3];
                for (pairs, parts) in pairs[start / 2..].iter().zip(parts) {
                    let parts = spread(simd, parts);
                    for (sums, pair) in sums.iter_mut().zip(pairs) {
                        sums.add(simd, simd.avx2._mm256_cvtepu8_epi16(cast(*pair)), parts);
                    }
                }
                let pixels = pixels(simd, sums);
                for (row, pixel) in out.chunks_exact_mut(out_row_bytes).zip(pixels) {
                    // One byte too many, which the next pixel replaces.
                    if let Some(four) = row[x * 3..].first_chunk_mut::<4>() {
                        *four = pixel;
                    }
                }
            }
        }
    }
}

/// Red, green, blue and nothing, of eight rows.
#[inline(always)]
fn pixels(simd: V3, sums: [Sums; 3]) -> [[u8; 4]; ROWS] {
    let x = simd.avx2;
    let (zero, most) = (simd.avx._mm256_setzero_si256(), simd.avx._mm256_set1_epi32(255));
    let [red, green, blue] = each!([sums[0], sums[1], sums[2]], sums => {
        x._mm256_min_epi32(x._mm256_max_epi32(sums.rounded(simd), zero), most)
    });
    let green = x._mm256_slli_epi32::<8>(green);
    let blue = x._mm256_slli_epi32::<16>(blue);
    cast(x._mm256_or_si256(x._mm256_or_si256(red, green), blue))
}

/// Four pixels as pairs of levels: two of red, of green, of blue, twice; then nothing.
const PAIRS: [u8; 16] = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, 128, 128, 128, 128];

/// Brings up to eight rows into pairs, eight pixels at a time.
#[inline(always)]
fn gather(simd: V3, source: &[u8], row_bytes: usize, left: usize, pairs: &mut [[Pair; 3]]) {
    let x = simd.avx2;
    let order = x._mm256_broadcastsi128_si256(cast(PAIRS));
    let rows = source.len() / row_bytes;
    let row = |row: usize| {
        // Rows that there aren't are read as the first one, and come to nothing.
        let begin = if row < rows { row * row_bytes } else { 0 };
        &source[begin + left * 3..begin + row_bytes]
    };
    let rows = [0, 1, 2, 3, 4, 5, 6, 7].map(row);
    for (number, pairs) in pairs.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let at = number * 24;
        let rows = each!([0, 1, 2, 3, 4, 5, 6, 7], row => {
            let row = rows[row];
            let both = simd.avx._mm256_setr_m128i(cast(sixteen(row, at)), cast(sixteen(row, at + 12)));
            x._mm256_shuffle_epi8(both, order)
        });
        let [a, b, c, d, e, f] = six_of_transposed(simd, rows);
        let [first, second, third, fourth, fifth, sixth]: [[Pair; 2]; 6] =
            each!([a, b, c, d, e, f], both => cast(both));
        pairs[0] = [first[0], second[0], third[0]];
        pairs[1] = [fourth[0], fifth[0], sixth[0]];
        pairs[2] = [first[1], second[1], third[1]];
        pairs[3] = [fourth[1], fifth[1], sixth[1]];
    }
}

/// Bytes of a row, or zeros behind its end.
#[inline(always)]
fn sixteen(row: &[u8], at: usize) -> [u8; 16] {
    let rest = row.get(at..).unwrap_or_default();
    if let Some(bytes) = rest.first_chunk() {
        return *bytes;
    }
    let mut bytes = [0; 16];
    bytes[..rest.len()].copy_from_slice(rest);
    bytes
}

/// Of the transposed 16-bit numbers of each half, the first six rows.
#[inline(always)]
fn six_of_transposed(simd: V3, rows: [__m256i; ROWS]) -> [__m256i; 6] {
    let x = simd.avx2;
    let [a, b, c, d] = each!([0, 2, 4, 6], at => {
        [x._mm256_unpacklo_epi16(rows[at], rows[at + 1]), x._mm256_unpackhi_epi16(rows[at], rows[at + 1])]
    });
    let [upper, lower] = each!([[a, b], [c, d]], pair => [
        x._mm256_unpacklo_epi32(pair[0][0], pair[1][0]),
        x._mm256_unpackhi_epi32(pair[0][0], pair[1][0]),
        x._mm256_unpacklo_epi32(pair[0][1], pair[1][1])
    ]);
    let [[first, second], [third, fourth], [fifth, sixth]] = each!([0, 1, 2], at => {
        [x._mm256_unpacklo_epi64(upper[at], lower[at]), x._mm256_unpackhi_epi64(upper[at], lower[at])]
    });
    [first, second, third, fourth, fifth, sixth]
}

/// Resizes rows down.
struct Down<'a> {
    simd: V3,
    weights: &'a Paired,
    /// Rows of a multiple of 32 bytes.
    source: &'a [u8],
    row_bytes: usize,
    /// Rows of as many bytes or fewer.
    out: &'a mut [u8],
    out_row_bytes: usize,
}

/// Levels of a row that are made at once.
const BLOCK: usize = 32;

impl WithSimd for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { simd, weights, source, row_bytes, out, out_row_bytes } = self;
        let rows: Vec<&[[u8; BLOCK]]> = source.chunks_exact(row_bytes).map(|row| row.as_chunks().0).collect();
        let Some(last) = rows.len().checked_sub(1) else { return };
        for (out, (start, parts)) in out.chunks_exact_mut(out_row_bytes).zip(weights.each()) {
            for (at, out) in out.chunks_mut(BLOCK).enumerate() {
                let mut sums = [Sums::zero(simd); 4];
                for (number, parts) in parts.iter().enumerate() {
                    // Rows behind the last one have no weight.
                    let row = start + 2 * number;
                    let (first, second) = (rows[row.min(last)][at], rows[(row + 1).min(last)][at]);
                    let parts = spread(simd, parts);
                    for (sums, levels) in sums.iter_mut().zip(paired(simd, cast(first), cast(second))) {
                        sums.add(simd, levels, parts);
                    }
                }
                let levels: [u8; BLOCK] = cast(packed(simd, sums));
                out.copy_from_slice(&levels[..out.len()]);
            }
        }
    }
}

/// Levels of two rows side by side, in 16 bits, in the order that `packed` undoes.
#[inline(always)]
fn paired(simd: V3, first: __m256i, second: __m256i) -> [__m256i; 4] {
    let x = simd.avx2;
    let zero = simd.avx._mm256_setzero_si256();
    let (low, high) = (x._mm256_unpacklo_epi8(first, second), x._mm256_unpackhi_epi8(first, second));
    [
        x._mm256_unpacklo_epi8(low, zero),
        x._mm256_unpackhi_epi8(low, zero),
        x._mm256_unpacklo_epi8(high, zero),
        x._mm256_unpackhi_epi8(high, zero),
    ]
}

#[inline(always)]
fn packed(simd: V3, sums: [Sums; 4]) -> __m256i {
    let [a, b, c, d] = each!([sums[0], sums[1], sums[2], sums[3]], sums => sums.rounded(simd));
    simd.avx2._mm256_packus_epi16(simd.avx2._mm256_packs_epi32(a, b), simd.avx2._mm256_packs_epi32(c, d))
}
