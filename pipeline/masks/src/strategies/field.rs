//! Masks by the rank of other fields: Perlin noise, Halton's order, or blue noise by void and cluster.

use std::sync::Arc;

use pageloom_training::random::{KeyedRandom, KeyedStreams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::field::{blue_noise, halton, perlin};
use crate::grid::Grid;
use crate::rank::{mask_all_but_lowest, repeat_frames};
use crate::ratio::Ratio;

/// Settings of `field`, for which there is no publication. All frames of a video have the same mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    /// This share of cells is masked: all but the lowest values of the field.
    pub ratio: Ratio,
    /// The field.
    pub kind: FieldKind,
}

/// A field of scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FieldKind {
    /// Gradient noise: blobs of about half of `spacing` cells.
    Perlin {
        /// The lattice's points are so many cells apart.
        spacing: f64,
    },
    /// Halton's order of the grid's cells, begun at another cell for each image.
    Halton,
    /// Visible cells as evenly spread as can be: a window of a torus of void-and-cluster ranks, mirrored at random.
    BlueNoise {
        /// The torus has so many rows and columns.
        side: u32,
    },
}

impl Default for Field {
    fn default() -> Self {
        Self { ratio: Ratio::Fixed(0.75), kind: FieldKind::BlueNoise { side: 32 } }
    }
}

impl StrategySettings for Field {
    fn kinds() -> Vec<(&'static str, Self)> {
        let kinds = [FieldKind::BlueNoise { side: 32 }, FieldKind::Halton, FieldKind::Perlin { spacing: 4.0 }];
        ["blue noise", "halton", "perlin"].into_iter().zip(kinds.map(|kind| Self { kind, ..Self::default() })).collect()
    }

    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = self.ratio.problems("ratio");
        let least = grid.rows().max(grid.columns());
        match self.kind {
            FieldKind::Perlin { spacing } if !(1.0..=1024.0).contains(&spacing) => {
                problems.push(format!("spacing is {spacing}, but it must lie between 1 and 1024"));
            }
            FieldKind::BlueNoise { side } if !(least..=128.max(least)).contains(&(side as usize)) => {
                problems.push(format!("side is {side}, but it must lie between {least} and {}", 128.max(least)));
            }
            _ => {}
        }
        problems
    }

    fn favours_no_cell(&self) -> bool {
        // The other fields are as even, but not their ranks within a window.
        self.kind == FieldKind::Halton
    }

    fn build(&self, grid: Grid, streams: &KeyedStreams) -> Arc<dyn Strategy> {
        let source = match self.kind {
            FieldKind::Perlin { spacing } => Source::Perlin(spacing),
            FieldKind::Halton => Source::Torus(Torus {
                rows: grid.rows(),
                columns: grid.columns(),
                ranks: halton(grid.rows(), grid.columns()),
                mirrors: false,
            }),
            FieldKind::BlueNoise { side } => Source::Torus(Torus {
                rows: side as usize,
                columns: side as usize,
                ranks: blue_noise(side as usize, &mut streams.of(b"", u32::MAX)),
                mirrors: true,
            }),
        };
        Arc::new(ByField { ratio: self.ratio, grid, source })
    }
}

#[derive(Debug)]
struct ByField {
    ratio: Ratio,
    grid: Grid,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Perlin(f64),
    Torus(Torus),
}

#[derive(Debug)]
struct Torus {
    rows: usize,
    columns: usize,
    ranks: Vec<f32>,
    mirrors: bool,
}

impl Torus {
    // The grid's window of the torus, from a drawn cell on.
    fn window(&self, grid: Grid, random: &mut KeyedRandom, field: &mut [f32]) {
        let down = random.within(0, self.rows as u32) as usize;
        let right = random.within(0, self.columns as u32) as usize;
        let (upside_down, mirrored) = (random.happens(0.5) && self.mirrors, random.happens(0.5) && self.mirrors);
        for (row, cells) in field.chunks_exact_mut(grid.columns()).enumerate() {
            let row = (down + if upside_down { self.rows - row } else { row }) % self.rows;
            for (column, cell) in cells.iter_mut().enumerate() {
                let column = (right + if mirrored { self.columns - column } else { column }) % self.columns;
                *cell = self.ranks[row * self.columns + column];
            }
        }
    }
}

impl Strategy for ByField {
    fn rule(&self) -> CountRule {
        CountRule::KeepTruncated
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(0, self.grid.frame_cells(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        let Scratch { scores, bits, .. } = &mut *draw.scratch;
        match &self.source {
            Source::Perlin(spacing) => perlin(self.grid.columns(), *spacing, &mut random, scores),
            Source::Torus(torus) => torus.window(self.grid, &mut random, scores),
        }
        mask_all_but_lowest(scores, self.rule().visible(scores.len(), self.ratio.at(draw.image.view)), bits);
        repeat_frames(bits, &mut layers[0].1);
        draw.scratch.scores_rank_cells = self.grid.frames() == 1;
        Ok(())
    }
}
