//! Prints how often each strategy masks a cell, as the table of `README.md`.
//!
//! `cargo run --release -p pageloom-masks --example mask_frequencies [images] [rows and columns]`

use std::error::Error;

use pageloom_masks::strategies::{Color, ColorNoise, MaskConfig, SharedWindow};
use pageloom_masks::{Frequencies, Grid, Guide, Image, Masker};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let images: u32 = arguments.next().map_or(Ok(100_000), |argument| argument.parse())?;
    let side: u32 = arguments.next().map_or(Ok(14), |argument| argument.parse())?;
    let grid = Grid::image(side, side)?;
    println!("| strategy | promised even | masked | chi-square | by chance | corners | border | middle |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, config) in listed() {
        match counted(&config, grid, images) {
            Ok(frequencies) => println!("| {name} | {} |", row(&config, &frequencies)),
            Err(error) => println!("| {name} | {error} |"),
        }
    }
    Ok(())
}

// Each kind of strategy, and two of those that take windows of stored noise.
fn listed() -> Vec<(String, MaskConfig)> {
    let shared = |color| ColorNoise { color, shared_window: Some(SharedWindow::default()), ..ColorNoise::default() };
    let stored = [("red", Color::Red), ("green", Color::Green)]
        .map(|(name, color)| (format!("color_noise {name}, shared window"), MaskConfig::ColorNoise(shared(color))));
    MaskConfig::kinds().into_iter().chain(stored).collect()
}

fn counted(config: &MaskConfig, grid: Grid, images: u32) -> Result<Frequencies, Box<dyn Error>> {
    let mut masker = Masker::new(config, grid, 1)?;
    let mut masks = masker.masks();
    let scores = vec![1.0; grid.cells()];
    // The middle ninth of the image, for want of one.
    let region = [[1.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]];
    let guide = if config.name() == "roi" { Guide::Boxes(&region) } else { Guide::Scores(&scores) };
    let mut frequencies = Frequencies::new(grid.rows(), grid.columns());
    for number in 0..images {
        // All images of a view share a window, where windows are shared: so each is in a view of its own.
        let view =
            if matches!(config, MaskConfig::ColorNoise(noise) if noise.shared_window.is_some()) { number } else { 0 };
        masker.draw(Image { key: &number.to_le_bytes(), view, guide }, &mut masks)?;
        frequencies.add(masks.masked());
    }
    Ok(frequencies)
}

fn row(config: &MaskConfig, frequencies: &Frequencies) -> String {
    let promised = if config.favours_no_cell() { "yes" } else { "" };
    let (value, chance) = match frequencies.chi_square() {
        Some(chi) => (format!("{:.0}", chi.value), format!("{:.0} ± {:.0}", chi.expected, chi.deviation)),
        None => ("fixed".to_owned(), String::new()),
    };
    let shares = [frequencies.mean(), frequencies.corners(), frequencies.border(), frequencies.middle()];
    let [mean, corners, border, middle] = shares.map(|share| format!("{share:.4}"));
    format!("{promised} | {mean} | {value} | {chance} | {corners} | {border} | {middle}")
}
