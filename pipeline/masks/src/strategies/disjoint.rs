//! Views of an image whose visible cells have nothing in common, so that every cell is predicted (DMJD, arXiv 2301.00230).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::cells::{Blocks, block_problem};
use crate::count::CountRule;
use crate::field::white;
use crate::grid::Grid;
use crate::rank::mask_all_but_lowest;
use crate::ratio::Ratio;

/// Settings of `disjoint`. View `v` is member `v % views` of the group of views number `v / views`.
///
/// The authors permute which cells a second view takes with one permutation for a batch; here each image has its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disjoint {
    /// This share of blocks is masked in each view.
    pub ratio: f64,
    /// So many views make a group, over which every cell is masked at least once; the publication has 2.
    pub views: u32,
    /// Square blocks of so many rows and columns are masked as one: 2 in the publication's recipe, 1 for single cells.
    pub block: u32,
}

impl Default for Disjoint {
    fn default() -> Self {
        Self { ratio: 0.6, views: 2, block: 2 }
    }
}

impl StrategySettings for Disjoint {
    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = Ratio::Fixed(self.ratio).problems("ratio");
        problems.extend(block_problem("block", self.block, grid));
        let blocks = Blocks::of(grid, self.block).count();
        let masked = CountRule::KeepTruncated.masked(blocks, self.ratio);
        if self.views == 0 || (masked as u64) * u64::from(self.views) < blocks as u64 {
            problems.push(format!(
                "views is {}, but {} of {blocks} blocks are masked in each, so that some are never predicted",
                self.views, masked
            ));
        }
        problems
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(RankWindows { settings: self.clone(), blocks: Blocks::of(grid, self.block) })
    }
}

#[derive(Debug)]
struct RankWindows {
    settings: Disjoint,
    blocks: Blocks,
}

impl RankWindows {
    // All views of a group rank the same noise. The smaller set, be it the visible or the masked one, takes the next
    // ranks in each view, so that it never repeats before all have had their turn.
    fn visible_ranks(&self, member: usize) -> (usize, usize) {
        let all = self.blocks.count();
        let visible = CountRule::KeepTruncated.visible(all, self.settings.ratio);
        let masked = all - visible;
        let first = if visible <= masked { member * visible } else { member * (all - masked) };
        (first % all, visible)
    }
}

impl Strategy for RankWindows {
    fn rule(&self) -> CountRule {
        CountRule::KeepTruncated
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.blocks.count(), self.blocks.count(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let (group, member) = (draw.image.view / self.settings.views, draw.image.view % self.settings.views);
        let mut random = draw.streams.of(draw.image.key, group);
        white(&mut random, &mut draw.scratch.words, &mut draw.scratch.scores);
        let all = self.blocks.count();
        let (first, visible) = self.visible_ranks(member as usize);
        let end = first + visible;
        let Scratch { scores, bits, other_bits, .. } = &mut *draw.scratch;
        mask_all_but_lowest(scores, first, bits);
        mask_all_but_lowest(scores, if end > all { end - all } else { end }, other_bits);
        for (bits, beyond_end) in bits.iter_mut().zip(other_bits) {
            // Visible are the ranks from `first` on that are before the end; behind the last rank, they go on at the first.
            *bits = if end > all { !*bits & *beyond_end } else { !*bits | *beyond_end };
        }
        self.blocks.expand(bits, &mut layers[0].1);
        Ok(())
    }
}
