//! Patch masks for masked image modelling: which cells of a grid a model sees, and which it must predict.
//!
//! Every strategy is one file in `strategies/` and one line in its list. Most of them give each cell a score
//! (`field/`) and leave the lowest scores visible (`rank.rs`), so that counts are exact; the rest lay rectangles or
//! repeat a pattern.

mod cells;
mod count;
mod error;
mod field;
mod frequencies;
mod gallery;
#[cfg(test)]
mod golden;
mod grid;
mod masker;
mod patch_mask;
mod rank;
mod ratio;
mod rectangle;
pub mod strategies;

pub use count::CountRule;
pub use error::MaskError;
pub use frequencies::{ChiSquare, Frequencies};
pub use gallery::{Gallery, gallery};
pub use grid::Grid;
pub use masker::{About, AboutLayer, Guide, Image, Layer, Masker, Masks};
pub use patch_mask::{PatchMask, Polarity, inverse};
pub use rank::argsort;
pub use ratio::{Ratio, Schedule};
