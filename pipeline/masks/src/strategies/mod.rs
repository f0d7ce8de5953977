//! Strategies: each says which cells of an image are masked. A new one is one file here and one line in the list.

mod attention;
mod block;
mod by_blocks;
mod cells;
mod color_noise;
mod disjoint;
mod field;
mod hierarchical_3d;
mod inverse_block;
mod multi_block;
mod pattern;
mod random;
mod roi;
mod rows;
mod running_cell;
mod token_schedule;
mod tube;
mod uniform;

use std::fmt::Debug;
use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::count::CountRule;
use crate::error::MaskError;
use crate::grid::Grid;
use crate::masker::{Draw, Layer, Scratch};
use crate::patch_mask::PatchMask;
pub use attention::{Attention, AttentionMode};
pub use block::Block;
use by_blocks::ByBlocks;
pub use cells::Cells;
pub use color_noise::{Color, ColorFrom, ColorNoise, SharedWindow};
pub use disjoint::Disjoint;
pub use field::{Field, FieldKind};
pub use hierarchical_3d::Hierarchical3d;
pub use inverse_block::InverseBlock;
pub use multi_block::MultiBlock;
pub use pattern::{Checkerboard, Regular};
pub use random::Random;
pub use roi::{Regions, Roi};
pub use rows::Rows;
pub use running_cell::RunningCell;
pub use token_schedule::{RatioLaw, TokenOrder, TokenSchedule};
pub use tube::Tube;
pub use uniform::Uniform;

/// Draws the masks of one image after another for one grid.
///
/// The masks depend on the image's key, view and guide, on the streams, and on nothing else: the room is used again.
pub(crate) trait Strategy: Debug + Send + Sync {
    /// What the masks mean; the first is `Masked`.
    fn layers(&self) -> Vec<Layer> {
        vec![Layer::Masked]
    }

    /// How the first layer's masked cells are counted.
    fn rule(&self) -> CountRule;

    /// How the other layers' masked cells are counted.
    fn rule_beside(&self) -> CountRule {
        self.rule()
    }

    /// Room enough for every draw.
    fn scratch(&self) -> Scratch;

    /// Draws one image's masks, whatever is in `layers` before.
    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError>;
}

/// What a job file says about a strategy.
pub(crate) trait StrategySettings: Serialize + DeserializeOwned + Default {
    /// Those that differ most, each with the word for what it is; the publication's settings alone where there is no word.
    fn kinds() -> Vec<(&'static str, Self)> {
        vec![("", Self::default())]
    }

    /// What is wrong with these settings on this grid, in the user's words: everything at once.
    fn check(&self, grid: Grid) -> Vec<String>;

    /// Whether every cell is masked as often as any other, over many images.
    fn favours_no_cell(&self) -> bool {
        false
    }

    /// The strategy, whose `check` has found nothing wrong. What is the same for all images is drawn from `streams`.
    fn build(&self, grid: Grid, streams: &KeyedStreams) -> Arc<dyn Strategy>;
}

/// Makes the enum that a job file's `masks` table names, from the one list of all strategies.
macro_rules! register {
    ($($(#[$about:meta])* $name:literal $variant:ident($settings:ident),)+) => {
        /// The strategy of a job, as its job file writes it: `random = { ratio = 0.75 }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum MaskConfig {
            $($(#[$about])* #[serde(rename = $name)] $variant($settings),)+
        }

        impl MaskConfig {
            /// One of each registered strategy, with its publication's settings.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$variant($settings::default()),)+]
            }

            /// Each registered strategy, and of those with colors, fields or modes each of them, by what to call it.
            pub fn kinds() -> Vec<(String, Self)> {
                let mut kinds = Vec::new();
                $(kinds.extend($settings::kinds().into_iter().map(|(kind, settings)| {
                    (format!("{} {kind}", $name).trim_end().to_owned(), Self::$variant(settings))
                }));)+
                kinds
            }

            /// The name in a job file.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)+ }
            }

            /// What is wrong with the settings on this grid, in the user's words.
            pub fn check(&self, grid: Grid) -> Vec<String> {
                match self { $(Self::$variant(settings) => settings.check(grid),)+ }
            }

            /// Whether these settings promise that every cell is masked as often as any other, over many images.
            pub fn favours_no_cell(&self) -> bool {
                match self { $(Self::$variant(settings) => settings.favours_no_cell(),)+ }
            }

            pub(crate) fn build(&self, grid: Grid, streams: &KeyedStreams) -> Arc<dyn Strategy> {
                match self { $(Self::$variant(settings) => settings.build(grid, streams),)+ }
            }
        }
    };
}

register! {
    /// Each cell as likely as any other, an exact share in all (MAE).
    "random" Random(Random),
    /// By the rank of filtered noise: blobs, clusters or single cells (ColorMAE).
    "color_noise" ColorNoise(ColorNoise),
    /// Views that share no visible cell (DMJD).
    "disjoint" Disjoint(Disjoint),
    /// Rectangles (BEiT, data2vec).
    "block" Block(Block),
    /// All but a few square blocks (data2vec 2.0).
    "inverse_block" InverseBlock(InverseBlock),
    /// Square blocks (SimMIM).
    "cells" Cells(Cells),
    /// The same cells in all frames (VideoMAE).
    "tube" Tube(Tube),
    /// A context and the blocks that are predicted from it (I-JEPA).
    "multi_block" MultiBlock(MultiBlock),
    /// One visible cell in every 2 x 2 (UM-MAE).
    "uniform" Uniform(Uniform),
    /// The first cell of every block visible.
    "grid" Grid(Regular),
    /// Every other cell visible.
    "checkerboard" Checkerboard(Checkerboard),
    /// Tubes, and cells that turn for the decoder (VideoMAE V2).
    "running_cell" RunningCell(RunningCell),
    /// As many cells in every row (MaskGWM).
    "rows" Rows(Rows),
    /// Cubes of the coarsest stage (MambaMIM).
    "hierarchical_3d" Hierarchical3d(Hierarchical3d),
    /// By the rank of Perlin noise, of Halton's order, or of void-and-cluster blue noise.
    "field" Field(Field),
    /// By a teacher's attention (MaskAlign, AttMask).
    "attention" Attention(Attention),
    /// The regions of an image that the caller names.
    "roi" Roi(Roi),
    /// A drawn share of tokens (MaskGIT, Muse, aMUSEd, MAGE).
    "token_schedule" TokenSchedule(TokenSchedule),
}

#[cfg(test)]
mod laws;
