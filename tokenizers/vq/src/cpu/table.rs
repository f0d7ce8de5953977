//! A codebook laid out for products with many vectors.

use pulp::Arch;

use super::matrix::{Left, Packed, multiply};
use crate::plan::Codebook;

/// Scores the rows of a codebook.
#[derive(Debug)]
pub(crate) struct Table {
    /// Rows.
    pub count: usize,
    /// Numbers of a row.
    pub dimension: usize,
    packed: Packed,
}

impl Table {
    /// `start` is added to the score of each row.
    pub fn new(codebook: &Codebook, start: Vec<f32>) -> Self {
        let (count, dimension) = (codebook.count, codebook.dimension);
        let packed = Packed::new(dimension, count, Some(&start), |row, code| codebook.vectors[code * dimension + row]);
        Self { count, dimension, packed }
    }

    /// Writes `vector · row + start` for each vector and each row, vector by vector.
    pub fn scores(&self, arch: Arch, vectors: &[f32], scores: &mut [f32]) {
        let (dimension, rows) = (self.dimension, vectors.len() / self.dimension);
        let left = Left { numbers: vectors, starts: &[0], step: dimension, segment: dimension, rows };
        multiply(arch, left, &self.packed, scores);
    }
}
