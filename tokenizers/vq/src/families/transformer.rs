//! What the transformers of several families take from a checkpoint.

use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{Affine, Conv, LayerNorm, Padding};

/// What the normalisations of a transformer have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norms {
    pub epsilon: f32,
    pub width: usize,
}

pub(crate) fn layer_norm(
    checkpoint: &mut Checkpoint,
    name: &str,
    Norms { epsilon, width }: Norms,
) -> Result<LayerNorm, VqError> {
    Ok(LayerNorm {
        epsilon,
        weight: checkpoint.take(format!("{name}.weight"), &[width])?,
        bias: checkpoint.take(format!("{name}.bias"), &[width])?,
    })
}

pub(crate) fn affine(
    checkpoint: &mut Checkpoint,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<Affine, VqError> {
    Ok(Affine {
        weight: checkpoint.take(format!("{name}.weight"), &[outputs, inputs])?,
        bias: checkpoint.take(format!("{name}.bias"), &[outputs])?,
    })
}

/// A convolution that makes a token of each square of `side` pixels.
pub(crate) fn patches(checkpoint: &mut Checkpoint, name: &str, width: usize, side: usize) -> Result<Conv, VqError> {
    Ok(Conv {
        channels_in: 3,
        channels_out: width,
        kernel: side,
        stride: side,
        padding: Padding::NONE,
        weight: checkpoint.take(format!("{name}.weight"), &[width, 3, side, side])?,
        bias: checkpoint.take(format!("{name}.bias"), &[width])?,
    })
}

/// Three maps whose outputs are stored one after another.
pub(crate) fn thirds(weight: &[f32], bias: &[f32]) -> [Affine; 3] {
    let third = |numbers: &[f32], index: usize| {
        let length = numbers.len() / 3;
        numbers[index * length..(index + 1) * length].to_vec()
    };
    [0, 1, 2].map(|index| Affine { weight: third(weight, index), bias: third(bias, index) })
}
