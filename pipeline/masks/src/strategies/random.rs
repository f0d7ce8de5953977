//! Masks an exact share of cells, each as likely as any other (MAE, arXiv 2111.06377; MAE-ST on videos).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::field::white;
use crate::grid::Grid;
use crate::rank::mask_all_but_lowest;
use crate::ratio::Ratio;

/// Settings of `random`. On a video, cells of all frames are drawn from alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Random {
    /// This share of cells is masked.
    pub ratio: Ratio,
    /// How the share becomes a number of cells.
    pub count: CountRule,
}

impl Default for Random {
    fn default() -> Self {
        Self { ratio: Ratio::Fixed(0.75), count: CountRule::KeepTruncated }
    }
}

impl StrategySettings for Random {
    fn check(&self, _: Grid) -> Vec<String> {
        let mut problems = self.ratio.problems("ratio");
        if matches!(self.count, CountRule::Pattern | CountRule::AtMost) {
            problems.push("count is a rule of patterns, but random masks need one that gives a number".to_owned());
        }
        problems
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(ByWhiteNoise { settings: self.clone(), grid })
    }
}

#[derive(Debug)]
struct ByWhiteNoise {
    settings: Random,
    grid: Grid,
}

impl Strategy for ByWhiteNoise {
    fn rule(&self) -> CountRule {
        self.settings.count
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.grid.cells(), self.grid.cells(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let visible = self.rule().visible(self.grid.cells(), self.settings.ratio.at(draw.image.view));
        let mut random = draw.random();
        white(&mut random, &mut draw.scratch.words, &mut draw.scratch.scores);
        mask_all_but_lowest(&draw.scratch.scores, visible, layers[0].1.bits_mut());
        draw.scratch.scores_rank_cells = true;
        Ok(())
    }
}
