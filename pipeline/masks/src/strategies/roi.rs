//! Masks, or shows, the regions of an image that the caller names.

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::field::white;
use crate::grid::Grid;
use crate::masker::Guide;
use crate::rank::{mask_all_but_lowest, repeat_frames};
use crate::ratio::Ratio;

/// Settings of `roi`. Every image needs boxes, or a bitmap of one frame's cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Roi {
    /// What happens to the cells of the regions.
    pub regions: Regions,
    /// A cell belongs to a box that covers this share of it.
    pub min_overlap: f64,
    /// This share of cells is masked exactly, those of the regions first (or last, where they are shown), others at
    /// random; the regions alone decide where there is none.
    pub ratio: Option<f64>,
}

/// What happens to the cells of regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Regions {
    /// They are masked, others are visible.
    Mask,
    /// They are visible, others are masked.
    Keep,
}

impl Default for Roi {
    fn default() -> Self {
        Self { regions: Regions::Mask, min_overlap: 0.5, ratio: None }
    }
}

impl StrategySettings for Roi {
    fn kinds() -> Vec<(&'static str, Self)> {
        let keep = Self { regions: Regions::Keep, ..Self::default() };
        vec![("mask", Self::default()), ("keep", keep)]
    }

    fn check(&self, _: Grid) -> Vec<String> {
        let mut problems = self.ratio.map_or(Vec::new(), |ratio| Ratio::Fixed(ratio).problems("ratio"));
        if !(self.min_overlap > 0.0 && self.min_overlap <= 1.0) {
            problems.push(format!("min_overlap is {}, but it must lie above 0 and at most at 1", self.min_overlap));
        }
        problems
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(ByRegions { settings: self.clone(), grid })
    }
}

#[derive(Debug)]
struct ByRegions {
    settings: Roi,
    grid: Grid,
}

impl ByRegions {
    fn mark(&self, guide: Guide<'_>, bits: &mut [u8]) -> Result<(), MaskError> {
        bits.fill(0);
        match guide {
            Guide::Boxes(boxes) => boxes.iter().for_each(|region| self.mark_box(region, bits)),
            Guide::Bitmap(bitmap) if bitmap.len() == bits.len() => bits.copy_from_slice(bitmap),
            other => {
                let needed = "boxes, or a bitmap of a frame's cells";
                return Err(MaskError::Guide { needed, got: other.describe() });
            }
        }
        Ok(())
    }

    fn mark_box(&self, &[left, top, right, bottom]: &[f32; 4], bits: &mut [u8]) {
        let (rows, columns) = (self.grid.rows(), self.grid.columns());
        let least = self.settings.min_overlap;
        for row in 0..rows {
            for column in 0..columns {
                let covered = overlap(row, rows, top, bottom) * overlap(column, columns, left, right);
                if covered >= least {
                    let cell = row * columns + column;
                    bits[cell / 8] |= 1 << (cell % 8);
                }
            }
        }
    }
}

// Which share of a cell lies between two places, which are shares of the whole.
fn overlap(cell: usize, cells: usize, start: f32, end: f32) -> f64 {
    let (start, end) = (f64::from(start) * cells as f64, f64::from(end) * cells as f64);
    (end.min(cell as f64 + 1.0) - start.max(cell as f64)).max(0.0)
}

impl Strategy for ByRegions {
    fn rule(&self) -> CountRule {
        if self.settings.ratio.is_some() { CountRule::KeepTruncated } else { CountRule::Pattern }
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.grid.frame_cells(), self.grid.frame_cells(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        self.mark(draw.image.guide, &mut draw.scratch.bits)?;
        let mut random = draw.random();
        let Scratch { words, scores, bits, .. } = &mut *draw.scratch;
        let masks_regions = self.settings.regions == Regions::Mask;
        match self.settings.ratio {
            None if masks_regions => {}
            None => {
                let cells = self.grid.frame_cells();
                bits.iter_mut().for_each(|byte| *byte = !*byte);
                crate::rank::clear_behind(bits, cells);
            }
            Some(ratio) => {
                white(&mut random, words, scores);
                for (cell, score) in scores.iter_mut().enumerate() {
                    let is_inside = bits[cell / 8] >> (cell % 8) & 1 == 1;
                    // White noise is below 1, so whole numbers come first in rank.
                    *score += if is_inside == masks_regions { 1.0 } else { 0.0 };
                }
                mask_all_but_lowest(scores, self.rule().visible(scores.len(), ratio), bits);
            }
        }
        repeat_frames(bits, &mut layers[0].1);
        draw.scratch.scores_rank_cells = self.settings.ratio.is_some() && self.grid.frames() == 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaskConfig;
    use super::*;

    fn masked(settings: Roi, guide: Guide<'_>) -> Vec<u32> {
        let mut masker = crate::Masker::new(&MaskConfig::Roi(settings), Grid::image(4, 4).unwrap(), 1).unwrap();
        masker.views(b"image", 0..1, guide).unwrap()[0].masked().ids_masked()
    }

    // The middle four cells, and less than half of those to their right.
    const BOX: Guide<'static> = Guide::Boxes(&[[0.25, 0.25, 0.85, 0.75]]);

    #[test]
    fn a_box_masks_the_cells_that_it_covers_by_half() {
        assert_eq!(masked(Roi::default(), BOX), [5, 6, 9, 10]);
    }

    #[test]
    fn kept_regions_are_all_that_is_visible() {
        let settings = Roi { regions: Regions::Keep, ..Roi::default() };
        assert_eq!(masked(settings, Guide::Bitmap(&[0xf0, 0xff])), [0, 1, 2, 3]);
    }

    #[test]
    fn an_exact_share_takes_the_regions_first() {
        let half = masked(Roi { ratio: Some(0.5), ..Roi::default() }, BOX);
        assert!(half.len() == 8 && [5, 6, 9, 10].iter().all(|cell| half.contains(cell)), "{half:?}");
        let eighth = masked(Roi { ratio: Some(0.125), ..Roi::default() }, BOX);
        assert!(eighth.len() == 2 && eighth.iter().all(|cell| [5, 6, 9, 10].contains(cell)), "{eighth:?}");
    }
}
