//! Leaves a few square blocks visible and masks the rest (data2vec 2.0, arXiv 2212.07525).

use std::sync::Arc;

use pageloom_training::random::{KeyedRandom, KeyedStreams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::grid::Grid;
use crate::ratio::Ratio;
use crate::rectangle::Rectangle;

/// Settings of `inverse_block`. The publication takes 16 masks of an image: here, 16 views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InverseBlock {
    /// This share of cells is masked, exactly: 0.8 for the base model and 0.75 for the large one.
    pub ratio: f64,
    /// Blocks for so much more than the visible share are laid, because they overlap.
    pub adjust: f64,
    /// A block has so many rows and columns.
    pub block: u32,
}

impl Default for InverseBlock {
    fn default() -> Self {
        Self { ratio: 0.8, adjust: 0.07, block: 3 }
    }
}

impl StrategySettings for InverseBlock {
    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = Ratio::Fixed(self.ratio).problems("ratio");
        if !(0.0..=1.0).contains(&self.adjust) {
            problems.push(format!("adjust is {}, but it must lie between 0 and 1", self.adjust));
        }
        let most = grid.rows().min(grid.columns());
        if !(1..=most).contains(&(self.block as usize)) {
            problems.push(format!("block is {}, but it must lie between 1 and {most}", self.block));
        }
        problems
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(Stamps { settings: self.clone(), grid })
    }
}

#[derive(Debug)]
struct Stamps {
    settings: InverseBlock,
    grid: Grid,
}

impl Stamps {
    // Before it is inverted: ones where blocks are, each around its centre and cut off at the border.
    fn stamp(&self, mask: &mut PatchMask, mut centre: impl FnMut(u32) -> u32) {
        let cells = self.grid.frame_cells() as f64;
        let side = self.settings.block as usize;
        let area = (side * side) as f64;
        // In the order of the authors' code: on some grids another one rounds to one block more or less.
        let num_blocks = (cells * (((1.0 - self.settings.ratio) + self.settings.adjust) / area)) as usize;
        for _ in 0..num_blocks {
            let centre = centre(self.grid.frame_cells() as u32) as usize;
            let (rows, columns) = (self.grid.rows(), self.grid.columns());
            let (top, bottom) = clamped(centre / columns, side, rows);
            let (left, right) = clamped(centre % columns, side, columns);
            let block = Rectangle { top, left, rows: bottom - top, columns: right - left };
            block.cells(self.grid).for_each(|cell| mask.set(cell));
        }
    }

    // Adds or takes single cells until the number is right.
    fn adjust(&self, mask: &mut PatchMask, random: &mut KeyedRandom) {
        let wanted = CountRule::KeepTruncated.visible(self.grid.frame_cells(), self.settings.ratio);
        let mut number = mask.num_masked();
        while number != wanted {
            let cell = random.within(0, self.grid.frame_cells() as u32) as usize;
            match (mask.is_masked(cell), number > wanted) {
                (true, true) => (mask.unset(cell), number -= 1).1,
                (false, false) => (mask.set(cell), number += 1).1,
                (true, false) | (false, true) => {}
            }
        }
    }
}

fn clamped(centre: usize, side: usize, length: usize) -> (usize, usize) {
    let start = centre.saturating_sub(side / 2);
    (start, (centre + side - side / 2).min(length))
}

impl Strategy for Stamps {
    fn rule(&self) -> CountRule {
        CountRule::KeepTruncated
    }

    fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        let mask = &mut layers[0].1;
        mask.clear();
        self.stamp(mask, |bound| random.within(0, bound));
        self.adjust(mask, &mut random);
        mask.invert();
        mask.repeat_first_frame();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_off_at_the_border() {
        let grid = Grid::image(14, 14).unwrap();
        let mut centres = [0, 13, 30, 30, 195].into_iter();
        let mut mask = PatchMask::visible(grid, CountRule::KeepTruncated);
        Stamps { settings: InverseBlock::default(), grid }.stamp(&mut mask, |_| centres.next().unwrap());
        assert!(centres.next().is_none());
        // Around the cells 0, 13, 30 twice, and 195 of 14 x 14.
        let blocks = [0, 1, 12, 13, 14, 15, 16, 17, 26, 27, 29, 30, 31, 43, 44, 45, 180, 181, 194, 195];
        assert_eq!(mask.ids_masked(), blocks);
    }
}
