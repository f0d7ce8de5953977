//! Masks the same cells in all frames (VideoMAE, arXiv 2203.12602).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByBlocks, Strategy, StrategySettings};
use crate::cells::Blocks;
use crate::count::CountRule;
use crate::grid::Grid;
use crate::ratio::Ratio;

/// Settings of `tube`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tube {
    /// This share of a frame's cells is masked.
    pub ratio: Ratio,
}

impl Default for Tube {
    fn default() -> Self {
        Self { ratio: Ratio::Fixed(0.9) }
    }
}

impl StrategySettings for Tube {
    fn check(&self, _: Grid) -> Vec<String> {
        self.ratio.problems("ratio")
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(ByBlocks { ratio: self.ratio, count: CountRule::MaskTruncated, blocks: Blocks::of(grid, 1) })
    }
}
