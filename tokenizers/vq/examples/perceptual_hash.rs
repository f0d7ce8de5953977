//! Prints the perceptual hash of each image file of a list, or why it is refused: what `tests/pixels/phash.py` reads.
//!
//! `cargo run --release -p pageloom-vq --example perceptual_hash -- FILES.txt`

use pageloom_vq::pixels::{Draw, Limits, prepare_and_hash, recipes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let list = std::env::args().nth(1).ok_or("name a list of files")?;
    let recipe = recipes::torchvision(1);
    for path in std::fs::read_to_string(list)?.lines() {
        match prepare_and_hash(&std::fs::read(path)?, &recipe, Draw { x: 0.5, y: 0.5 }, &Limits::default()) {
            Ok((_, hash)) => println!("{hash:016x}"),
            Err(error) => println!("{}", error.reason()),
        }
    }
    Ok(())
}
