//! Normalisation whose factors follow from the activation that a plan starts with.

use pulp::Arch;

use super::activation::{Activation, Buffers};
use super::norm::group_norm;
use crate::plan::{self, Affine, GroupNorm, Padding, StyleNorm};

/// The mean and the variance of each channel over all places, the variance as of a sample.
#[derive(Debug, Default)]
pub(super) struct Look {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Look {
    pub fn of(input: &Activation) -> Self {
        let places = (input.height * input.width) as f64;
        let over_places = |term: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; input.channels];
            for y in 0..input.height {
                for place in input.row(y).chunks_exact(input.channels) {
                    for (channel, (sum, x)) in sums.iter_mut().zip(place).enumerate() {
                        *sum += term(channel, f64::from(*x));
                    }
                }
            }
            sums
        };
        let mean: Vec<f64> = over_places(&|_, x| x).into_iter().map(|sum| sum / places).collect();
        let squares = over_places(&|channel, x| (x - mean[channel]) * (x - mean[channel]));
        // A grid of one place has no variance as of a sample, and PyTorch gives no number for it either.
        let variance = squares.into_iter().map(|sum| sum / (places - 1.0).max(1.0)).collect();
        Self { mean, variance }
    }
}

pub(super) fn style_norm(
    arch: Arch,
    norm: &StyleNorm,
    look: &Look,
    input: &Activation,
    buffers: &mut Buffers,
) -> Activation {
    let epsilon = f64::from(norm.epsilon);
    let deviation: Vec<f64> = look.variance.iter().map(|variance| (variance + epsilon).sqrt()).collect();
    let norm = GroupNorm {
        groups: norm.groups,
        epsilon: norm.epsilon,
        activation: plan::Activation::None,
        weight: apply(&norm.factor, &deviation),
        bias: apply(&norm.summand, &look.mean),
    };
    group_norm(arch, &norm, input, Padding::NONE, buffers)
}

fn apply(affine: &Affine, x: &[f64]) -> Vec<f32> {
    let rows = affine.weight.chunks_exact(x.len());
    let row = |(row, bias): (&[f32], &f32)| {
        (row.iter().zip(x).map(|(weight, x)| f64::from(*weight) * x).sum::<f64>() + f64::from(*bias)) as f32
    };
    rows.zip(&affine.bias).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_of_an_activation_is_its_means_and_deviations() {
        let input = Activation {
            height: 1,
            width: 3,
            channels: 2,
            border: Padding::NONE,
            numbers: vec![1., 5., 2., 5., 6., 5.],
        };
        let look = Look::of(&input);
        assert_eq!((look.mean, look.variance), (vec![3.0, 5.0], vec![7.0, 0.0]));
    }
}
