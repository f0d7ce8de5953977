//! Stored noise, from which windows are cut.

use pageloom_training::random::{KeyedRandom, KeyedStreams};

use super::Spectrum;
use crate::grid::Grid;

/// Square patterns of noise, all of one size.
#[derive(Debug)]
pub(crate) struct Bank {
    size: usize,
    patterns: Vec<f32>,
}

impl Bank {
    /// So many fields of a square spectrum, drawn from the job's own streams.
    pub(crate) fn new(spectrum: &Spectrum, num_patterns: u32, streams: &KeyedStreams) -> Self {
        let size = spectrum.rows();
        let mut patterns = vec![0.0; num_patterns as usize * size * size];
        let (mut words, mut partial) = (vec![0; spectrum.num_words()], vec![0.0; spectrum.num_partial()]);
        for (number, pattern) in patterns.chunks_exact_mut(size * size).enumerate() {
            let mut random = streams.of(b"", u32::MAX - number as u32);
            spectrum.draw(&mut random, &mut words, &mut partial, pattern);
        }
        Self { size, patterns }
    }

    /// A window with one crop, one horizontal and one vertical flip by `shared`, of a pattern by `own`.
    pub(crate) fn window(&self, grid: Grid, own: &mut KeyedRandom, shared: &mut KeyedRandom, field: &mut [f32]) {
        let area = self.size * self.size;
        let pattern = own.within(0, (self.patterns.len() / area) as u32) as usize;
        let top = shared.within(0, (self.size - grid.rows()) as u32 + 1) as usize;
        let left = shared.within(0, (self.size - grid.columns()) as u32 + 1) as usize;
        let (mirrored, upside_down) = (shared.happens(0.5), shared.happens(0.5));
        let pattern = &self.patterns[pattern * area..][..area];
        for (row, cells) in field.chunks_exact_mut(grid.columns()).enumerate() {
            let row = if upside_down { grid.rows() - 1 - row } else { row };
            let window = &pattern[(top + row) * self.size + left..][..grid.columns()];
            cells.copy_from_slice(window);
            if mirrored {
                cells.reverse();
            }
        }
    }
}
