//! Blocks of cells that are masked together: one bit per block becomes one bit per cell.

use crate::grid::Grid;
use crate::patch_mask::PatchMask;

/// How a grid divides into blocks of the same size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks {
    pub rows: usize,
    pub columns: usize,
    side: usize,
}

impl Blocks {
    /// Square blocks of `side` cells, in each frame alike; `problems` says whether they fit.
    pub(crate) fn of(grid: Grid, side: u32) -> Self {
        let side = side.max(1) as usize;
        Self { rows: grid.rows() / side, columns: grid.columns() / side, side }
    }

    /// How many blocks a frame has.
    pub(crate) fn count(self) -> usize {
        self.rows * self.columns
    }

    /// Masks, in every frame, the cells of all blocks whose bit is set.
    pub(crate) fn expand(self, bits: &[u8], mask: &mut PatchMask) {
        let grid = mask.grid();
        mask.clear();
        for row in 0..grid.rows() {
            for column in 0..grid.columns() {
                let block = row / self.side * self.columns + column / self.side;
                if bits[block / 8] >> (block % 8) & 1 == 1 {
                    let cell = row * grid.columns() + column;
                    (0..grid.frames()).for_each(|frame| mask.set(frame * grid.frame_cells() + cell));
                }
            }
        }
    }
}

/// What is wrong with blocks of `side` cells on this grid, if anything.
pub(crate) fn block_problem(field: &str, side: u32, grid: Grid) -> Option<String> {
    let fits = |cells: usize| side > 0 && cells.is_multiple_of(side as usize);
    let (rows, columns) = (grid.rows(), grid.columns());
    (!fits(rows) || !fits(columns))
        .then(|| format!("{field} is {side}, but it must divide the grid of {rows} rows x {columns} columns"))
}
