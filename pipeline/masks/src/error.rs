//! What can be wrong with a grid, with settings, or with what is known about an image.

use thiserror::Error;

/// Why there is no mask.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MaskError {
    /// A grid without cells, or with too many.
    #[error("a grid of {frames} frames x {rows} rows x {columns} columns has no cells, or more than {limit}")]
    Grid {
        /// Frames that were asked for.
        frames: u32,
        /// Rows that were asked for.
        rows: u32,
        /// Columns that were asked for.
        columns: u32,
        /// As many cells may there be.
        limit: u64,
    },
    /// Settings that `check` finds wrong, with everything that is wrong.
    #[error("the mask settings are wrong: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// Bytes that are no mask of this many cells.
    #[error("{bytes} bytes are no mask of {cells} cells: it has one bit for each cell, and zeros behind the last")]
    Bits {
        /// Cells of the grid.
        cells: usize,
        /// Bytes that were there.
        bytes: usize,
    },
    /// The strategy goes by something about the image that the caller didn't give.
    #[error("this strategy needs {needed} of each image, but got {got}")]
    Guide {
        /// What is needed.
        needed: &'static str,
        /// What was there.
        got: String,
    },
}
