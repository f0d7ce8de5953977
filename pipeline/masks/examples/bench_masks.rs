//! Prints how many masks each strategy draws in a second on one core.
//!
//! `cargo run --release -p pageloom-masks --example bench_masks [rows and columns] [seconds for each]`

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use pageloom_masks::strategies::MaskConfig;
use pageloom_masks::{Grid, Guide, Image, Masker};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let side: u32 = arguments.next().map_or(Ok(14), |argument| argument.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(0.5), |argument| argument.parse())?;
    let grid = Grid::image(side, side)?;
    for (name, config) in MaskConfig::kinds() {
        report(&name, &config, grid, seconds);
    }
    Ok(())
}

fn report(name: &str, config: &MaskConfig, grid: Grid, seconds: f64) {
    match masks_per_second(config, grid, seconds) {
        Ok(rate) => println!("{name:24} {rate:12.0} masks/s {:10.2} us each", 1e6 / rate),
        Err(error) => println!("{name:24} {error}"),
    }
}

// The best of fifty short runs, because others use the machine too.
fn masks_per_second(config: &MaskConfig, grid: Grid, seconds: f64) -> Result<f64, Box<dyn Error>> {
    let mut masker = Masker::new(config, grid, 1)?;
    let mut masks = masker.masks();
    let scores: Vec<f32> = (0..grid.cells()).map(|cell| (cell * 37 % 101) as f32).collect();
    let boxes = [[0.1, 0.2, 0.6, 0.9]];
    let guide = if config.name() == "roi" { Guide::Boxes(&boxes) } else { Guide::Scores(&scores) };
    let mut best = 0.0_f64;
    let mut number = 0_u64;
    for _ in 0..50 {
        let (start, first) = (Instant::now(), number);
        while start.elapsed() < Duration::from_secs_f64(seconds / 50.0) {
            for _ in 0..64 {
                masker.draw(Image { key: &number.to_le_bytes(), view: 0, guide }, &mut masks)?;
                black_box(&masks);
                number += 1;
            }
        }
        best = best.max((number - first) as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}
