//! Masks an exact share of a frame's blocks at random, in all frames alike: what `cells` and `tube` have in common.

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy};
use crate::cells::Blocks;
use crate::count::CountRule;
use crate::field::white;
use crate::rank::mask_all_but_lowest;
use crate::ratio::Ratio;

#[derive(Debug)]
pub(super) struct ByBlocks {
    pub(super) ratio: Ratio,
    pub(super) count: CountRule,
    pub(super) blocks: Blocks,
}

impl Strategy for ByBlocks {
    fn rule(&self) -> CountRule {
        self.count
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.blocks.count(), self.blocks.count(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let visible = self.count.visible(self.blocks.count(), self.ratio.at(draw.image.view));
        white(&mut draw.random(), &mut draw.scratch.words, &mut draw.scratch.scores);
        mask_all_but_lowest(&draw.scratch.scores, visible, &mut draw.scratch.bits);
        self.blocks.expand(&draw.scratch.bits, &mut layers[0].1);
        Ok(())
    }
}
