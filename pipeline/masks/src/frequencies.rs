//! How often each cell is masked over many images, and whether chance explains the differences.

use crate::patch_mask::PatchMask;

/// Counts of a frame's cells, and of pairs of them, over masks that were drawn alike.
#[derive(Debug, Clone)]
pub struct Frequencies {
    rows: usize,
    columns: usize,
    masks: u32,
    counts: Vec<u32>,
    /// Of the first masks: how often both cells of a pair are masked, one row of cells for each cell.
    pairs: Vec<u32>,
    paired: u32,
    masked: Vec<u32>,
}

/// Pairs of cells are counted over so many masks: they only say how far chance reaches.
const PAIRED: u32 = 20_000;

impl Frequencies {
    /// Nothing counted yet, of a frame with so many rows and columns.
    pub fn new(rows: usize, columns: usize) -> Self {
        let cells = rows * columns;
        let (counts, pairs) = (vec![0; cells], vec![0; cells * cells]);
        Self { rows, columns, masks: 0, counts, pairs, paired: 0, masked: Vec::new() }
    }

    /// Counts the cells of a mask's first frame.
    pub fn add(&mut self, mask: &PatchMask) {
        let cells = self.counts.len();
        self.masked.clear();
        self.masked.extend((0..cells as u32).filter(|&cell| mask.is_masked(cell as usize)));
        self.masks += 1;
        for &cell in &self.masked {
            self.counts[cell as usize] += 1;
        }
        if self.paired < PAIRED {
            self.paired += 1;
            for &cell in &self.masked {
                let row = &mut self.pairs[cell as usize * cells..][..cells];
                self.masked.iter().for_each(|&other| row[other as usize] += 1);
            }
        }
    }

    /// The share of masks in which cells are masked, over the cells for which `wanted` holds of row and column.
    pub fn share(&self, wanted: impl Fn(usize, usize) -> bool) -> f64 {
        let cells = (0..self.counts.len()).filter(|cell| wanted(cell / self.columns, cell % self.columns));
        let (sum, number) =
            cells.fold((0.0, 0.0), |(sum, number), cell| (sum + f64::from(self.counts[cell]), number + 1.0));
        sum / number / f64::from(self.masks)
    }

    /// The share over the whole frame.
    pub fn mean(&self) -> f64 {
        self.share(|_, _| true)
    }

    /// The share over the four corners.
    pub fn corners(&self) -> f64 {
        let (last_row, last_column) = (self.rows - 1, self.columns - 1);
        self.share(|row, column| (row == 0 || row == last_row) && (column == 0 || column == last_column))
    }

    /// The share over the first and last rows and columns.
    pub fn border(&self) -> f64 {
        let (last_row, last_column) = (self.rows - 1, self.columns - 1);
        self.share(|row, column| row == 0 || row == last_row || column == 0 || column == last_column)
    }

    /// The share over the middle third of rows and columns.
    pub fn middle(&self) -> f64 {
        let third = |place: usize, places: usize| (places / 3..places - places / 3).contains(&place);
        self.share(|row, column| third(row, self.rows) && third(column, self.columns))
    }

    /// Pearson's chi-square of the cells' counts, with what chance alone gives of it; none where no cell ever changes.
    pub fn chi_square(&self) -> Option<ChiSquare> {
        let (cells, masks) = (self.counts.len(), f64::from(self.masks));
        let mean = self.mean() * masks;
        let squares: f64 = self.counts.iter().map(|&count| (f64::from(count) - mean).powi(2)).sum();
        let covariance = self.covariance();
        let of = |row: usize, column: usize| covariance[row * cells + column];
        // Of the counts' distances from their mean the covariances are the same, less what all cells have in common.
        let rows: Vec<f64> = (0..cells).map(|row| (0..cells).map(|column| of(row, column)).sum()).collect();
        let all = rows.iter().sum::<f64>() / (cells * cells) as f64;
        let centred = |row: usize, column: usize| of(row, column) - (rows[row] + rows[column]) / cells as f64 + all;
        let trace: f64 = (0..cells).map(|cell| centred(cell, cell)).sum();
        let square: f64 = (0..cells * cells).map(|pair| centred(pair / cells, pair % cells).powi(2)).sum();
        let freedom = (cells - 1) as f64;
        (trace > 1e-9).then(|| ChiSquare {
            value: squares / masks / trace * freedom,
            expected: freedom,
            deviation: (2.0 * square).sqrt() / trace * freedom,
        })
    }

    fn covariance(&self) -> Vec<f64> {
        let (cells, masks) = (self.counts.len(), f64::from(self.paired));
        let share = |cell: usize| f64::from(self.pairs[cell * cells + cell]) / masks;
        let of = |pair: usize| f64::from(self.pairs[pair]) / masks - share(pair / cells) * share(pair % cells);
        (0..cells * cells).map(of).collect()
    }
}

/// A chi-square, and what it would be if no cell were favoured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// The statistic.
    pub value: f64,
    /// The degrees of freedom, which is its mean.
    pub expected: f64,
    /// Its standard deviation: it is larger where cells are masked together than where each is masked for itself.
    pub deviation: f64,
}

impl ChiSquare {
    /// By how many standard deviations it is more than chance gives.
    pub fn excess(&self) -> f64 {
        (self.value - self.expected) / self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::{Cells, MaskConfig, Random};
    use crate::{Grid, Guide, Image, Masker};

    fn counted(config: &MaskConfig, skewed: bool) -> Frequencies {
        let mut masker = Masker::new(config, Grid::image(6, 6).unwrap(), 1).unwrap();
        let mut masks = masker.masks();
        let mut frequencies = Frequencies::new(6, 6);
        for number in 0..10_000_u32 {
            masker.draw(Image { key: &number.to_le_bytes(), view: 0, guide: Guide::None }, &mut masks).unwrap();
            if skewed && number % 4 == 0 {
                masks.layers[0].1.set(35);
            }
            frequencies.add(masks.masked());
        }
        frequencies
    }

    #[test]
    fn cells_masked_together_spread_the_statistic_and_leave_its_mean() {
        let alone = counted(&MaskConfig::Random(Random::default()), false).chi_square().unwrap();
        let blocks = counted(&MaskConfig::Cells(Cells::default()), false).chi_square().unwrap();
        // 36 cells, and 9 blocks of 4: the square root of twice the degrees of freedom, four times as much for blocks.
        assert!((alone.deviation / 70.0_f64.sqrt() - 1.0).abs() < 0.05, "{alone:?}");
        assert!((blocks.deviation / (35.0 / 8.0 * 16.0_f64.sqrt()) - 1.0).abs() < 0.05, "{blocks:?}");
        assert!(alone.excess() < 4.0 && blocks.excess() < 4.0, "{alone:?} {blocks:?}");
    }

    #[test]
    fn one_cell_that_is_masked_a_little_more_often_is_found() {
        let skewed = counted(&MaskConfig::Random(Random::default()), true);
        assert!(skewed.chi_square().unwrap().excess() > 10.0);
        assert!(skewed.corners() > skewed.mean() && skewed.border() > skewed.middle());
    }
}
