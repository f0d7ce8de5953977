//! Masks cubes at the coarsest stage of a network, and with them their cells at every finer one (MambaMIM, arXiv 2408.08070).

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

/// Settings of `hierarchical_3d`. The masker's grid is that of the stage, or of the voxels, that a mask is wanted for:
/// with the same seed, a grid `n` times as fine and a `scale` of `n` give the same cubes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hierarchical3d {
    /// This share of cubes is masked.
    pub ratio: Ratio,
    /// A cube of the coarsest stage has so many frames, rows and columns of the grid.
    pub scale: u32,
}

impl Default for Hierarchical3d {
    fn default() -> Self {
        Self { ratio: Ratio::Fixed(0.75), scale: 1 }
    }
}

impl StrategySettings for Hierarchical3d {
    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = self.ratio.problems("ratio");
        let sides = [grid.frames(), grid.rows(), grid.columns()];
        if self.scale == 0 || !sides.iter().all(|side| side.is_multiple_of(self.scale as usize)) {
            problems.push(format!("scale is {}, but it must divide the grid of {sides:?} cells", self.scale));
        }
        problems
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(Cubes { ratio: self.ratio, scale: self.scale as usize, grid })
    }
}

#[derive(Debug)]
struct Cubes {
    ratio: Ratio,
    scale: usize,
    grid: Grid,
}

impl Strategy for Cubes {
    fn rule(&self) -> CountRule {
        CountRule::KeepRounded
    }

    fn scratch(&self) -> Scratch {
        let cubes = self.grid.cells() / self.scale.pow(3);
        Scratch::with(cubes, cubes, 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let Scratch { words, scores, bits, .. } = &mut *draw.scratch;
        white(&mut draw.streams.of(draw.image.key, draw.image.view), words, scores);
        let visible = self.rule().visible(scores.len(), self.ratio.at(draw.image.view));
        mask_all_but_lowest(scores, visible, bits);
        let (rows, columns, scale) = (self.grid.rows(), self.grid.columns(), self.scale);
        let mask = &mut layers[0].1;
        mask.clear();
        for cell in 0..self.grid.cells() {
            let (frame, row, column) = (cell / (rows * columns), cell / columns % rows, cell % columns);
            let cube = (frame / scale * (rows / scale) + row / scale) * (columns / scale) + column / scale;
            if bits[cube / 8] >> (cube % 8) & 1 == 1 {
                mask.set(cell);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaskConfig;
    use super::*;

    fn mask(scale: u32) -> PatchMask {
        let config = MaskConfig::Hierarchical3d(Hierarchical3d { scale, ..Hierarchical3d::default() });
        let side = 6 * scale;
        let mut masker = crate::Masker::new(&config, Grid::video(side, side, side).unwrap(), 1).unwrap();
        masker.views(b"volume", 0..1, crate::Guide::None).unwrap().remove(0).layers.remove(0).1
    }

    #[test]
    fn a_finer_stage_repeats_the_coarsest_mask() {
        let (coarse, fine) = (mask(1), mask(2));
        assert_eq!(coarse.ids_keep().len(), 54);
        for cell in 0..12 * 12 * 12 {
            let cube = cell / 144 / 2 * 36 + cell / 12 % 12 / 2 * 6 + cell % 12 / 2;
            assert_eq!(fine.is_masked(cell), coarse.is_masked(cube));
        }
    }
}
