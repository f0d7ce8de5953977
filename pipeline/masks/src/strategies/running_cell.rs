//! Tubes for the encoder, and 2 x 2 cells that turn from frame to frame for the decoder (VideoMAE V2, arXiv 2303.16727).

use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings, tube::Tube};
use crate::cells::block_problem;
use crate::count::CountRule;
use crate::grid::Grid;
use crate::ratio::Ratio;

/// Settings of `running_cell`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunningCell {
    /// This share of a frame's cells is masked in the encoder, in all frames alike.
    pub ratio: f64,
    /// This share of the 4 places of a cell, truncated, is left out by the decoder.
    pub decoder_ratio: f64,
}

impl Default for RunningCell {
    fn default() -> Self {
        Self { ratio: 0.9, decoder_ratio: 0.5 }
    }
}

impl StrategySettings for RunningCell {
    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = Ratio::Fixed(self.ratio).problems("ratio");
        if !(1..=3).contains(&CountRule::MaskTruncated.masked(4, self.decoder_ratio)) {
            problems.push(format!("decoder_ratio is {}, but 1 to 3 of 4 places must be left out", self.decoder_ratio));
        }
        problems.into_iter().chain(block_problem("the side of a cell", 2, grid)).collect()
    }

    fn favours_no_cell(&self) -> bool {
        true
    }

    fn build(&self, grid: Grid, streams: &KeyedStreams) -> Arc<dyn Strategy> {
        let encoder = Tube { ratio: Ratio::Fixed(self.ratio) }.build(grid, streams);
        Arc::new(TurningCells { encoder, skipped: CountRule::MaskTruncated.masked(4, self.decoder_ratio), grid })
    }
}

#[derive(Debug)]
struct TurningCells {
    encoder: Arc<dyn Strategy>,
    skipped: usize,
    grid: Grid,
}

impl TurningCells {
    // The first places of four are left out, of which each frame begins one further on.
    fn turn(&self, phase: usize, mask: &mut PatchMask) {
        mask.clear();
        for cell in 0..self.grid.cells() {
            let (frame, place) = (cell / self.grid.frame_cells(), cell % self.grid.frame_cells());
            let place = place / self.grid.columns() % 2 * 2 + place % self.grid.columns() % 2;
            if (place + phase + frame + 1) % 4 < self.skipped {
                mask.set(cell);
            }
        }
    }
}

impl Strategy for TurningCells {
    fn layers(&self) -> Vec<Layer> {
        vec![Layer::Masked, Layer::DecoderSkipped]
    }

    fn rule(&self) -> CountRule {
        self.encoder.rule()
    }

    fn rule_beside(&self) -> CountRule {
        CountRule::Pattern
    }

    fn scratch(&self) -> Scratch {
        self.encoder.scratch()
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        self.encoder.draw(draw, layers)?;
        // A stream of its own: the first numbers of the image's stream have made the tubes.
        let phase = draw.streams.of(draw.image.key, !draw.image.view).within(0, 4) as usize;
        self.turn(phase, &mut layers[1].1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_four_places_turn_by_one_per_frame() {
        let grid = Grid::video(4, 2, 2).unwrap();
        let cells = RunningCell::default().build(grid, &KeyedStreams::new(0, ""));
        let cells = TurningCells { encoder: cells, skipped: 2, grid };
        let mut mask = PatchMask::visible(grid, CountRule::Pattern);
        cells.turn(0, &mut mask);
        // By frame: 1001, 0011, 0110, 1100 (VideoMAE V2's queue 1100, read from 1, 2, 3 and 4 on).
        assert_eq!(mask.ids_masked(), [0, 3, 6, 7, 9, 10, 12, 13]);
    }
}
