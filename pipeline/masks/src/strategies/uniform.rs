//! Leaves one cell of every 2 x 2 visible (UM-MAE, arXiv 2205.10063).

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

/// Settings of `uniform`. All four places of a 2 x 2 block are visible equally often in an image, up to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Uniform {
    /// In this share of the visible cells, truncated, the encoder sees a mask token: the layer `Replaced`.
    pub secondary_ratio: f64,
}

impl Default for Uniform {
    fn default() -> Self {
        Self { secondary_ratio: 0.25 }
    }
}

impl StrategySettings for Uniform {
    fn check(&self, grid: Grid) -> Vec<String> {
        let problems = Ratio::Fixed(self.secondary_ratio).problems("secondary_ratio");
        problems.into_iter().chain(block_problem("the side of a block", 2, grid)).collect()
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(OnePerBlock { secondary_ratio: self.secondary_ratio, grid, blocks: Blocks::of(grid, 2) })
    }
}

#[derive(Debug)]
struct OnePerBlock {
    secondary_ratio: f64,
    grid: Grid,
    blocks: Blocks,
}

impl Strategy for OnePerBlock {
    fn layers(&self) -> Vec<Layer> {
        vec![Layer::Masked, Layer::Replaced]
    }

    fn rule(&self) -> CountRule {
        CountRule::Pattern
    }

    fn rule_beside(&self) -> CountRule {
        CountRule::MaskTruncated
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.blocks.count(), self.blocks.count(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        let [(_, masked), (_, replaced)] = layers else { return Ok(()) };
        let blocks = self.blocks;
        // A shuffled pool in which each place is as frequent as the others, up to one; which ones have one more is drawn.
        let pool = &mut draw.scratch.words;
        let first = random.within(0, 4);
        for (number, place) in pool.iter_mut().enumerate() {
            *place = (number as u32 + first) % 4;
        }
        random.shuffle(pool);
        let cell = |block: usize, place: u32| {
            let (row, column) = (2 * (block / blocks.columns), 2 * (block % blocks.columns));
            (row + place as usize / 2) * self.grid.columns() + column + place as usize % 2
        };
        masked.clear();
        for (block, &place) in pool.iter().enumerate() {
            masked.set(cell(block, place));
        }
        masked.invert();
        let visible: Vec<usize> = pool.iter().enumerate().map(|(block, &place)| cell(block, place)).collect();
        white(&mut random, &mut draw.scratch.words, &mut draw.scratch.scores);
        let untouched = CountRule::MaskTruncated.visible(blocks.count(), self.secondary_ratio);
        mask_all_but_lowest(&draw.scratch.scores, untouched, &mut draw.scratch.bits);
        replaced.clear();
        let bits = &draw.scratch.bits;
        let is_replaced = |&(block, _): &(usize, &usize)| bits[block / 8] >> (block % 8) & 1 == 1;
        visible.iter().enumerate().filter(is_replaced).for_each(|(_, &cell)| replaced.set(cell));
        masked.repeat_first_frame();
        replaced.repeat_first_frame();
        Ok(())
    }
}
