//! Prints how often each strategy masks a cell: the chi-square of all cells, and the shares at border and middle.
//!
//! `cargo run --release -p pageloom-masks --example mask_frequencies [images]`

use std::error::Error;

use pageloom_masks::strategies::{Color, ColorNoise, Field, FieldKind, MaskConfig};
use pageloom_masks::{Grid, Guide, Image, Masker};

const SIDE: u32 = 14;

fn main() -> Result<(), Box<dyn Error>> {
    let images: u32 = std::env::args().nth(1).map_or(Ok(100_000), |argument| argument.parse())?;
    println!("{images} images of 14 x 14; where all cells are alike, chi-square is 195 +- 20");
    println!("{:24} {:>10} {:>8} {:>8} {:>8} {:>8}", "", "chi-square", "all", "corners", "border", "middle");
    for config in MaskConfig::examples() {
        report(config.name(), &config, images);
    }
    for color in [Color::White, Color::Red, Color::Blue, Color::Purple] {
        let config = MaskConfig::ColorNoise(ColorNoise { color, ..ColorNoise::default() });
        report(&format!("color_noise {color:?}").to_lowercase(), &config, images);
    }
    for (name, kind) in [("field halton", FieldKind::Halton), ("field perlin", FieldKind::Perlin { spacing: 4.0 })] {
        report(name, &MaskConfig::Field(Field { kind, ..Field::default() }), images);
    }
    Ok(())
}

fn report(name: &str, config: &MaskConfig, images: u32) {
    match counts(config, images) {
        Ok(counts) => println!("{name:24} {}", row(&counts, f64::from(images))),
        Err(error) => println!("{name:24} {error}"),
    }
}

fn counts(config: &MaskConfig, images: u32) -> Result<Vec<f64>, Box<dyn Error>> {
    let grid = Grid::image(SIDE, SIDE)?;
    let mut masker = Masker::new(config, grid, 1)?;
    let mut masks = masker.masks();
    let scores = vec![1.0; grid.cells()];
    let mut counts = vec![0.0; grid.cells()];
    for number in 0..images {
        let guide = Guide::Scores(&scores);
        masker.draw(Image { key: &number.to_le_bytes(), view: 0, guide }, &mut masks)?;
        for (cell, count) in counts.iter_mut().enumerate() {
            *count += f64::from(u8::from(masks.masked().is_masked(cell)));
        }
    }
    Ok(counts)
}

// Pearson's statistic of cells that are masked with the same probability, divided by what an exact count takes from it.
fn row(counts: &[f64], images: f64) -> String {
    let cells = counts.len() as f64;
    let mean = counts.iter().sum::<f64>() / cells;
    let variance = images * (mean / images) * (1.0 - mean / images) * cells / (cells - 1.0);
    let chi_square = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / variance;
    let last = SIDE as usize - 1;
    let is_end = |place: usize| place == 0 || place == last;
    let share = |wanted: &dyn Fn(usize, usize) -> bool| {
        let wanted: Vec<f64> = (0..counts.len())
            .filter(|cell| wanted(cell / SIDE as usize, cell % SIDE as usize))
            .map(|cell| counts[cell])
            .collect();
        wanted.iter().sum::<f64>() / wanted.len() as f64 / images
    };
    let corners = share(&|row, column| is_end(row) && is_end(column));
    let border = share(&|row, column| is_end(row) || is_end(column));
    let middle = share(&|row, column| (4..10).contains(&row) && (4..10).contains(&column));
    format!("{chi_square:10.0} {:8.4} {corners:8.4} {border:8.4} {middle:8.4}", mean / images)
}
