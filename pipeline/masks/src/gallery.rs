//! Draws every strategy side by side: masks, how often each cell is masked, and the masks' radial spectrum.

mod letters;

use std::f64::consts::PI;

use crate::error::MaskError;
use crate::grid::Grid;
use crate::masker::{Guide, Image, Masker};
use crate::patch_mask::PatchMask;
use crate::strategies::MaskConfig;

/// Images of which the mean and the spectrum are made.
const IMAGES: u32 = 400;
/// Masks shown of each strategy.
const SHOWN: u32 = 4;
/// Pixels between tiles.
const GAP: usize = 6;
/// Pixels of a side of a letter's pixel.
const LETTER: usize = 2;

/// An RGB image with one row of tiles per strategy: four masks, the mean (darker where a cell is masked more often), and
/// the radial amplitudes from 0 to 0.71 cycles per cell, where a checkerboard is; a line stands at 0.5, where stripes are.
#[derive(Debug, Clone, PartialEq)]
pub struct Gallery {
    /// Pixels in a row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Three bytes per pixel, row by row.
    pub rgb: Vec<u8>,
    /// What stands above each row of tiles, from the top.
    pub names: Vec<String>,
}

/// The gallery of these settings on one grid, with tiles of about `tile` pixels; settings that don't fit are an error.
///
/// Attention is a bump in the middle, and the region is the image's middle, since there is no image.
pub fn gallery(configs: &[(String, MaskConfig)], grid: Grid, seed: u64, tile: usize) -> Result<Gallery, MaskError> {
    let pixels = (tile / grid.rows().max(grid.columns())).max(1);
    let (tile_width, tile_height) = (pixels * grid.columns(), pixels * grid.rows());
    let width = (SHOWN as usize + 2) * (tile_width + GAP) + GAP;
    let row_height = LETTER * letters::HEIGHT + GAP / 2 + tile_height + GAP;
    let height = configs.len() * row_height + GAP;
    let mut canvas = Canvas { width, rgb: vec![0xff; width * height * 3], pixels };
    for (row, (name, config)) in configs.iter().enumerate() {
        canvas.text(GAP + row * row_height, GAP, name);
        let top = (row + 1) * row_height - tile_height;
        let left = |tile: usize| GAP + tile * (tile_width + GAP);
        let seen = Seen::of(config, grid, seed)?;
        for (tile, mask) in seen.shown.iter().enumerate() {
            canvas.cells(top, left(tile), grid, |cell| if mask.is_masked(cell) { MASKED } else { VISIBLE });
        }
        let mean = |cell: usize| [255 - (255.0 * seen.mean[cell]) as u8; 3];
        canvas.cells(top, left(SHOWN as usize), grid, mean);
        canvas.bars(top, left(SHOWN as usize + 1), (tile_width, tile_height), &seen.amplitudes, grid);
    }
    Ok(Gallery { width, height, rgb: canvas.rgb, names: configs.iter().map(|(name, _)| name.clone()).collect() })
}

const MASKED: [u8; 3] = [48, 52, 60];
const VISIBLE: [u8; 3] = [236, 190, 96];
const BAR: [u8; 3] = [52, 108, 168];
const LINE: [u8; 3] = [200, 90, 60];

/// What there is to show of one strategy, by its first frames.
struct Seen {
    shown: Vec<PatchMask>,
    mean: Vec<f64>,
    amplitudes: Vec<f64>,
}

impl Seen {
    fn of(config: &MaskConfig, grid: Grid, seed: u64) -> Result<Self, MaskError> {
        let bump = bump(grid);
        let guide =
            if config.name() == "roi" { Guide::Boxes(&[[0.25, 0.25, 0.75, 0.75]]) } else { Guide::Scores(&bump) };
        let mut masker = Masker::new(config, grid, seed)?;
        let mut masks = masker.masks();
        let waves = Waves::new(grid);
        let mut seen =
            Self { shown: Vec::new(), mean: vec![0.0; grid.frame_cells()], amplitudes: vec![0.0; waves.bars()] };
        for number in 0..IMAGES {
            masker.draw(Image { key: &number.to_le_bytes(), view: 0, guide }, &mut masks)?;
            let mask = masks.masked();
            let ones: Vec<f64> =
                (0..grid.frame_cells()).map(|cell| f64::from(u8::from(mask.is_masked(cell)))).collect();
            seen.mean.iter_mut().zip(&ones).for_each(|(mean, one)| *mean += one);
            seen.amplitudes.iter_mut().zip(waves.powers(&ones)).for_each(|(sum, power)| *sum += power);
            if number < SHOWN {
                seen.shown.push(mask.clone());
            }
        }
        seen.mean.iter_mut().for_each(|mean| *mean /= f64::from(IMAGES));
        seen.amplitudes.iter_mut().for_each(|power| *power = libm::sqrt(*power));
        Ok(seen)
    }
}

fn bump(grid: Grid) -> Vec<f32> {
    let from_middle = |place: usize, places: usize| (place as f64 + 0.5) / places as f64 - 0.5;
    (0..grid.cells())
        .map(|cell| {
            let row = from_middle(cell / grid.columns() % grid.rows(), grid.rows());
            let column = from_middle(cell % grid.columns(), grid.columns());
            libm::exp(-8.0 * (row * row + column * column)) as f32
        })
        .collect()
}

/// The discrete Fourier transform of one frame, gathered by radial frequency.
struct Waves {
    rows: usize,
    columns: usize,
    row: Vec<(f64, f64)>,
    column: Vec<(f64, f64)>,
}

impl Waves {
    fn new(grid: Grid) -> Self {
        let turn = |places: usize| {
            (0..places).map(move |place| {
                let angle = 2.0 * PI * place as f64 / places as f64;
                (libm::cos(angle), libm::sin(angle))
            })
        };
        let (rows, columns) = (grid.rows(), grid.columns());
        Self { rows, columns, row: turn(rows).collect(), column: turn(columns).collect() }
    }

    // As many as leave none without a frequency: each is as wide as the longer side has frequencies apart.
    fn bars(&self) -> usize {
        let highest = |places: usize| (places / 2) as f64 / places as f64;
        self.bar(libm::hypot(highest(self.rows), highest(self.columns))) + 1
    }

    fn bar(&self, radius: f64) -> usize {
        (radius * self.longer() + 1e-9) as usize
    }

    fn longer(&self) -> f64 {
        self.rows.max(self.columns) as f64
    }

    // The mean power at each bar's frequencies, without the constant.
    fn powers(&self, field: &[f64]) -> Vec<f64> {
        let (rows, columns) = (self.rows, self.columns);
        let transform = |values: &mut dyn Iterator<Item = (f64, f64)>, turns: &[(f64, f64)], frequency: usize| {
            values.enumerate().fold((0.0, 0.0), |sum, (place, (real, imaginary))| {
                let (cosine, sine) = turns[place * frequency % turns.len()];
                (sum.0 + real * cosine + imaginary * sine, sum.1 + imaginary * cosine - real * sine)
            })
        };
        let mut powers = vec![(0.0, 0.0); self.bars()];
        for across in 0..columns {
            let partial: Vec<_> = (0..rows)
                .map(|row| {
                    let cells = &field[row * columns..][..columns];
                    transform(&mut cells.iter().map(|&value| (value, 0.0)), &self.column, across)
                })
                .collect();
            for down in 0..rows {
                let (real, imaginary) = transform(&mut partial.iter().copied(), &self.row, down);
                let at = |frequency: usize, places: usize| frequency.min(places - frequency) as f64 / places as f64;
                let radius = libm::hypot(at(down, rows), at(across, columns));
                if let (true, Some(bar)) = (radius > 0.0, powers.get_mut(self.bar(radius))) {
                    *bar = (bar.0 + real * real + imaginary * imaginary, bar.1 + 1.0);
                }
            }
        }
        powers.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
    }
}

struct Canvas {
    width: usize,
    rgb: Vec<u8>,
    pixels: usize,
}

impl Canvas {
    fn cells(&mut self, top: usize, left: usize, grid: Grid, color: impl Fn(usize) -> [u8; 3]) {
        for cell in 0..grid.frame_cells() {
            let (row, column) = (cell / grid.columns(), cell % grid.columns());
            let corner = (top + row * self.pixels, left + column * self.pixels);
            self.rectangle(corner, (self.pixels, self.pixels), color(cell));
        }
    }

    fn bars(&mut self, top: usize, left: usize, (width, height): (usize, usize), values: &[f64], grid: Grid) {
        let highest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let at = |bar: usize| bar * width / values.len();
        for (bar, value) in values.iter().enumerate() {
            let bar_height = (value / highest * height as f64) as usize;
            self.rectangle((top + height - bar_height, left + at(bar)), (at(bar + 1) - at(bar), bar_height), BAR);
        }
        let half = width * grid.rows().max(grid.columns()) / (2 * values.len());
        self.rectangle((top, left + half.min(width - 1)), (1, height), LINE);
    }

    fn text(&mut self, top: usize, left: usize, text: &str) {
        for (place, letter) in text.bytes().enumerate() {
            let start = left + place * letters::WIDTH * LETTER;
            if start + letters::WIDTH * LETTER > self.width {
                break;
            }
            for (row, column) in
                (0..letters::HEIGHT).flat_map(|row| (0..letters::WIDTH).map(move |column| (row, column)))
            {
                if letters::is_drawn(letter, row, column) {
                    self.rectangle((top + row * LETTER, start + column * LETTER), (LETTER, LETTER), MASKED);
                }
            }
        }
    }

    fn rectangle(&mut self, (top, left): (usize, usize), (width, height): (usize, usize), color: [u8; 3]) {
        for row in top..top + height {
            let start = (row * self.width + left) * 3;
            self.rgb[start..start + width * 3].as_chunks_mut().0.fill(color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::{Checkerboard, Random};

    #[test]
    fn masks_and_mean_stand_where_they_should() {
        let grid = Grid::image(4, 4).unwrap();
        let configs = [
            ("checkerboard".to_owned(), MaskConfig::Checkerboard(Checkerboard::default())),
            ("random".to_owned(), MaskConfig::Random(Random::default())),
        ];
        let gallery = gallery(&configs, grid, 1, 4).unwrap();
        // A row is its name of 10 pixels, 3 between, 4 of tiles and 6 between.
        assert_eq!((gallery.width, gallery.height), (6 * 10 + 6, 2 * 23 + 6));
        assert_eq!(gallery.rgb.len(), gallery.width * gallery.height * 3);
        assert_eq!(gallery.names, ["checkerboard", "random"]);
        let pixel = |row: usize, column: usize| &gallery.rgb[(row * gallery.width + column) * 3..][..3];
        assert_eq!([pixel(19, 6), pixel(19, 7), pixel(0, 0)], [&VISIBLE[..], &MASKED, &[255; 3]]);
        // The mean of a checkerboard is a checkerboard.
        assert_eq!([pixel(19, 46), pixel(19, 47)], [[255; 3], [0; 3]]);
        // The second row of `c` begins with a drawn pixel, its first doesn't.
        assert_eq!([pixel(6, 6), pixel(8, 6)], [&[255; 3][..], &MASKED]);
    }

    fn highest(grid: Grid, field: &[f64]) -> f64 {
        let waves = Waves::new(grid);
        let powers = waves.powers(field);
        let most = powers.iter().copied().fold(0.0, f64::max);
        powers.iter().position(|&power| power == most).unwrap() as f64 / waves.longer()
    }

    #[test]
    fn a_wave_is_found_at_its_frequency() {
        let grid = Grid::image(8, 8).unwrap();
        let field = |value: fn(usize, usize) -> bool| -> Vec<f64> {
            (0..64).map(|cell| f64::from(u8::from(value(cell / 8, cell % 8)))).collect()
        };
        assert_eq!(highest(grid, &field(|_, column| column % 4 < 2)), 0.25);
        assert_eq!(highest(grid, &field(|row, _| row % 2 == 0)), 0.5);
        // At 0.707, in the bar from 0.625 on.
        assert_eq!(highest(grid, &field(|row, column| (row + column) % 2 == 0)), 0.625);
    }

    #[test]
    fn no_bar_is_without_a_frequency() {
        for side in 4..=40 {
            let grid = Grid::image(side, side).unwrap();
            let mut impulse = vec![0.0; grid.cells()];
            impulse[0] = 1.0;
            let empty = Waves::new(grid).powers(&impulse).iter().skip(1).filter(|&&power| power == 0.0).count();
            assert_eq!(empty, 0, "{side}");
        }
    }
}
