//! Rectangles of cells.

use crate::grid::Grid;

/// A rectangle inside a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rectangle {
    pub top: usize,
    pub left: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Rectangle {
    /// The rectangle's cells in the first frame, in raster order.
    pub(crate) fn cells(self, grid: Grid) -> impl Iterator<Item = usize> {
        let rows = self.top..self.top + self.rows;
        rows.flat_map(move |row| (self.left..self.left + self.columns).map(move |column| row * grid.columns() + column))
    }
}

/// Rows and columns with an area drawn evenly and an aspect drawn evenly on a logarithmic scale: BEiT.
pub(crate) fn beit_sides(areas: (f64, f64), aspects: (f64, f64), uniform: &mut dyn FnMut() -> f64) -> (usize, usize) {
    let area = areas.0 + (areas.1 - areas.0) * uniform();
    let (low, high) = (libm::log(aspects.0), libm::log(aspects.1));
    let aspect = libm::exp(low + (high - low) * uniform());
    (rounded_root(area * aspect), rounded_root(area / aspect))
}

/// The root, halves to even as Python rounds them.
pub(crate) fn rounded_root(area: f64) -> usize {
    libm::rint(libm::sqrt(area)) as usize
}
