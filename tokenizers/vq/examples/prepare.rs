//! Takes image files through a recipe and writes their pixels behind each other into one file.
//!
//! `cargo run --release -p pageloom-vq --example prepare -- RECIPE.json FILES.txt OUT.rgb`: a line for each file of the
//! list tells the image's size and the crops' sizes, or why it is refused.

use std::fs::File;
use std::io::{BufWriter, Write};

use pageloom_vq::pixels::{Draw, Limits, Preprocessing, prepare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, list, out] = arguments.as_slice() else { return Err("name a recipe, a list and a file".into()) };
    let recipe: Preprocessing = serde_json::from_slice(&std::fs::read(recipe)?)?;
    println!("{}", recipe.fingerprint());
    let mut out = BufWriter::new(File::create(out)?);
    for path in std::fs::read_to_string(list)?.lines() {
        match prepare(&std::fs::read(path)?, &recipe, Draw { x: 0.5, y: 0.5 }, &Limits::default()) {
            Ok(prepared) => {
                print!("ok {} {}", prepared.width, prepared.height);
                for crop in &prepared.crops {
                    print!(" {}x{}", crop.width, crop.height);
                    out.write_all(&crop.rgb)?;
                }
                println!();
            }
            Err(error) => println!("{} {}", error.reason(), error.to_string().replace('\n', " ")),
        }
    }
    Ok(out.flush()?)
}
