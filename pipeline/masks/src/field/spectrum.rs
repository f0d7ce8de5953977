//! Noise of a given spectrum, drawn frequency by frequency on a torus that is larger than the grid.
//!
//! White Gaussian noise is as white and as Gaussian in any orthonormal basis. So instead of white noise in space and a
//! convolution, whose kernel has no separable form for most colours, there is one normal number per pair of a row and
//! a column frequency, times the filter's response: two small matrix products give the field. The distribution is
//! that of circular convolution on the torus; it is the same at every cell, so that no border is favoured.

use std::f64::consts::PI;

use pageloom_training::random::KeyedRandom;

/// Responses below this share of the largest one are left out.
const NEGLIGIBLE: f64 = 1e-4;
/// Columns are worked on in blocks of so many, which are kept in registers.
const LANES: usize = 16;

/// How a field of so many rows and columns is made from its frequencies.
#[derive(Debug, Clone)]
pub(crate) struct Spectrum {
    rows: usize,
    columns: usize,
    /// Per row frequency: the responses at the first column frequencies, until only negligible ones follow.
    responses: Vec<Vec<f32>>,
    /// `rows` x row frequencies.
    row_waves: Vec<f32>,
    /// Column frequencies x `columns`, padded to whole blocks.
    column_waves: Vec<f32>,
}

impl Spectrum {
    /// The field of `rows` x `columns` cells whose filter has this response at a radial frequency, in cycles per cell.
    ///
    /// The torus is `margin` cells longer than the grid in both directions: so far apart are cells of opposite borders.
    pub(crate) fn new(rows: usize, columns: usize, margin: usize, response: impl Fn(f64) -> f64) -> Self {
        let (row_period, column_period) = (rows + margin, columns + margin);
        let at = |row: usize, column: usize| {
            let row = frequency(row) as f64 / row_period as f64;
            let column = frequency(column) as f64 / column_period as f64;
            response(libm::hypot(row, column))
        };
        let all = || (0..row_period).flat_map(|row| (0..column_period).map(move |column| at(row, column).abs()));
        let least = all().fold(0.0, f64::max) * NEGLIGIBLE;
        let length =
            |row| (0..column_period).rposition(|column| at(row, column).abs() > least).map_or(0, |last| last + 1);
        let num_rows = (0..row_period).rposition(|row| length(row) > 0).map_or(0, |last| last + 1);
        let responses: Vec<Vec<f32>> =
            (0..num_rows).map(|row| (0..length(row)).map(|column| at(row, column) as f32).collect()).collect();
        let num_columns = responses.iter().map(Vec::len).max().unwrap_or(0);
        let padded = columns.next_multiple_of(LANES);
        Self {
            rows,
            columns,
            row_waves: (0..rows).flat_map(|row| (0..num_rows).map(move |index| wave(index, row, row_period))).collect(),
            column_waves: (0..num_columns)
                .flat_map(|index| (0..padded).map(move |column| wave(index, column, column_period)))
                .collect(),
            responses,
        }
    }

    /// How many rows a field has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many random words a field takes.
    pub(crate) fn num_words(&self) -> usize {
        self.responses.iter().map(Vec::len).sum()
    }

    /// How many numbers `draw` needs room for beside the field.
    pub(crate) fn num_partial(&self) -> usize {
        self.num_words() + self.responses.len() * LANES
    }

    /// A field of fresh noise. `words` and `partial` are room of at least `num_words` and `num_partial`.
    pub(crate) fn draw(&self, random: &mut KeyedRandom, words: &mut [u32], partial: &mut [f32], field: &mut [f32]) {
        let words = &mut words[..self.num_words()];
        random.fill_words(words);
        let (waves, partial) = partial.split_at_mut(words.len());
        let mut start = 0;
        for responses in &self.responses {
            let end = start + responses.len();
            for ((wave, word), response) in waves[start..end].iter_mut().zip(&words[start..end]).zip(responses) {
                *wave = almost_normal(*word) * response;
            }
            start = end;
        }
        self.sum(waves, partial, field);
    }

    /// The field that these weights of the waves add up to: one weight per response, row by row.
    fn sum(&self, weights: &[f32], partial: &mut [f32], field: &mut [f32]) {
        let padded = self.columns.next_multiple_of(LANES);
        let (partial, _) = partial.as_chunks_mut::<LANES>();
        for first in (0..self.columns).step_by(LANES) {
            let mut weights = weights;
            for (responses, sum) in self.responses.iter().zip(partial.iter_mut()) {
                let (these, others) = weights.split_at(responses.len());
                let columns = self.column_waves.chunks_exact(padded).map(|waves| &waves[first..first + LANES]);
                *sum = add_up(these, columns);
                weights = others;
            }
            let width = LANES.min(self.columns - first);
            let rows = self.row_waves.chunks_exact(self.responses.len().max(1));
            for (waves, row) in rows.zip(field.chunks_exact_mut(self.columns)) {
                let sum = add_up(waves, partial.iter().map(|sum| &sum[..]));
                row[first..first + width].copy_from_slice(&sum[..width]);
            }
        }
    }
}

// The sum of these rows, each times its weight.
#[inline(always)]
fn add_up<'a>(weights: &[f32], rows: impl Iterator<Item = &'a [f32]>) -> [f32; LANES] {
    let mut sum = [0.0; LANES];
    for (&weight, row) in weights.iter().zip(rows) {
        if let Some(row) = row.as_array::<LANES>() {
            for lane in 0..LANES {
                sum[lane] += weight * row[lane];
            }
        }
    }
    sum
}

// Waves in the order of their frequencies: the constant, then a cosine and a sine of each.
fn frequency(index: usize) -> usize {
    index.div_ceil(2)
}

// One of the `period` orthonormal waves of a torus, at one of its places.
fn wave(index: usize, place: usize, period: usize) -> f32 {
    let frequency = frequency(index);
    let angle = 2.0 * PI * ((frequency * place) % period) as f64 / period as f64;
    let stands_alone = frequency == 0 || 2 * frequency == period;
    let scale = libm::sqrt(if stands_alone { 1.0 } else { 2.0 } / period as f64);
    (scale * if index % 2 == 1 || index == 0 { libm::cos(angle) } else { libm::sin(angle) }) as f32
}

// The sum of a word's four bytes, with mean 0 and variance 1. Its excess kurtosis is -0.3, and a field adds up tens to
// hundreds of them.
fn almost_normal(word: u32) -> f32 {
    let pairs = (word & 0x00ff_00ff) + (word >> 8 & 0x00ff_00ff);
    let sum = (pairs & 0xffff) + (pairs >> 16);
    // Four bytes have the variance 4 * (256^2 - 1) / 12.
    const SCALE: f32 = 0.006_765_818;
    (sum as i32 - 510) as f32 * SCALE
}

#[cfg(test)]
mod tests {
    use super::*;

    // The white noise filtered by a plain Fourier transform, at one cell of the torus.
    fn filtered(noise: &[f64], sides: [usize; 2], place: [usize; 2], response: impl Fn(f64) -> f64) -> f64 {
        let [rows, columns] = sides;
        let mut sum = 0.0;
        for frequency in 0..rows * columns {
            let [down, across] = [frequency / columns, frequency % columns];
            let at = |frequency: usize, side: usize| frequency.min(side - frequency) as f64 / side as f64;
            let share = response(at(down, rows).hypot(at(across, columns)));
            for (cell, noise) in noise.iter().enumerate() {
                let row = (place[0] as f64 - (cell / columns) as f64) * down as f64 / rows as f64;
                let column = (place[1] as f64 - (cell % columns) as f64) * across as f64 / columns as f64;
                sum += share * noise * (2.0 * PI * (row + column)).cos();
            }
        }
        sum / (rows * columns) as f64
    }

    #[test]
    fn waves_add_up_to_white_noise_after_the_filter() {
        let (rows, columns, margin) = (6, 5, 4);
        let sides @ [row_period, column_period] = [rows + margin, columns + margin];
        let response = |frequency: f64| (-10.0 * frequency * frequency).exp() - 0.3;
        let spectrum = Spectrum::new(rows, columns, margin, response);
        let mut random = KeyedRandom::new(1, "spectrum", b"", 0);
        let noise: Vec<f64> = (0..row_period * column_period).map(|_| random.normal()).collect();
        let mut weights = Vec::new();
        for (down, responses) in spectrum.responses.iter().enumerate() {
            for (across, response) in responses.iter().enumerate() {
                let parts = noise.iter().enumerate().map(|(cell, noise)| {
                    let row = f64::from(wave(down, cell / column_period, row_period));
                    noise * row * f64::from(wave(across, cell % column_period, column_period))
                });
                weights.push(*response * parts.sum::<f64>() as f32);
            }
        }
        let mut field = vec![0.0; rows * columns];
        spectrum.sum(&weights, &mut vec![0.0; spectrum.num_partial()], &mut field);
        for (cell, value) in field.iter().enumerate() {
            let expected = filtered(&noise, sides, [cell / columns, cell % columns], response);
            assert!((f64::from(*value) - expected).abs() < 1e-4, "{cell}: {value} for {expected}");
        }
    }

    #[test]
    fn words_become_numbers_of_mean_0_and_variance_1() {
        let mut random = KeyedRandom::new(1, "almost normal", b"", 0);
        let mut words = vec![0; 100_000];
        random.fill_words(&mut words);
        let draws: Vec<f64> = words.into_iter().map(|word| f64::from(almost_normal(word))).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|draw| draw * draw).sum::<f64>() / 1e5;
        // Four standard deviations are 0.0126 of the mean and 0.0165 of the variance.
        assert!(mean.abs() < 0.0126 && (variance - 1.0).abs() < 0.0165, "{mean} {variance}");
    }
}
