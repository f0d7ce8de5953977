//! Masks as many cells in every row of every frame, or tubes (MaskGWM, arXiv 2502.11663).

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

/// Settings of `rows`.
///
/// Where the visible cells don't divide evenly among the rows, which the authors' code demands, as many are visible as do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rows {
    /// This share of a frame's cells is masked, and more where the visible ones don't divide evenly among the rows.
    pub ratio: f64,
    /// So likely are all frames masked alike, in one random mask over all rows.
    pub constant: f64,
    /// Whether masks that are alike in all frames also have as many cells in every row (`row_t_rc`).
    pub constant_by_rows: bool,
}

impl Default for Rows {
    fn default() -> Self {
        Self { ratio: 0.25, constant: 0.5, constant_by_rows: false }
    }
}

impl Rows {
    fn visible_per_row(&self, grid: Grid) -> usize {
        CountRule::KeepTruncated.visible(grid.frame_cells(), self.ratio) / grid.rows()
    }
}

impl StrategySettings for Rows {
    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = Ratio::Fixed(self.ratio).problems("ratio");
        problems.extend(Ratio::Fixed(self.constant).problems("constant"));
        let columns = grid.columns();
        if self.visible_per_row(grid) == 0 {
            problems.push(format!("ratio is {}, which leaves none of a row's {columns} cells visible", self.ratio));
        }
        problems
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(EqualRows { settings: self.clone(), grid })
    }
}

#[derive(Debug)]
struct EqualRows {
    settings: Rows,
    grid: Grid,
}

impl EqualRows {
    // Masks all but the lowest scores of each row; `scores` may end after a few rows.
    fn mask_rows(&self, scores: &[f32], bits: &mut [u8], mask: &mut PatchMask) {
        let columns = self.grid.columns();
        let visible = self.settings.visible_per_row(self.grid);
        let bits = &mut bits[..columns.div_ceil(8)];
        for (row, scores) in scores.chunks_exact(columns).enumerate() {
            mask_all_but_lowest(scores, visible, bits);
            let masked = (0..columns).filter(|column| bits[column / 8] >> (column % 8) & 1 == 1);
            masked.for_each(|column| mask.set(row * columns + column));
        }
    }
}

impl Strategy for EqualRows {
    fn rule(&self) -> CountRule {
        let visible = CountRule::KeepTruncated.visible(self.grid.frame_cells(), self.settings.ratio);
        if visible.is_multiple_of(self.grid.rows()) { CountRule::KeepTruncated } else { CountRule::Pattern }
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.grid.cells(), self.grid.cells(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        let is_constant = random.happens(self.settings.constant);
        let Scratch { words, scores, bits, .. } = &mut *draw.scratch;
        let mask = &mut layers[0].1;
        mask.clear();
        if !is_constant {
            white(&mut random, words, scores);
            self.mask_rows(scores, bits, mask);
            return Ok(());
        }
        let frame = &mut scores[..self.grid.frame_cells()];
        white(&mut random, words, frame);
        if self.settings.constant_by_rows {
            self.mask_rows(frame, bits, mask);
        } else {
            let visible = self.settings.visible_per_row(self.grid) * self.grid.rows();
            let bits = &mut bits[..frame.len().div_ceil(8)];
            mask_all_but_lowest(frame, visible, bits);
            mask.bits_mut()[..bits.len()].copy_from_slice(bits);
        }
        mask.repeat_first_frame();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaskConfig;
    use super::*;

    fn masked_per_row(settings: Rows) -> Vec<usize> {
        let mut masker = crate::Masker::new(&MaskConfig::Rows(settings), Grid::video(3, 4, 8).unwrap(), 1).unwrap();
        let drawn = masker.views(b"video", 0..1, crate::Guide::None).unwrap();
        let mask = drawn[0].masked();
        (0..12).map(|row| (0..8).filter(|column| mask.is_masked(row * 8 + column)).count()).collect()
    }

    #[test]
    fn every_row_of_every_frame_has_as_many_masked_cells() {
        assert_eq!(masked_per_row(Rows { constant: 0.0, ..Rows::default() }), [2; 12]);
        assert_eq!(masked_per_row(Rows { constant: 1.0, constant_by_rows: true, ..Rows::default() }), [2; 12]);
    }

    #[test]
    fn as_many_cells_are_visible_as_divide_evenly_among_the_rows() {
        let grid = Grid::image(14, 14).unwrap();
        for constant in [0.0, 1.0] {
            let config = MaskConfig::Rows(Rows { constant, ..Rows::default() });
            let mut masker = crate::Masker::new(&config, grid, 1).unwrap();
            // A quarter of 196 would leave 147 visible, ten and a half in each row.
            assert_eq!(masker.rule(), CountRule::Pattern);
            assert_eq!(masker.views(b"image", 0..1, crate::Guide::None).unwrap()[0].masked().num_masked(), 196 - 140);
        }
    }

    #[test]
    fn a_row_without_a_visible_cell_is_a_problem() {
        let settings = Rows { ratio: 0.99, ..Rows::default() };
        let problem = "ratio is 0.99, which leaves none of a row's 14 cells visible";
        assert_eq!(settings.check(Grid::image(14, 14).unwrap()), [problem]);
    }

    #[test]
    fn a_constant_mask_counts_over_the_frame() {
        let rows = masked_per_row(Rows { constant: 1.0, ..Rows::default() });
        assert_eq!([&rows[..4], &rows[..4]].concat(), rows[4..]);
        assert_eq!(rows.iter().sum::<usize>(), 3 * 8);
    }
}
