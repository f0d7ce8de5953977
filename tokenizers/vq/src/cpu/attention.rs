//! Attention of one head over all places of an image.

use pulp::{Arch, Simd, WithSimd};

use super::activation::{Activation, Buffers};
use super::conv::PackedConv;
use super::matrix::{Left, Packed, multiply};
use super::norm::exp;
use crate::plan;

/// Places whose weights are held at once, so that memory grows with the image and not with its square.
const QUERIES: usize = 32;

#[derive(Debug)]
pub(super) struct PackedAttention {
    query: PackedConv,
    key: PackedConv,
    value: PackedConv,
    projection: PackedConv,
}

impl PackedAttention {
    pub fn new(attention: &plan::Attention) -> Self {
        Self {
            query: PackedConv::new(&attention.query),
            key: PackedConv::new(&attention.key),
            value: PackedConv::new(&attention.value),
            projection: PackedConv::new(&attention.projection),
        }
    }

    pub fn run(&self, arch: Arch, input: &Activation, buffers: &mut Buffers) -> Activation {
        let (channels, places) = (input.channels, input.height * input.width);
        let query = self.query.run(arch, input, buffers);
        let key = self.key.run(arch, input, buffers);
        let value = self.value.run(arch, input, buffers);
        let scale = 1.0 / (channels as f32).sqrt();
        let keys = Packed::new(channels, places, None, |row, column| key.numbers[column * channels + row] * scale);
        let values = Packed::new(places, channels, None, |row, column| value.numbers[row * channels + column]);
        let mut mixed = key;
        let mut weights = buffers.numbers(QUERIES * places);
        for first in (0..places).step_by(QUERIES) {
            let rows = QUERIES.min(places - first);
            let weights = &mut weights[..rows * places];
            let numbers = &query.numbers[first * channels..];
            multiply(arch, Left { numbers, starts: &[0], step: channels, segment: channels, rows }, &keys, weights);
            arch.dispatch(Softmax { rows: weights, length: places });
            let left = Left { numbers: weights, starts: &[0], step: places, segment: places, rows };
            multiply(arch, left, &values, &mut mixed.numbers[first * channels..][..rows * channels]);
        }
        let out = self.projection.run(arch, &mixed, buffers);
        for numbers in [query.numbers, value.numbers, mixed.numbers, weights] {
            buffers.give_back(numbers);
        }
        out
    }
}

/// Turns each row into positive numbers that add up to one.
pub(super) struct Softmax<'a> {
    pub rows: &'a mut [f32],
    pub length: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.length) {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|x| *x = exp(*x - largest));
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|x| *x /= sum);
        }
    }
}
