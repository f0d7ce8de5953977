//! Matrix products in which a row of the left side may be gathered from several places.

use pulp::{Arch, Simd, WithSimd};

/// Columns of the right side that are multiplied together; a multiple of every vector's width.
pub(super) const PANEL: usize = 32;

/// The right side of a product, with its columns in panels and a number to start each column's sums from.
#[derive(Debug)]
pub(super) struct Packed {
    pub columns: usize,
    rows: usize,
    /// `[panel][row][PANEL]`, zeros behind the last column.
    panels: Vec<f32>,
    /// `[panel][PANEL]`.
    start: Vec<f32>,
}

impl Packed {
    /// `value` gives the number in a row and a column; `start` what is added to each column's sums.
    pub fn new(rows: usize, columns: usize, start: Option<&[f32]>, value: impl Fn(usize, usize) -> f32) -> Self {
        let panel_count = columns.div_ceil(PANEL);
        let mut panels = vec![0.0; panel_count * rows * PANEL];
        for column in 0..columns {
            let (panel, within) = (column / PANEL, column % PANEL);
            for row in 0..rows {
                panels[(panel * rows + row) * PANEL + within] = value(row, column);
            }
        }
        let mut padded_start = vec![0.0; panel_count * PANEL];
        if let Some(start) = start {
            padded_start[..columns].copy_from_slice(start);
        }
        Self { columns, rows, panels, start: padded_start }
    }
}

/// The left side of a product: row `r` is, one after another, `segment` numbers of `numbers` from each of
/// `starts[i] + r * step`.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub numbers: &'a [f32],
    pub starts: &'a [usize],
    pub step: usize,
    pub segment: usize,
    pub rows: usize,
}

/// Writes `left · right + start` to `out`, row by row without gaps.
pub(super) fn multiply(arch: Arch, left: Left, right: &Packed, out: &mut [f32]) {
    debug_assert_eq!(left.segment * left.starts.len(), right.rows);
    arch.dispatch(Multiply { left, right, out });
}

struct Multiply<'a> {
    left: Left<'a>,
    right: &'a Packed,
    out: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, out } = self;
        let panel_length = right.rows * PANEL;
        for (panel, start) in right.start.chunks_exact(PANEL).enumerate() {
            let weights = &right.panels[panel * panel_length..(panel + 1) * panel_length];
            let first = panel * PANEL;
            let target = Target { first, count: PANEL.min(right.columns - first), columns: right.columns };
            multiply_panel(simd, left, weights, start, target, out);
        }
    }
}

/// The columns of one panel: `weights` are its rows, `start` where its sums start.
#[inline(always)]
pub(super) fn multiply_panel<S: Simd>(
    simd: S,
    left: Left,
    weights: &[f32],
    start: &[f32],
    target: Target,
    out: &mut [f32],
) {
    // As many sums as the registers hold beside the factors: 24 of 32, 12 of 16.
    match S::F32_LANES {
        16 => rows_by::<S, 12, 2>(simd, left, weights, start, target, out),
        8 => rows_by::<S, 6, 2>(simd, left, weights, start, target, out),
        4 => rows_by::<S, 4, 4>(simd, left, weights, start, target, out),
        _ => rows_by::<S, 4, 2>(simd, left, weights, start, target, out),
    }
}

/// The columns of `out` that a panel fills.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub first: usize,
    pub count: usize,
    pub columns: usize,
}

#[inline(always)]
fn rows_by<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    left: Left,
    weights: &[f32],
    start: &[f32],
    target: Target,
    out: &mut [f32],
) {
    let whole = left.rows - left.rows % ROWS;
    for row in (0..whole).step_by(ROWS) {
        block::<S, ROWS, VECTORS>(simd, left, row, weights, start, target, out);
    }
    let fours = left.rows - (left.rows - whole) % 4;
    for row in (whole..fours).step_by(4) {
        block::<S, 4, VECTORS>(simd, left, row, weights, start, target, out);
    }
    for row in fours..left.rows {
        block::<S, 1, VECTORS>(simd, left, row, weights, start, target, out);
    }
}

/// `ROWS` rows of one panel, `VECTORS` vectors of columns at a time. Each sum runs over the left side's row in order.
#[inline(always)]
fn block<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    left: Left,
    row: usize,
    weights: &[f32],
    start: &[f32],
    target: Target,
    out: &mut [f32],
) {
    let (weights, _) = S::as_simd_f32s(weights);
    let (start, _) = S::as_simd_f32s(start);
    let per_panel = PANEL / S::F32_LANES;
    for vector in (0..per_panel).step_by(VECTORS) {
        let mut sums = [[start[vector]; VECTORS]; ROWS];
        for sums in &mut sums {
            sums.copy_from_slice(&start[vector..vector + VECTORS]);
        }
        for (index, from) in left.starts.iter().enumerate() {
            let values: [&[f32]; ROWS] =
                std::array::from_fn(|r| &left.numbers[from + (row + r) * left.step..][..left.segment]);
            let weights = &weights[index * left.segment * per_panel..][..left.segment * per_panel];
            for (k, weights) in weights.chunks_exact(per_panel).enumerate() {
                let weights: [S::f32s; VECTORS] = std::array::from_fn(|v| weights[vector + v]);
                for (sums, values) in sums.iter_mut().zip(values) {
                    let value = simd.splat_f32s(values[k]);
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum = simd.mul_add_f32s(value, weight, *sum);
                    }
                }
            }
        }
        store::<S, ROWS, VECTORS>(simd, sums, row, vector * S::F32_LANES, target, out);
    }
}

#[inline(always)]
fn store<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    sums: [[S::f32s; VECTORS]; ROWS],
    row: usize,
    offset: usize,
    target: Target,
    out: &mut [f32],
) {
    for (r, sums) in sums.into_iter().enumerate() {
        let out = &mut out[(row + r) * target.columns + target.first..][..target.count];
        for (v, sum) in sums.into_iter().enumerate() {
            let from = (offset + v * S::F32_LANES).min(out.len());
            let to = (from + S::F32_LANES).min(out.len());
            store_vector(simd, &mut out[from..to], sum);
        }
    }
}

/// Writes as many numbers of a vector as fit.
#[inline(always)]
pub(super) fn store_vector<S: Simd>(simd: S, to: &mut [f32], vector: S::f32s) {
    // A whole vector is one instruction, a part of one a call.
    match S::as_mut_simd_f32s(to) {
        ([whole], _) => *whole = vector,
        (_, part) => simd.partial_store_f32s(part, vector),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_the_sum_in_order_for_any_number_of_rows_and_columns() {
        let numbers: Vec<f32> = (0..200).map(|i| (i as f32 * 0.7).sin()).collect();
        for (rows, columns) in [(1, 1), (7, 31), (9, 33), (16, 70)] {
            let start: Vec<f32> = (0..columns).map(|column| column as f32).collect();
            let value = |row: usize, column: usize| ((row * 31 + column) as f32).cos();
            let right = Packed::new(6, columns, Some(&start), value);
            let left = Left { numbers: &numbers, starts: &[0, 50], step: 3, segment: 3, rows };
            let mut out = vec![f32::NAN; rows * columns];
            multiply(Arch::new(), left, &right, &mut out);
            for row in 0..rows {
                let gathered = [0, 50].map(|from| &numbers[from + row * 3..][..3]).concat();
                for column in 0..columns {
                    let terms = gathered.iter().enumerate();
                    let expected = terms.fold(start[column], |sum, (k, x)| x.mul_add(value(k, column), sum));
                    assert_eq!(out[row * columns + column], expected, "{rows} {columns} {row} {column}");
                }
            }
        }
    }
}
