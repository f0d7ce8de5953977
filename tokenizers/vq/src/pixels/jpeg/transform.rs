//! The inverse cosine transform of libjpeg's `JDCT_ISLOW`: Loeffler, Ligtenberg and Moschytz (1989), in 13-bit fixed
//! point, with 2 more bits between columns and rows.

use std::num::Wrapping;

use pulp::{Arch, Simd, WithSimd};

#[cfg(target_arch = "x86_64")]
mod avx2;

const POINT: u32 = 13;
const BETWEEN: u32 = 2;

/// A row of blocks, to become eight rows of samples.
pub(super) struct Blocks<'a> {
    pub coefficients: &'a [i16],
    pub steps: &'a [i16; 64],
    pub samples: &'a mut [u8],
    /// The place of the first one's samples in each row.
    pub left: usize,
}

impl Blocks<'_> {
    pub fn transform(self) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Simd::vectorize(simd, avx2::Pairs { simd, blocks: self });
        }
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let row_bytes = self.samples.len() / 8;
        for (number, block) in self.coefficients.as_chunks::<64>().0.iter().enumerate() {
            let left = self.left + number * 8;
            let rows = if is_flat(block) { flat(block[0], self.steps[0]) } else { transformed(block, self.steps) };
            for (row, levels) in self.samples.chunks_exact_mut(row_bytes).zip(&rows) {
                row[left..left + 8].copy_from_slice(levels);
            }
        }
    }
}

/// Whether a block has only its mean.
#[inline(always)]
fn is_flat(block: &[i16; 64]) -> bool {
    block[1..].iter().fold(0, |all, &level| all | level) == 0
}

/// The samples of such a block.
#[inline(always)]
fn flat(mean: i16, step: i16) -> [[u8; 8]; 8] {
    let mean = i32::from(mean.wrapping_mul(step)) << BETWEEN;
    [[sample(rounded(mean, BETWEEN + 3)); 8]; 8]
}

#[inline(always)]
fn transformed(block: &[i16; 64], steps: &[i16; 64]) -> [[u8; 8]; 8] {
    let mut lanes = [[0_i32; 8]; 8];
    for (lane, (levels, steps)) in lanes.iter_mut().zip(block.as_chunks::<8>().0.iter().zip(steps.as_chunks::<8>().0)) {
        for (to, (level, step)) in lane.iter_mut().zip(levels.iter().zip(steps)) {
            *to = i32::from(level.wrapping_mul(*step));
        }
    }
    // All columns at once, then all rows at once.
    let columns = pass(&lanes, POINT - BETWEEN);
    let rows = pass(&transposed(&columns), POINT + BETWEEN + 3);
    let mut samples = [[0; 8]; 8];
    for (samples, row) in samples.iter_mut().zip(&transposed(&rows)) {
        for (to, &level) in samples.iter_mut().zip(row) {
            *to = sample(level);
        }
    }
    samples
}

#[inline(always)]
fn sample(level: i32) -> u8 {
    (level + 128).clamp(0, 255) as u8
}

#[inline(always)]
fn rounded(number: i32, bits: u32) -> i32 {
    number.wrapping_add(1 << (bits - 1)) >> bits
}

#[inline(always)]
fn transposed(lanes: &[[i32; 8]; 8]) -> [[i32; 8]; 8] {
    let mut turned = [[0; 8]; 8];
    for (row, lane) in lanes.iter().enumerate() {
        for (column, &number) in lane.iter().enumerate() {
            turned[column][row] = number;
        }
    }
    turned
}

/// One dimension of eight transforms side by side: `input[frequency][transform]` to `[place][transform]`.
#[inline(always)]
fn pass(input: &[[i32; 8]; 8], bits: u32) -> [[i32; 8]; 8] {
    let mut output = [[0; 8]; 8];
    for lane in 0..8 {
        let at = |frequency: usize| Wrapping(input[frequency][lane]);
        let turned = (at(2) + at(6)) * Wrapping(4433);
        let (low, high) = (turned + at(2) * Wrapping(6270), turned - at(6) * Wrapping(15137));
        let one = Wrapping(1 << POINT);
        let (sum, difference) = (narrow(at(0) + at(4)) * one, narrow(at(0) - at(4)) * one);
        let even = [sum + low, difference + high, difference - high, sum - low];
        let (a, b, c, d) = (at(7), at(5), at(3), at(1));
        let (ac, bd) = (narrow(a + c), narrow(b + d));
        let all = (ac + bd) * Wrapping(9633);
        let (ac, bd) = (ac * Wrapping(-16069) + all, bd * Wrapping(-3196) + all);
        let (ad, bc) = ((a + d) * Wrapping(-7373), (b + c) * Wrapping(-20995));
        let odd = [
            d * Wrapping(12299) + ad + bd,
            c * Wrapping(25172) + bc + ac,
            b * Wrapping(16819) + bc + bd,
            a * Wrapping(2446) + ad + ac,
        ];
        for place in 0..4 {
            output[place][lane] = saturated(rounded((even[place] + odd[place]).0, bits));
            output[7 - place][lane] = saturated(rounded((even[place] - odd[place]).0, bits));
        }
    }
    output
}

/// A sum that libjpeg-turbo makes in 16 bits.
#[inline(always)]
fn narrow(sum: Wrapping<i32>) -> Wrapping<i32> {
    Wrapping(i32::from(sum.0 as i16))
}

/// What libjpeg-turbo keeps in 16 bits.
#[inline(always)]
fn saturated(number: i32) -> i32 {
    number.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_transform_gives_the_same_samples() {
        // From numbers that pictures have to numbers that only damaged files have; flat blocks and blocks in odd places.
        let mut state = 1_u32;
        let mut next = |bound: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((i64::from(state >> 4) * i64::from(2 * bound + 1)) >> 28) as i32 - bound
        };
        for (bound, count) in [(3, 1), (60, 2), (1000, 5), (32_767, 8)] {
            let mut coefficients: Vec<i16> = (0..count * 64).map(|_| next(bound) as i16).collect();
            coefficients[(count - 1) * 64 + 1..].fill(0);
            let steps: [i16; 64] = std::array::from_fn(|_| next(50).unsigned_abs() as i16 + 1);
            let (mut plain, mut fast) = (vec![0; count * 64], vec![0; count * 64]);
            let blocks = Blocks { coefficients: &coefficients, steps: &steps, samples: &mut plain, left: 0 };
            pulp::Scalar::new().vectorize(blocks);
            Blocks { coefficients: &coefficients, steps: &steps, samples: &mut fast, left: 0 }.transform();
            assert_eq!(plain, fast, "levels up to {bound}");
        }
    }
}
