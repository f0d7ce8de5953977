//! Masks rectangles until enough cells are masked (BEiT, arXiv 2106.08254; data2vec with 120 cells).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::grid::Grid;
use crate::rectangle::{Rectangle, beit_sides};

/// Settings of `block`. A mask may end with fewer cells than were asked for, never with more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Block {
    /// This share of cells is asked for, truncated; the publication's 75 of 196, and data2vec's 120, are 0.3827 and 0.6123.
    pub ratio: f64,
    /// A rectangle is asked to have at least so many cells.
    pub min_cells: u32,
    /// A rectangle adds at most so many cells; as many as are missing where there is no number.
    pub max_cells: Option<u32>,
    /// The lowest quotient of a rectangle's rows and columns.
    pub min_aspect: f64,
    /// The highest quotient of a rectangle's rows and columns; the inverse of the lowest where there is none.
    pub max_aspect: Option<f64>,
}

impl Default for Block {
    fn default() -> Self {
        Self { ratio: 0.3827, min_cells: 16, max_cells: None, min_aspect: 0.3, max_aspect: None }
    }
}

impl Block {
    fn max_aspect(&self) -> f64 {
        self.max_aspect.unwrap_or(1.0 / self.min_aspect)
    }
}

impl StrategySettings for Block {
    fn kinds() -> Vec<(&'static str, Self)> {
        vec![("beit", Self::default()), ("data2vec", Self { ratio: 0.6123, ..Self::default() })]
    }

    fn check(&self, _: Grid) -> Vec<String> {
        let mut problems = crate::ratio::Ratio::Fixed(self.ratio).problems("ratio");
        if self.min_cells == 0 || self.max_cells == Some(0) {
            problems.push("min_cells and max_cells must be at least 1".to_owned());
        }
        if !(self.min_aspect > 0.0 && self.min_aspect <= self.max_aspect() && self.max_aspect().is_finite()) {
            problems.push(format!("min_aspect is {} and max_aspect {}", self.min_aspect, self.max_aspect()));
        }
        problems
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(Rectangles { settings: self.clone(), grid })
    }
}

#[derive(Debug)]
struct Rectangles {
    settings: Block,
    grid: Grid,
}

impl Rectangles {
    // Rectangles until the frame has enough masked cells, or ten in a row don't fit.
    fn cover(&self, mask: &mut PatchMask, uniform: &mut dyn FnMut() -> f64) {
        let wanted = CountRule::AtMost.masked(self.grid.frame_cells(), self.settings.ratio);
        let mut masked = 0;
        while masked < wanted {
            let most = (wanted - masked).min(self.settings.max_cells.map_or(wanted, |cells| cells as usize));
            match (0..10).find_map(|_| self.attempt(most, mask, uniform)) {
                Some(added) => masked += added,
                None => break,
            }
        }
    }

    // One rectangle, if it has anything to add and not too much.
    fn attempt(&self, most: usize, mask: &mut PatchMask, uniform: &mut dyn FnMut() -> f64) -> Option<usize> {
        let settings = &self.settings;
        let aspects = (settings.min_aspect, settings.max_aspect());
        let (rows, columns) = beit_sides((f64::from(settings.min_cells), most as f64), aspects, uniform);
        if rows >= self.grid.rows() || columns >= self.grid.columns() {
            return None;
        }
        let top = (uniform() * (self.grid.rows() - rows + 1) as f64) as usize;
        let left = (uniform() * (self.grid.columns() - columns + 1) as f64) as usize;
        let rectangle = Rectangle { top, left, rows, columns };
        let added = rectangle.cells(self.grid).filter(|&cell| !mask.is_masked(cell)).count();
        if added == 0 || added > most {
            return None;
        }
        rectangle.cells(self.grid).for_each(|cell| mask.set(cell));
        Some(added)
    }
}

impl Strategy for Rectangles {
    fn rule(&self) -> CountRule {
        CountRule::AtMost
    }

    fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        let mask = &mut layers[0].1;
        mask.clear();
        self.cover(mask, &mut || random.uniform());
        mask.repeat_first_frame();
        Ok(())
    }
}
