//! The grid of cells that a mask covers: rows by columns of one image, or of each frame of a video.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MaskError;

/// More cells than any model has patches; it bounds what a mask may ask for.
const MAX_CELLS: u64 = 1 << 20;

/// Cells in raster order: frame by frame, row by row, from left to right. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Sides")]
pub struct Grid {
    frames: u32,
    rows: u32,
    columns: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sides {
    /// Frames of a video; 1 for an image.
    #[serde(default = "one_frame")]
    frames: u32,
    /// Rows of cells.
    rows: u32,
    /// Columns of cells.
    columns: u32,
}

fn one_frame() -> u32 {
    1
}

impl TryFrom<Sides> for Grid {
    type Error = MaskError;

    fn try_from(sides: Sides) -> Result<Self, MaskError> {
        Self::video(sides.frames, sides.rows, sides.columns)
    }
}

impl Grid {
    /// The grid of one image. An error where it has no cells, or more than 2^20.
    pub fn image(rows: u32, columns: u32) -> Result<Self, MaskError> {
        Self::video(1, rows, columns)
    }

    /// The grid of a video, or of a volume, with this many frames. An error where it has no cells, or more than 2^20.
    pub fn video(frames: u32, rows: u32, columns: u32) -> Result<Self, MaskError> {
        let area = u64::from(rows) * u64::from(columns);
        match area.checked_mul(u64::from(frames)) {
            Some(1..=MAX_CELLS) => Ok(Self { frames, rows, columns }),
            _ => Err(MaskError::Grid { frames, rows, columns, limit: MAX_CELLS }),
        }
    }

    /// How many frames there are; 1 for an image.
    pub fn frames(self) -> usize {
        self.frames as usize
    }

    /// How many rows a frame has.
    pub fn rows(self) -> usize {
        self.rows as usize
    }

    /// How many columns a frame has.
    pub fn columns(self) -> usize {
        self.columns as usize
    }

    /// How many cells a frame has.
    pub fn frame_cells(self) -> usize {
        self.rows() * self.columns()
    }

    /// How many cells there are in all frames.
    pub fn cells(self) -> usize {
        self.frames() * self.frame_cells()
    }
}
