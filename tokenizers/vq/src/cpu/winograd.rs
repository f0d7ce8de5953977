//! Convolution with 3x3 kernels in a quarter of the multiplications.
//!
//! Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016): a
//! tile of 4x4 outputs is the transform of 36 products of transformed inputs with transformed weights. The transforms
//! interpolate at 0, ±5/8, ±3/2 and infinity, where single precision loses least: about 1.7 times what a plain sum loses.

use pulp::{Arch, Simd, WithSimd};

use super::activation::{Activation, Buffers};
use super::matrix::{Left, PANEL, Target, multiply_panel, store_vector};
use crate::plan::{Conv, Padding};

/// Side of a tile of outputs.
const TILE: usize = 4;
/// Side of the inputs that a tile of outputs needs.
const WINDOW: usize = TILE + 2;
const POSITIONS: usize = WINDOW * WINDOW;
/// Transformed inputs that are held at once, so that they stay in a core's own cache.
const HELD_NUMBERS: usize = 112 * 1024;
/// Fewer tiles than this waste what is loaded of the weights.
const LEAST_TILES: usize = 12;

const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// A 3x3 convolution of stride 1 over the image's own size, with transformed weights.
#[derive(Debug)]
pub(super) struct Winograd {
    channels_in: usize,
    channels_out: usize,
    /// `[panel][position][in][PANEL]`, zeros behind the last channel.
    weights: Vec<f32>,
    /// `[panel][PANEL]`.
    bias: Vec<f32>,
}

impl Winograd {
    /// None where the convolution is of another kind.
    pub fn new(conv: &Conv) -> Option<Self> {
        let fits = conv.kernel == 3 && conv.stride == 1 && conv.padding == Padding { before: 1, after: 1 };
        (fits && conv.channels_in.is_multiple_of(16)).then(|| Self::transform(conv))
    }

    fn transform(conv: &Conv) -> Self {
        let (channels_in, channels_out) = (conv.channels_in, conv.channels_out);
        let panels = channels_out.div_ceil(PANEL);
        let transform = kernel_transform();
        let mut weights = vec![0.0; panels * POSITIONS * channels_in * PANEL];
        for out in 0..channels_out {
            for channel in 0..channels_in {
                let kernel = &conv.weight[(out * channels_in + channel) * 9..][..9];
                for (position, value) in transformed_kernel(&transform, kernel).into_iter().enumerate() {
                    let row = (out / PANEL * POSITIONS + position) * channels_in + channel;
                    weights[row * PANEL + out % PANEL] = value;
                }
            }
        }
        let mut bias = vec![0.0; panels * PANEL];
        bias[..channels_out].copy_from_slice(&conv.bias);
        Self { channels_in, channels_out, weights, bias }
    }

    pub fn run(&self, arch: Arch, input: &Activation, buffers: &mut Buffers) -> Activation {
        let mut out = buffers.activation(input.height, input.width, self.channels_out, Padding::NONE);
        let across = input.width.div_ceil(TILE);
        let held = HELD_NUMBERS / (POSITIONS * self.channels_in) / LEAST_TILES * LEAST_TILES;
        let tiles = held.max(LEAST_TILES);
        let tile_rows = tiles.div_ceil(across).min(input.height.div_ceil(TILE));
        let tiles = tiles.min(tile_rows * across);
        let band_width = across * TILE + 2;
        let mut band = buffers.numbers((tile_rows * TILE + 2) * band_width * self.channels_in);
        let mut windows = buffers.numbers(POSITIONS * tiles * self.channels_in);
        let mut products = buffers.numbers(POSITIONS * tiles * PANEL);
        arch.dispatch(Convolve {
            conv: self,
            input,
            grid: Tiles { across, rows: tile_rows, held: tiles },
            band: &mut band,
            windows: &mut windows,
            products: &mut products,
            out: &mut out,
        });
        for numbers in [band, windows, products] {
            buffers.give_back(numbers);
        }
        out
    }
}

/// `G`, in double precision.
fn kernel_transform() -> [[f64; 3]; WINDOW] {
    let (a, b, a2, b2) = (f64::from(A), f64::from(B), f64::from(A2), f64::from(B2));
    let row = |point: f64, divisor: f64| [1.0 / divisor, point / divisor, point * point / divisor];
    let (at_a, at_b) = (2.0 * a2 * (a2 - b2), 2.0 * b2 * (b2 - a2));
    [row(0.0, a2 * b2), row(a, at_a), row(-a, at_a), row(b, at_b), row(-b, at_b), [0.0, 0.0, 1.0]]
}

/// `G g Gᵀ`, rounded once.
fn transformed_kernel(g: &[[f64; 3]; WINDOW], kernel: &[f32]) -> [f32; POSITIONS] {
    let dot = |row: &[f64; 3], x: [f64; 3]| row[0] * x[0] + row[1] * x[1] + row[2] * x[2];
    let column = |j: usize| [0, 3, 6].map(|i| f64::from(kernel[i + j]));
    let columns = [column(0), column(1), column(2)];
    let half = g.map(|row| columns.map(|column| dot(&row, column)));
    std::array::from_fn(|position| dot(&g[position % WINDOW], half[position / WINDOW]) as f32)
}

/// How an image is cut into tiles.
#[derive(Clone, Copy)]
struct Tiles {
    /// In a row of tiles.
    across: usize,
    /// Rows of tiles in a band.
    rows: usize,
    /// Tiles that are multiplied together.
    held: usize,
}

struct Convolve<'a> {
    conv: &'a Winograd,
    input: &'a Activation,
    grid: Tiles,
    /// The inputs of some rows of tiles, inside zeros: `[row][column][channel]`.
    band: &'a mut [f32],
    /// `[position][tile][channel]`.
    windows: &'a mut [f32],
    /// `[position][tile][PANEL]`.
    products: &'a mut [f32],
    out: &'a mut Activation,
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let tile_rows = self.input.height.div_ceil(TILE);
        for first_row in (0..tile_rows).step_by(self.grid.rows) {
            self.fill_band(first_row * TILE);
            let in_band = self.grid.rows.min(tile_rows - first_row) * self.grid.across;
            for first in (0..in_band).step_by(self.grid.held) {
                let count = self.grid.held.min(in_band - first);
                for tile in 0..count {
                    self.transform_window(simd, first + tile, tile, count);
                }
                self.multiply(simd, first_row * self.grid.across + first, count);
            }
        }
    }
}

impl Convolve<'_> {
    fn band_row_length(&self) -> usize {
        (self.grid.across * TILE + 2) * self.conv.channels_in
    }

    /// Copies the rows from `first - 1` on; those behind the image are zeros.
    #[inline(always)]
    fn fill_band(&mut self, first: usize) {
        let (length, channels) = (self.band_row_length(), self.conv.channels_in);
        let inside = channels..channels + self.input.width * channels;
        for (row, to) in self.band.chunks_exact_mut(length).enumerate() {
            to[..inside.start].fill(0.0);
            to[inside.end..].fill(0.0);
            match (first + row).checked_sub(1).filter(|y| *y < self.input.height) {
                Some(y) => to[inside.clone()].copy_from_slice(self.input.row(y)),
                None => to[inside.clone()].fill(0.0),
            }
        }
    }

    /// Writes `Bᵀ d B` of the inputs of a tile of the band, which is the tile at `place` of `count`.
    #[inline(always)]
    fn transform_window<S: Simd>(&mut self, simd: S, tile: usize, place: usize, count: usize) {
        let (length, channels) = (self.band_row_length(), self.conv.channels_in);
        let vectors = channels / S::F32_LANES;
        let start = tile / self.grid.across * TILE * length + tile % self.grid.across * TILE * channels;
        let mut rows: [&[S::f32s]; WINDOW] = [&[]; WINDOW];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = S::as_simd_f32s(&self.band[start + i * length..][..WINDOW * channels]).0;
        }
        let windows = S::as_mut_simd_f32s(&mut self.windows[place * channels..]).0;
        for vector in 0..vectors {
            let mut half = [[simd.splat_f32s(0.0); WINDOW]; WINDOW];
            for j in 0..WINDOW {
                let at = j * vectors + vector;
                let column = [rows[0][at], rows[1][at], rows[2][at], rows[3][at], rows[4][at], rows[5][at]];
                for (row, value) in half.iter_mut().zip(transform_inputs(simd, column)) {
                    row[j] = value;
                }
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, value) in transform_inputs(simd, row).into_iter().enumerate() {
                    windows[(i * WINDOW + j) * count * vectors + vector] = value;
                }
            }
        }
    }

    /// Writes the outputs of `count` tiles, the first of which is the image's `first`.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self, simd: S, first: usize, count: usize) {
        let channels = self.conv.channels_in;
        let none = [0.0; PANEL];
        let target = Target { first: 0, count: PANEL, columns: PANEL };
        for (panel, weights) in self.conv.weights.chunks_exact(POSITIONS * channels * PANEL).enumerate() {
            let weights = weights.chunks_exact(channels * PANEL);
            let windows = self.windows.chunks_exact(count * channels);
            let products = self.products.chunks_exact_mut(count * PANEL);
            for ((weights, numbers), products) in weights.zip(windows).zip(products) {
                let left = Left { numbers, starts: &[0], step: channels, segment: channels, rows: count };
                multiply_panel(simd, left, weights, &none, target, products);
            }
            for tile in 0..count {
                self.write_tile(simd, panel, first + tile, tile, count);
            }
        }
    }

    /// Writes `Aᵀ m A` of one tile's products, and the bias.
    #[inline(always)]
    fn write_tile<S: Simd>(&mut self, simd: S, panel: usize, tile: usize, place: usize, count: usize) {
        let channels = self.conv.channels_out;
        let first = panel * PANEL;
        let in_panel = PANEL.min(channels - first);
        let vectors = PANEL / S::F32_LANES;
        let products = S::as_simd_f32s(&self.products[place * PANEL..]).0;
        let bias = S::as_simd_f32s(&self.conv.bias[first..first + PANEL]).0;
        let (top, left) = (tile / self.grid.across * TILE, tile % self.grid.across * TILE);
        let width = self.out.width;
        for vector in 0..vectors {
            let mut half = [[bias[vector]; WINDOW]; TILE];
            for j in 0..WINDOW {
                let mut column = [bias[vector]; WINDOW];
                for (i, value) in column.iter_mut().enumerate() {
                    *value = products[(i * WINDOW + j) * count * vectors + vector];
                }
                for (row, value) in half.iter_mut().zip(transform_products(simd, column)) {
                    row[j] = value;
                }
            }
            let from = (vector * S::F32_LANES).min(in_panel);
            let to = (from + S::F32_LANES).min(in_panel);
            for (i, row) in half.into_iter().enumerate().take(self.out.height - top.min(self.out.height)) {
                let row = transform_products(simd, row);
                for (j, value) in row.into_iter().enumerate().take(width - left) {
                    let pixel = ((top + i) * width + left + j) * channels + first;
                    let sum = simd.add_f32s(value, bias[vector]);
                    store_vector(simd, &mut self.out.numbers[pixel + from..pixel + to], sum);
                }
            }
        }
    }
}

/// `Bᵀ d` of six numbers.
#[inline(always)]
fn transform_inputs<S: Simd>(simd: S, d: [S::f32s; WINDOW]) -> [S::f32s; WINDOW] {
    let splat = |x: f32| simd.splat_f32s(x);
    let (product, sum) = (splat(A2 * B2), splat(-(A2 + B2)));
    let even_a = simd.mul_add_f32s(splat(-B2), d[2], d[4]);
    let odd_a = simd.mul_add_f32s(splat(-B2), d[1], d[3]);
    let even_b = simd.mul_add_f32s(splat(-A2), d[2], d[4]);
    let odd_b = simd.mul_add_f32s(splat(-A2), d[1], d[3]);
    [
        simd.mul_add_f32s(product, d[0], simd.mul_add_f32s(sum, d[2], d[4])),
        simd.mul_add_f32s(splat(A), odd_a, even_a),
        simd.mul_add_f32s(splat(-A), odd_a, even_a),
        simd.mul_add_f32s(splat(B), odd_b, even_b),
        simd.mul_add_f32s(splat(-B), odd_b, even_b),
        simd.mul_add_f32s(product, d[1], simd.mul_add_f32s(sum, d[3], d[5])),
    ]
}

/// `Aᵀ m` of six numbers.
#[inline(always)]
fn transform_products<S: Simd>(simd: S, m: [S::f32s; WINDOW]) -> [S::f32s; TILE] {
    let splat = |x: f32| simd.splat_f32s(x);
    let (sum_a, apart_a) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (sum_b, apart_b) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(m[0], simd.add_f32s(sum_a, sum_b)),
        simd.mul_add_f32s(splat(A), apart_a, simd.mul_f32s(splat(B), apart_b)),
        simd.mul_add_f32s(splat(A2), sum_a, simd.mul_f32s(splat(B2), sum_b)),
        simd.mul_add_f32s(splat(A * A2), apart_a, simd.mul_add_f32s(splat(B * B2), apart_b, m[5])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    /// The sum over the kernel in double precision.
    fn plain(conv: &Conv, input: &Activation, y: usize, x: usize, out: usize) -> f64 {
        let mut sum = f64::from(conv.bias[out]);
        for (i, j) in (0..9).map(|place| (place / 3, place % 3)) {
            let (y, x) = ((y + i).wrapping_sub(1), (x + j).wrapping_sub(1));
            if y >= input.height || x >= input.width {
                continue;
            }
            for (channel, value) in input.row(y)[x * input.channels..][..input.channels].iter().enumerate() {
                let weight = conv.weight[(out * input.channels + channel) * 9 + i * 3 + j];
                sum += f64::from(*value) * f64::from(weight);
            }
        }
        sum
    }

    #[test]
    fn every_output_is_the_plain_sum_for_any_size_and_number_of_channels() {
        for (height, width, channels_in, channels_out) in
            [(1, 1, 16, 1), (5, 7, 32, 40), (9, 60, 16, 32), (30, 13, 48, 70)]
        {
            let conv = Conv {
                channels_in,
                channels_out,
                kernel: 3,
                stride: 1,
                padding: Padding { before: 1, after: 1 },
                weight: wave(channels_in * channels_out * 9, 1.7),
                bias: wave(channels_out, 0.3),
            };
            let mut buffers = Buffers::default();
            let border = Padding { before: 0, after: 1 };
            let mut input = buffers.activation(height, width, channels_in, border);
            for y in 0..height {
                let row = wave(width * channels_in, 0.9 + y as f32);
                input.row_mut(y).copy_from_slice(&row);
            }
            // Left over from an earlier image.
            buffers.give_back(vec![f32::NAN; 1 << 20]);
            let found = Winograd::new(&conv).map(|winograd| winograd.run(Arch::new(), &input, &mut buffers));
            let numbers = found.map(|out| out.numbers).unwrap_or_default();
            assert_eq!(numbers.len(), height * width * channels_out);
            for (place, number) in numbers.into_iter().enumerate() {
                let (pixel, out) = (place / channels_out, place % channels_out);
                let expected = plain(&conv, &input, pixel / width, pixel % width, out);
                assert!((f64::from(number) - expected).abs() < 1e-3, "{height} {width} {place}: {number} {expected}");
            }
        }
    }
}
