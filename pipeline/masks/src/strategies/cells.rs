//! Masks whole blocks of cells, each as likely as any other (SimMIM, arXiv 2111.09886).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByBlocks, Strategy, StrategySettings};
use crate::cells::{Blocks, block_problem};
use crate::count::CountRule;
use crate::grid::Grid;
use crate::ratio::Ratio;

/// Settings of `cells`. All frames of a video have the same mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cells {
    /// This share of blocks is masked.
    pub ratio: Ratio,
    /// A block has so many rows and columns: 32 pixels over the patch size, so 2 for a ViT/16 and 8 for Swin.
    pub block: u32,
}

impl Default for Cells {
    fn default() -> Self {
        Self { ratio: Ratio::Fixed(0.6), block: 2 }
    }
}

impl StrategySettings for Cells {
    fn check(&self, grid: Grid) -> Vec<String> {
        self.ratio.problems("ratio").into_iter().chain(block_problem("block", self.block, grid)).collect()
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(ByBlocks { ratio: self.ratio, count: CountRule::MaskCeil, blocks: Blocks::of(grid, self.block) })
    }
}
