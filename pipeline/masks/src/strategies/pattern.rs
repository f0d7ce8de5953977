//! Fixed patterns: one of every few cells visible, or every other one (MAE's ablation, arXiv 2111.06377 figure 6).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::grid::Grid;

/// Settings of `grid`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Regular {
    /// In every block of so many rows and columns one cell is visible.
    pub step: u32,
    /// Whether the pattern begins elsewhere in each view of an image, rather than with the first cell.
    pub random_phase: bool,
}

/// Settings of `checkerboard`: the cells whose row and column add up to an odd number are masked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Checkerboard {
    /// Whether the other cells are masked in half of the views.
    pub random_phase: bool,
}

impl Default for Regular {
    fn default() -> Self {
        Self { step: 2, random_phase: false }
    }
}

impl StrategySettings for Regular {
    fn check(&self, grid: Grid) -> Vec<String> {
        let most = grid.rows().min(grid.columns());
        let fits = (1..=most).contains(&(self.step as usize));
        (!fits).then(|| format!("step is {}, but it must lie between 1 and {most}", self.step)).into_iter().collect()
    }

    fn favours_no_cell(&self) -> bool {
        self.random_phase
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(Repeated { grid, random_phase: self.random_phase, pattern: Pattern::OneOf(self.step as usize) })
    }
}

impl StrategySettings for Checkerboard {
    fn check(&self, _: Grid) -> Vec<String> {
        Vec::new()
    }

    fn favours_no_cell(&self) -> bool {
        self.random_phase
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(Repeated { grid, random_phase: self.random_phase, pattern: Pattern::EveryOther })
    }
}

#[derive(Debug)]
struct Repeated {
    grid: Grid,
    random_phase: bool,
    pattern: Pattern,
}

#[derive(Debug, Clone, Copy)]
enum Pattern {
    OneOf(usize),
    EveryOther,
}

impl Pattern {
    fn is_visible(self, row: usize, column: usize) -> bool {
        match self {
            Self::OneOf(step) => row.is_multiple_of(step) && column.is_multiple_of(step),
            Self::EveryOther => (row + column).is_multiple_of(2),
        }
    }

    fn period(self) -> u32 {
        match self {
            Self::OneOf(step) => step as u32,
            Self::EveryOther => 2,
        }
    }
}

impl Strategy for Repeated {
    fn rule(&self) -> CountRule {
        CountRule::Pattern
    }

    fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        let mut phase = || if self.random_phase { random.within(0, self.pattern.period()) as usize } else { 0 };
        let (down, right) = (phase(), phase());
        let mask = &mut layers[0].1;
        mask.clear();
        for cell in 0..self.grid.frame_cells() {
            if !self.pattern.is_visible(cell / self.grid.columns() + down, cell % self.grid.columns() + right) {
                mask.set(cell);
            }
        }
        mask.repeat_first_frame();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaskConfig;
    use super::*;

    fn visible(config: &MaskConfig) -> Vec<u32> {
        let mut masker = crate::Masker::new(config, Grid::image(4, 4).unwrap(), 1).unwrap();
        masker.views(b"", 0..1, crate::Guide::None).unwrap()[0].masked().ids_keep()
    }

    #[test]
    fn a_grid_shows_the_first_cell_of_every_2_x_2() {
        assert_eq!(visible(&MaskConfig::Grid(Regular::default())), [0, 2, 8, 10]);
    }

    #[test]
    fn a_checkerboard_shows_every_other_cell() {
        assert_eq!(visible(&MaskConfig::Checkerboard(Checkerboard::default())), [0, 2, 5, 7, 8, 10, 13, 15]);
    }
}
