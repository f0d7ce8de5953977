//! The same transform, two blocks at once: one in the lower and one in the upper half of 256-bit registers.

use pulp::x86::V3;
use pulp::{Simd, WithSimd, cast};
use std::arch::x86_64::{__m128i, __m256i};

use super::{BETWEEN, Blocks, POINT, flat, is_flat};

/// A row of blocks, and the instructions for them.
pub(super) struct Pairs<'a> {
    pub simd: V3,
    pub blocks: Blocks<'a>,
}

impl WithSimd for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { simd, blocks: Blocks { coefficients, steps, samples, left: begin } } = self;
        let row_bytes = samples.len() / 8;
        let doubled_steps = each!([0, 1, 2, 3, 4, 5, 6, 7], row => doubled(simd, row_of(steps, row)));
        let (blocks, _) = coefficients.as_chunks::<64>();
        for (number, pair) in blocks.chunks(2).enumerate() {
            // A block without a neighbour is its own.
            let (Some(left), Some(right)) = (pair.first(), pair.last()) else { return };
            let place = begin + number * 16;
            let samples = samples.chunks_exact_mut(row_bytes);
            if is_flat(left) && is_flat(right) {
                let (left, right) = (flat(left[0], steps[0]), flat(right[0], steps[0]));
                for ((row, left), right) in samples.zip(&left).zip(&right) {
                    put(&mut row[place..], *left, *right);
                }
                continue;
            }
            let rows = each!([0, 1, 2, 3, 4, 5, 6, 7], row => {
                let both = simd.avx._mm256_setr_m128i(row_of(left, row), row_of(right, row));
                simd.avx2._mm256_mullo_epi16(both, doubled_steps[row])
            });
            let columns = pass::<{ (POINT - BETWEEN) as i32 }>(simd, rows);
            let turned = pass::<{ (POINT + BETWEEN + 3) as i32 }>(simd, transposed(simd, columns));
            let rows = bytes(simd, turned);
            for (row, levels) in samples.zip(rows.as_flattened()) {
                put(&mut row[place..], levels[0], levels[1]);
            }
        }
    }
}

/// Eight samples of each block; the second one's only where there is one.
#[inline(always)]
fn put(row: &mut [u8], left: [u8; 8], right: [u8; 8]) {
    match row.first_chunk_mut::<16>() {
        Some(both) => *both = cast([left, right]),
        None => row.copy_from_slice(&left),
    }
}

#[inline(always)]
fn row_of(block: &[i16; 64], row: usize) -> __m128i {
    cast(block.as_chunks::<8>().0[row])
}

#[inline(always)]
fn doubled(simd: V3, row: __m128i) -> __m256i {
    simd.avx2._mm256_broadcastsi128_si256(row)
}

/// 32-bit numbers, those of the first four transforms of each block and those of the last four.
type Wide = [__m256i; 2];

/// Pairs of numbers of two frequencies, times a weight for each, added.
#[inline(always)]
fn turned(simd: V3, pairs: Wide, first: i16, second: i16) -> Wide {
    let weights = simd.avx._mm256_set1_epi32(cast([first, second]));
    each!([pairs[0], pairs[1]], pairs => simd.avx2._mm256_madd_epi16(pairs, weights))
}

#[inline(always)]
fn paired(simd: V3, first: __m256i, second: __m256i) -> Wide {
    [simd.avx2._mm256_unpacklo_epi16(first, second), simd.avx2._mm256_unpackhi_epi16(first, second)]
}

#[inline(always)]
fn added(simd: V3, a: Wide, b: Wide) -> Wide {
    [simd.avx2._mm256_add_epi32(a[0], b[0]), simd.avx2._mm256_add_epi32(a[1], b[1])]
}

#[inline(always)]
fn subtracted(simd: V3, a: Wide, b: Wide) -> Wide {
    [simd.avx2._mm256_sub_epi32(a[0], b[0]), simd.avx2._mm256_sub_epi32(a[1], b[1])]
}

/// As the plain `pass`, with its sums of products taken in other groups: `[frequency]` to `[place]`.
#[inline(always)]
fn pass<const BITS: i32>(simd: V3, input: [__m256i; 8]) -> [__m256i; 8] {
    let half = [simd.avx._mm256_set1_epi32(1 << (BITS - 1)); 2];
    let sum = added(simd, scaled(simd, simd.avx2._mm256_add_epi16(input[0], input[4])), half);
    let difference = added(simd, scaled(simd, simd.avx2._mm256_sub_epi16(input[0], input[4])), half);
    let two_six = paired(simd, input[2], input[6]);
    let low = turned(simd, two_six, 4433 + 6270, 4433);
    let high = turned(simd, two_six, 4433, 4433 - 15137);
    let even = [
        added(simd, sum, low),
        added(simd, difference, high),
        subtracted(simd, difference, high),
        subtracted(simd, sum, low),
    ];
    let seven_three = simd.avx2._mm256_add_epi16(input[7], input[3]);
    let five_one = simd.avx2._mm256_add_epi16(input[5], input[1]);
    let sums = paired(simd, seven_three, five_one);
    let ac = turned(simd, sums, 9633 - 16069, 9633);
    let bd = turned(simd, sums, 9633, 9633 - 3196);
    let (seven_one, five_three) = (paired(simd, input[7], input[1]), paired(simd, input[5], input[3]));
    let odd = [
        added(simd, turned(simd, seven_one, -7373, 12299 - 7373), bd),
        added(simd, turned(simd, five_three, -20995, 25172 - 20995), ac),
        added(simd, turned(simd, five_three, 16819 - 20995, -20995), bd),
        added(simd, turned(simd, seven_one, 2446 - 7373, -7373), ac),
    ];
    let upper = each!([0, 1, 2, 3], place => narrowed::<BITS>(simd, added(simd, even[place], odd[place])));
    let lower = each!([3, 2, 1, 0], place => narrowed::<BITS>(simd, subtracted(simd, even[place], odd[place])));
    [upper[0], upper[1], upper[2], upper[3], lower[0], lower[1], lower[2], lower[3]]
}

/// With 13 bits behind the point.
#[inline(always)]
fn scaled(simd: V3, sum: __m256i) -> Wide {
    // As upper halves of 32 bits first.
    let wide = paired(simd, simd.avx._mm256_setzero_si256(), sum);
    each!([wide[0], wide[1]], half => simd.avx2._mm256_srai_epi32::<{ 16 - POINT as i32 }>(half))
}

/// Without so many bits, in 16 bits.
#[inline(always)]
fn narrowed<const BITS: i32>(simd: V3, wide: Wide) -> __m256i {
    let [first, second] = each!([wide[0], wide[1]], half => simd.avx2._mm256_srai_epi32::<BITS>(half));
    simd.avx2._mm256_packs_epi32(first, second)
}

#[inline(always)]
fn paired_twos(simd: V3, first: __m256i, second: __m256i) -> Wide {
    [simd.avx2._mm256_unpacklo_epi32(first, second), simd.avx2._mm256_unpackhi_epi32(first, second)]
}

#[inline(always)]
fn paired_fours(simd: V3, first: __m256i, second: __m256i) -> Wide {
    [simd.avx2._mm256_unpacklo_epi64(first, second), simd.avx2._mm256_unpackhi_epi64(first, second)]
}

#[inline(always)]
fn transposed(simd: V3, rows: [__m256i; 8]) -> [__m256i; 8] {
    let [a, b, c, d] = each!([0, 2, 4, 6], at => paired(simd, rows[at], rows[at + 1]));
    let [upper, lower] = each!([[a, b], [c, d]], pair => {
        each!([0, 1], at => paired_twos(simd, pair[0][at], pair[1][at]))
    });
    let [[[r0, r1], [r2, r3]], [[r4, r5], [r6, r7]]] = each!([0, 1], half => {
        each!([0, 1], at => paired_fours(simd, upper[half][at], lower[half][at]))
    });
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// From columns of numbers to four times two rows of samples, each of the left block and then of the right one.
#[inline(always)]
fn bytes(simd: V3, columns: [__m256i; 8]) -> [[[[u8; 8]; 2]; 2]; 4] {
    let x = simd.avx2;
    let middle = simd.avx._mm256_set1_epi8(i8::MIN);
    let [c01, c23, c45, c67] = each!([0, 2, 4, 6], at => {
        x._mm256_xor_si256(x._mm256_packs_epi16(columns[at], columns[at + 1]), middle)
    });
    let [left, right] = each!([[c01, c23], [c45, c67]], columns => mixed(simd, columns));
    let [upper, lower] = each!([0, 1], half => paired_twos(simd, left[half], right[half]));
    each!([upper[0], upper[1], lower[0], lower[1]], rows => cast(x._mm256_permute4x64_epi64::<0b11_01_10_00>(rows)))
}

/// Rows of four samples, of four columns that lie behind each other.
#[inline(always)]
fn mixed(simd: V3, [first, second]: [__m256i; 2]) -> Wide {
    let x = simd.avx2;
    let (evens, odds) = (x._mm256_unpacklo_epi8(first, second), x._mm256_unpackhi_epi8(first, second));
    [x._mm256_unpacklo_epi8(evens, odds), x._mm256_unpackhi_epi8(evens, odds)]
}
