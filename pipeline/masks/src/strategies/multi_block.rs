//! A context block without the target blocks that are predicted from it (I-JEPA, arXiv 2301.08243).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::grid::Grid;
use crate::rectangle::{Rectangle, rounded_root};

/// Settings of `multi_block`. Visible is the context; each target is a layer of its own.
///
/// As in the authors' code, one draw gives both scale and aspect, and a block never ends at the last row or column.
/// A batch of theirs cuts all lists of cells to the shortest one: that is left to whoever makes batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MultiBlock {
    /// So many blocks are predicted.
    pub targets: u32,
    /// A target has a share of cells between these two.
    pub target_scale: [f64; 2],
    /// A target's quotient of rows and columns lies between these two.
    pub target_aspect: [f64; 2],
    /// The context has a share of cells between these two, before targets are taken out of it.
    pub context_scale: [f64; 2],
    /// The context's quotient of rows and columns lies between these two.
    pub context_aspect: [f64; 2],
    /// A block with so many cells or fewer is drawn again.
    pub min_keep: u32,
    /// Whether targets stay in the context.
    pub allow_overlap: bool,
    /// Whether all images of a view have blocks of the same sizes, as all images of a batch do in the authors' code.
    pub shared_sizes: bool,
}

impl Default for MultiBlock {
    fn default() -> Self {
        Self {
            targets: 4,
            target_scale: [0.15, 0.2],
            target_aspect: [0.75, 1.5],
            context_scale: [0.85, 1.0],
            context_aspect: [1.0, 1.0],
            min_keep: 10,
            allow_overlap: false,
            shared_sizes: true,
        }
    }
}

// After so many draws without enough cells, one target less has to be avoided.
const TRIES: u32 = 20;

impl StrategySettings for MultiBlock {
    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=16).contains(&self.targets) {
            problems.push(format!("targets is {}, but it must lie between 1 and 16", self.targets));
        }
        for (name, [low, high]) in [("target_scale", self.target_scale), ("context_scale", self.context_scale)] {
            if !(0.0 < low && low <= high && high <= 1.0) {
                problems.push(format!("{name} is {low} to {high}, but it must rise between 0 and 1"));
            }
        }
        for (name, [low, high]) in [("target_aspect", self.target_aspect), ("context_aspect", self.context_aspect)] {
            if !(0.0 < low && low <= high && high.is_finite()) {
                problems.push(format!("{name} is {low} to {high}, but it must rise above 0"));
            }
        }
        if grid.rows() < 2 || grid.columns() < 2 {
            problems.push("the grid must have at least 2 rows and 2 columns".to_owned());
        }
        if problems.is_empty() {
            let (rows, columns) = self.sides(grid, self.target_scale, self.target_aspect, 0.0);
            if rows * columns <= self.min_keep as usize {
                problems.push(format!(
                    "the smallest target has {} cells, but min_keep is {}",
                    rows * columns,
                    self.min_keep
                ));
            }
        }
        problems
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(ContextAndTargets { settings: self.clone(), grid })
    }
}

impl MultiBlock {
    // The sides of a block at this draw. A block is at least one cell shorter than the grid in both directions.
    fn sides(&self, grid: Grid, scale: [f64; 2], aspect: [f64; 2], drawn: f64) -> (usize, usize) {
        let scale = scale[0] + drawn * (scale[1] - scale[0]);
        let aspect = aspect[0] + drawn * (aspect[1] - aspect[0]);
        let area = (grid.frame_cells() as f64 * scale).trunc();
        let sides = (rounded_root(area * aspect), rounded_root(area / aspect));
        (sides.0.clamp(1, grid.rows() - 1), sides.1.clamp(1, grid.columns() - 1))
    }
}

#[derive(Debug)]
struct ContextAndTargets {
    settings: MultiBlock,
    grid: Grid,
}

impl ContextAndTargets {
    // The targets and then the context, in the order of the authors' draws.
    fn place(
        &self,
        sizes: &mut dyn FnMut() -> f64,
        places: &mut dyn FnMut() -> f64,
        layers: &mut [(Layer, PatchMask)],
    ) {
        let settings = &self.settings;
        let target = settings.sides(self.grid, settings.target_scale, settings.target_aspect, sizes());
        let context = settings.sides(self.grid, settings.context_scale, settings.context_aspect, sizes());
        let Some(((_, masked), targets)) = layers.split_first_mut() else { return };
        for (_, mask) in targets.iter_mut() {
            mask.clear();
            // `check` has made sure that a target has enough cells.
            self.drop_block(target, places).cells(self.grid).for_each(|cell| mask.set(cell));
        }
        let mut avoided = if settings.allow_overlap { 0 } else { targets.len() };
        loop {
            for _ in 0..TRIES {
                let block = self.drop_block(context, places);
                masked.clear();
                let is_free = |cell: &usize| targets[..avoided].iter().all(|(_, target)| !target.is_masked(*cell));
                block.cells(self.grid).filter(is_free).for_each(|cell| masked.set(cell));
                if masked.num_masked() > settings.min_keep as usize {
                    return masked.invert();
                }
            }
            if avoided == 0 {
                return masked.invert();
            }
            avoided -= 1;
        }
    }

    fn drop_block(&self, (rows, columns): (usize, usize), uniform: &mut dyn FnMut() -> f64) -> Rectangle {
        let top = (uniform() * (self.grid.rows() - rows) as f64) as usize;
        let left = (uniform() * (self.grid.columns() - columns) as f64) as usize;
        Rectangle { top, left, rows, columns }
    }
}

impl Strategy for ContextAndTargets {
    fn layers(&self) -> Vec<Layer> {
        std::iter::once(Layer::Masked).chain((0..self.settings.targets).map(Layer::Target)).collect()
    }

    fn rule(&self) -> CountRule {
        CountRule::Pattern
    }

    fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        // An image's own key has its own length in front, so no image shares the stream of the empty key but by being it.
        let mut shared =
            draw.streams.of(if self.settings.shared_sizes { b"" } else { draw.image.key }, !draw.image.view);
        self.place(&mut || shared.uniform(), &mut || random.uniform(), layers);
        layers.iter_mut().for_each(|(_, mask)| mask.repeat_first_frame());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_leave_no_context_are_given_up_one_by_one() {
        let grid = Grid::image(6, 6).unwrap();
        let settings = MultiBlock { target_scale: [1.0, 1.0], target_aspect: [1.0, 1.0], ..MultiBlock::default() };
        assert_eq!(settings.check(grid), [""; 0]);
        let config = super::super::MaskConfig::MultiBlock(settings);
        let drawn = crate::Masker::new(&config, grid, 1).unwrap().views(b"image", 0..5, crate::Guide::None).unwrap();
        assert!(drawn.iter().all(|masks| masks.masked().ids_keep().len() > 10));
    }
}
