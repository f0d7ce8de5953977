//! Times image files on one thread: decoding, and all of a recipe, beside the `image` and `fast_image_resize` crates.
//!
//! `cargo run --release -p pageloom-vq --example bench_pixels -- FILE...`; `tests/pixels/bench.py` adds Pillow.

use cpu_time::ThreadTime;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use pageloom_vq::pixels::{Crop, Draw, Limits, Preprocessing, Resize, Rounding, prepare, recipes};

const ROUNDS: usize = 9;
const SIZE: u32 = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = recipes::cm3(SIZE, Crop::Center { size: None, rounding: Rounding::Down });
    let decoded = Preprocessing { resize: Resize::Keep, crop: Crop::Whole, ..all.clone() };
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let ours = |recipe: &Preprocessing| {
            prepare(&bytes, recipe, Draw { x: 0.5, y: 0.5 }, &Limits::default()).map(|prepared| prepared.crops.len())
        };
        ours(&all)?;
        let [decode, prepared, their_decode, their_all] = milliseconds([
            &|| ours(&decoded).is_ok(),
            &|| ours(&all).is_ok(),
            &|| image::load_from_memory(&bytes).is_ok(),
            &|| peers(&bytes).is_some(),
        ]);
        println!(
            "{path}: ours {decode:.2} ms of CPU time decoded, {prepared:.2} ms in all; image and fast_image_resize \
             {their_decode:.2} and {their_all:.2} ms",
        );
    }
    Ok(())
}

/// Medians of several rounds, in turns.
fn milliseconds<const N: usize>(work: [&dyn Fn() -> bool; N]) -> [f64; N] {
    let mut times = [[0.0; ROUNDS]; N];
    for round in 0..ROUNDS {
        for (times, work) in times.iter_mut().zip(work) {
            let started = ThreadTime::now();
            assert!(std::hint::black_box(work()), "it was read before");
            times[round] = started.elapsed().as_secs_f64() * 1e3;
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

fn peers(bytes: &[u8]) -> Option<Vec<u8>> {
    let image = image::load_from_memory(bytes).ok()?.into_rgb8();
    let (width, height) = image.dimensions();
    let source = ImageRef::new(width, height, image.as_raw(), PixelType::U8x3).ok()?;
    let mut square = Image::new(SIZE, SIZE, PixelType::U8x3);
    let short = f64::from(width.min(height));
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).crop(
        (f64::from(width) - short) / 2.0,
        (f64::from(height) - short) / 2.0,
        short,
        short,
    );
    Resizer::new().resize(&source, &mut square, &options).ok()?;
    Some(square.into_vec())
}
