//! Group normalisation and what follows it.

use pulp::{Arch, Simd, WithSimd};

use super::activation::{Activation, Buffers};
use crate::plan;
use crate::plan::Padding;

/// Normalises into a buffer with the border that the next operation wants.
pub(super) fn group_norm(
    arch: Arch,
    norm: &plan::GroupNorm,
    input: &Activation,
    border: Padding,
    buffers: &mut Buffers,
) -> Activation {
    let mut out = buffers.activation(input.height, input.width, input.channels, border);
    arch.dispatch(Normalise { norm, input, out: &mut out });
    out
}

// Types instead of closures: a closure's body isn't always compiled for the vectors it is called with.
struct Normalise<'a> {
    norm: &'a plan::GroupNorm,
    input: &'a Activation,
    out: &'a mut Activation,
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { norm, input, out } = self;
        let (mean, scale) = statistics(norm, input);
        for y in 0..input.height {
            let (from, to) = (input.row(y), out.row_mut(y));
            for (from, to) in from.chunks_exact(input.channels).zip(to.chunks_exact_mut(input.channels)) {
                let parameters = mean.iter().zip(&scale).zip(&norm.bias);
                for ((to, from), ((mean, scale), bias)) in to.iter_mut().zip(from).zip(parameters) {
                    *to = (from - mean).mul_add(*scale, *bias);
                }
            }
            if norm.activation == plan::Activation::Swish {
                to.iter_mut().for_each(|x| *x = swish(*x));
            }
        }
    }
}

/// The mean and the factor of each channel.
///
/// Sums run within a row in single precision and over rows in double, around each row's own mean, so that a bright flat
/// image loses nothing.
#[inline(always)]
fn statistics(norm: &plan::GroupNorm, input: &Activation) -> (Vec<f32>, Vec<f32>) {
    let (channels, width) = (input.channels, input.width as f64);
    let (mut means, mut squares) = (vec![0.0_f64; channels], vec![0.0_f64; channels]);
    let (mut row_mean, mut row_squares) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
    for y in 0..input.height {
        row_statistics(input.row(y), &mut row_mean, &mut row_squares);
        let before = y as f64;
        for channel in 0..channels {
            let apart = f64::from(row_mean[channel]) - means[channel];
            squares[channel] += f64::from(row_squares[channel]) + apart * apart * width * before / (before + 1.0);
            means[channel] += apart / (before + 1.0);
        }
    }
    let per_group = channels / norm.groups;
    let per_channel = width * input.height as f64;
    let (mut mean, mut scale) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
    for (group, (means, squares)) in means.chunks_exact(per_group).zip(squares.chunks_exact(per_group)).enumerate() {
        let group_mean = means.iter().sum::<f64>() / per_group as f64;
        let between: f64 = means.iter().map(|mean| (mean - group_mean) * (mean - group_mean) * per_channel).sum();
        let variance = (squares.iter().sum::<f64>() + between) / (per_channel * per_group as f64);
        let factor = 1.0 / (variance + f64::from(norm.epsilon)).sqrt();
        for weight in &norm.weight[group * per_group..][..per_group] {
            mean.push(group_mean as f32);
            scale.push((f64::from(*weight) * factor) as f32);
        }
    }
    (mean, scale)
}

/// Each channel's mean over one row, and the sum of the squares around it.
#[inline(always)]
fn row_statistics(row: &[f32], mean: &mut [f32], squares: &mut [f32]) {
    let channels = mean.len();
    mean.fill(0.0);
    squares.fill(0.0);
    for pixel in row.chunks_exact(channels) {
        mean.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
    }
    let width = (row.len() / channels) as f32;
    mean.iter_mut().for_each(|sum| *sum /= width);
    for pixel in row.chunks_exact(channels) {
        for ((sum, x), mean) in squares.iter_mut().zip(pixel).zip(mean.iter()) {
            *sum = (x - mean).mul_add(x - mean, *sum);
        }
    }
}

#[inline(always)]
pub(super) fn swish(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// e to the power of `x` within 2 units in the last place, by the same steps on every machine; clamped to what a normal
/// number can hold.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding this rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 as a short number and the rest, so that the product with a whole number is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = whole.mul_add(-LN2_LOW, whole.mul_add(-LN2_HIGH, x));
    // Coefficients of Cephes' `expf`.
    let series = 1.987_569_1e-4_f32
        .mul_add(rest, 1.398_199_9e-3)
        .mul_add(rest, 8.333_452e-3)
        .mul_add(rest, 4.166_579_6e-2)
        .mul_add(rest, 1.666_666_5e-1)
        .mul_add(rest, 0.5);
    let fraction = series.mul_add(rest * rest, rest + 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    fraction * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_over_its_whole_range() {
        for i in -8_700..8_800 {
            let x = i as f32 / 100.0;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) - expected).abs() <= expected * 2.4e-7, "{x}: {} {expected}", exp(x));
        }
    }

    #[test]
    fn a_bright_flat_image_keeps_its_small_differences() {
        let mut input = Buffers::default().activation(64, 64, 32, Padding::NONE);
        for (i, x) in input.numbers.iter_mut().enumerate() {
            *x = if (i / 32) % 2 == 0 { 1000.5 } else { 999.5 };
        }
        let norm = plan::GroupNorm {
            groups: 32,
            epsilon: 1e-6,
            activation: plan::Activation::None,
            weight: vec![1.0; 32],
            bias: vec![0.0; 32],
        };
        let out = group_norm(Arch::new(), &norm, &input, Padding::NONE, &mut Buffers::default());
        assert!(out.numbers.iter().all(|x| (x.abs() - 1.0).abs() < 1e-4));
    }
}
