//! A transformer over the places of an image and queries behind them.

use pulp::{Arch, Simd, WithSimd};

use super::activation::{Activation, Buffers};
use super::attention::Softmax;
use super::matrix::{Left, Packed, multiply};
use super::norm::swish;
use crate::plan::{Affine, Block, Heads, Hidden, LayerNorm, Order, Padding, Sight, Transformer};

/// Tokens whose weights over all tokens are held at once.
const ROWS: usize = 32;

#[derive(Debug)]
pub(super) struct PackedTransformer {
    width: usize,
    place_norm: Option<LayerNorm>,
    before: Vec<f32>,
    positions: Vec<f32>,
    queries: Vec<f32>,
    norm_in: Option<LayerNorm>,
    heads: Heads,
    blocks: Vec<PackedBlock>,
    norm_out: LayerNorm,
    order: Order,
    rows: usize,
}

#[derive(Debug)]
struct PackedBlock {
    norm_1: LayerNorm,
    /// Queries, keys and values side by side.
    attended: [Packed; 3],
    head_norms: Option<[LayerNorm; 2]>,
    projection: Packed,
    norm_2: LayerNorm,
    widen: Packed,
    hidden: Hidden,
    narrow: Packed,
}

impl PackedTransformer {
    pub fn new(plan: Transformer) -> Self {
        let Transformer { width, place_norm, before, positions, queries, norm_in, attention, blocks, .. } = plan;
        let (norm_out, order, rows) = (plan.norm_out, plan.order, plan.rows);
        let blocks = blocks.into_iter().map(|block| PackedBlock::new(block, width)).collect();
        Self { width, place_norm, before, positions, queries, norm_in, heads: attention, blocks, norm_out, order, rows }
    }

    pub fn run(&self, arch: Arch, input: &Activation, buffers: &mut Buffers) -> Activation {
        let mut tokens = self.tokens(input, buffers);
        let unmasked = (tokens.len() - self.queries.len()) / self.width;
        for block in &self.blocks {
            block.run(arch, &self.heads, unmasked, &mut tokens, buffers);
        }
        let count = self.queries.len() / self.width;
        let mut out = buffers.activation(self.rows, count / self.rows, self.width, Padding::NONE);
        let answers = &mut tokens[unmasked * self.width..];
        normalise(&self.norm_out, answers);
        match self.order {
            Order::Tokens => out.numbers.copy_from_slice(answers),
            Order::Mixed => {
                for (place, to) in out.numbers.chunks_exact_mut(self.width).enumerate() {
                    to.iter_mut().enumerate().for_each(|(channel, to)| *to = answers[channel * count + place]);
                }
            }
        }
        buffers.give_back(tokens);
        out
    }

    /// All tokens as the first block sees them.
    fn tokens(&self, input: &Activation, buffers: &mut Buffers) -> Vec<f32> {
        let place_count = input.height * input.width * self.width;
        let mut tokens = buffers.numbers(self.before.len() + place_count + self.queries.len());
        let (before, rest) = tokens.split_at_mut(self.before.len());
        let (places, queries) = rest.split_at_mut(place_count);
        before.copy_from_slice(&self.before);
        queries.copy_from_slice(&self.queries);
        for (y, row) in places.chunks_exact_mut(input.width * self.width).enumerate() {
            row.copy_from_slice(input.row(y));
        }
        if let Some(norm) = &self.place_norm {
            normalise(norm, places);
        }
        places.iter_mut().zip(&self.positions).for_each(|(number, position)| *number += position);
        if let Some(norm) = &self.norm_in {
            normalise(norm, &mut tokens);
        }
        tokens
    }
}

impl PackedBlock {
    fn new(block: Block, width: usize) -> Self {
        let Block { norm_1, query, key, value, head_norms, projection, norm_2, widen, hidden, narrow } = block;
        let attended = [query, key, value].map(|affine| pack(&affine, width));
        let wide = widen.bias.len();
        Self {
            norm_1,
            attended,
            head_norms,
            projection: pack(&projection, width),
            norm_2,
            widen: pack(&widen, width),
            hidden,
            narrow: pack(&narrow, wide),
        }
    }

    fn run(&self, arch: Arch, heads: &Heads, unmasked: usize, tokens: &mut [f32], buffers: &mut Buffers) {
        let width = self.norm_1.weight.len();
        let count = tokens.len() / width;
        let mut normed = buffers.numbers(tokens.len());
        normed.copy_from_slice(tokens);
        normalise(&self.norm_1, &mut normed);
        let mut attended = self.attended.each_ref().map(|packed| affine(arch, packed, &normed, count, buffers));
        let [query, key, _] = &mut attended;
        self.prepare(heads, width, [query, key]);
        attend(arch, heads, unmasked, width, &attended, &mut normed, buffers);
        let added = affine(arch, &self.projection, &normed, count, buffers);
        tokens.iter_mut().zip(&added).for_each(|(sum, x)| *sum += x);
        buffers.give_back(added);
        attended.into_iter().for_each(|numbers| buffers.give_back(numbers));

        normed.copy_from_slice(tokens);
        normalise(&self.norm_2, &mut normed);
        let mut wide = affine(arch, &self.widen, &normed, count, buffers);
        arch.dispatch(Bend { hidden: self.hidden, numbers: &mut wide });
        let added = affine(arch, &self.narrow, &wide, count, buffers);
        tokens.iter_mut().zip(&added).for_each(|(sum, x)| *sum += x);
        [normed, wide, added].into_iter().for_each(|numbers| buffers.give_back(numbers));
    }

    /// Normalises each head's queries and keys, and turns those of places.
    fn prepare(&self, heads: &Heads, width: usize, sides: [&mut [f32]; 2]) {
        let pairs = width / heads.count / 2;
        for (side, numbers) in sides.into_iter().enumerate() {
            if let Some(norms) = &self.head_norms {
                normalise(&norms[side], numbers);
            }
            if heads.rotation.is_empty() {
                continue;
            }
            for (token, angles) in numbers.chunks_exact_mut(width).zip(heads.rotation.chunks_exact(pairs)) {
                for head in token.chunks_exact_mut(pairs * 2) {
                    for (pair, (cosine, sine)) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                        let [x, y] = *pair;
                        *pair = [cosine * x - sine * y, sine * x + cosine * y];
                    }
                }
            }
        }
    }
}

/// Writes each head's mixture of values to `mixed`, side by side.
fn attend(
    arch: Arch,
    heads: &Heads,
    unmasked: usize,
    width: usize,
    [query, key, value]: &[Vec<f32>; 3],
    mixed: &mut [f32],
    buffers: &mut Buffers,
) {
    let (count, size) = (query.len() / width, width / heads.count);
    let scale = 1.0 / (size as f32).sqrt();
    let mut weights = buffers.numbers(ROWS * count);
    let mut out = buffers.numbers(ROWS * size);
    for from in (0..heads.count).map(|head| head * size) {
        let keys = Packed::new(size, count, None, |row, column| key[column * width + from + row] * scale);
        let values = Packed::new(count, size, None, |row, column| value[row * width + from + column]);
        for first in (0..count).step_by(ROWS) {
            let rows = ROWS.min(count - first);
            let weights = &mut weights[..rows * count];
            let numbers = &query[first * width + from..];
            multiply(arch, Left { numbers, starts: &[0], step: width, segment: size, rows }, &keys, weights);
            let hidden = |row: usize| match heads.sight {
                Sight::All => count,
                Sight::Causal => unmasked.max(first + row + 1),
            };
            let hide = |weights: &mut [f32], number| {
                weights
                    .chunks_exact_mut(count)
                    .enumerate()
                    .for_each(|(row, weights)| weights[hidden(row)..].fill(number));
            };
            hide(weights, f32::NEG_INFINITY);
            arch.dispatch(Softmax { rows: weights, length: count });
            // What is hidden has hardly any weight now; none is what it should have.
            hide(weights, 0.0);
            let left = Left { numbers: weights, starts: &[0], step: count, segment: count, rows };
            multiply(arch, left, &values, &mut out[..rows * size]);
            for (row, out) in out[..rows * size].chunks_exact(size).enumerate() {
                mixed[(first + row) * width + from..][..size].copy_from_slice(out);
            }
        }
    }
    buffers.give_back(weights);
    buffers.give_back(out);
}

fn pack(affine: &Affine, inputs: usize) -> Packed {
    Packed::new(inputs, affine.bias.len(), Some(&affine.bias), |row, out| affine.weight[out * inputs + row])
}

fn affine(arch: Arch, packed: &Packed, numbers: &[f32], rows: usize, buffers: &mut Buffers) -> Vec<f32> {
    let inputs = numbers.len() / rows;
    let mut out = buffers.numbers(rows * packed.columns);
    multiply(arch, Left { numbers, starts: &[0], step: inputs, segment: inputs, rows }, packed, &mut out);
    out
}

/// Sums run in double precision, so that their order hardly matters, and it is the same everywhere.
fn normalise(norm: &LayerNorm, numbers: &mut [f32]) {
    let width = norm.weight.len();
    for token in numbers.chunks_exact_mut(width) {
        let mean = token.iter().map(|x| f64::from(*x)).sum::<f64>() / width as f64;
        let squares: f64 = token.iter().map(|x| (f64::from(*x) - mean) * (f64::from(*x) - mean)).sum();
        let scale = 1.0 / (squares / width as f64 + f64::from(norm.epsilon)).sqrt();
        for (x, (weight, bias)) in token.iter_mut().zip(norm.weight.iter().zip(&norm.bias)) {
            *x = ((f64::from(*x) - mean) * scale) as f32 * weight + bias;
        }
    }
}

struct Bend<'a> {
    hidden: Hidden,
    numbers: &'a mut [f32],
}

impl WithSimd for Bend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.hidden {
            Hidden::Gelu => self.numbers.iter_mut().for_each(|x| *x = gelu(*x)),
            Hidden::Swish => self.numbers.iter_mut().for_each(|x| *x = swish(*x)),
        }
    }
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normalised_token_has_the_norms_mean_and_deviation() {
        let norm = LayerNorm { epsilon: 0.0, weight: vec![2.0; 4], bias: vec![1.0; 4] };
        let mut numbers = vec![1e6, 1e6, 1e6 + 2.0, 1e6 + 2.0, -1.0, 1.0, -1.0, 1.0];
        normalise(&norm, &mut numbers);
        assert_eq!(numbers, [-1.0, -1.0, 3.0, 3.0, -1.0, 3.0, -1.0, 3.0]);
    }

    #[test]
    fn gelu_is_nothing_far_below_zero_and_its_input_far_above() {
        assert_eq!((gelu(-20.0), gelu(0.0), gelu(20.0)), (0.0, 0.0, 20.0));
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-7);
    }
}
