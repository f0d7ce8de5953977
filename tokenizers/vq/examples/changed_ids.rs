//! Counts the ids that change when a model's weights are stored in 16 bits, arithmetic staying in single precision, and when
//! the same images come from other folders.
//!
//! `cargo run --release -p pageloom-vq --example changed_ids -- MODEL IMAGES [OTHER_IMAGES ...]`, with a model folder, and
//! folders whose image files have the same names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pageloom_vq::pixels::{Draw, Limits, prepare};
use pageloom_vq::{ImageTokenizer, Precision, convert, load};

type Failure = Box<dyn std::error::Error>;

/// The ids of each image, by its file's name.
type Ids = BTreeMap<String, Vec<u32>>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let (Some(model), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("name a model folder and a folder of images".into());
    };
    let tokenizer = load(&model)?;
    let expected = encode(&*tokenizer, &folder)?;
    println!("| what changed | images | ids | changed | % | images with any |\n| --- | --- | --- | --- | --- | --- |");
    for (name, precision) in [("f16", Precision::F16), ("bf16", Precision::Bf16)] {
        let stored = tempfile::tempdir()?;
        std::fs::copy(model.join("config.json"), stored.path().join("config.json"))?;
        convert(&model.join("model.safetensors"), &stored.path().join("model.safetensors"), precision)?;
        print_row(&format!("weights as {name}"), &expected, &encode(&*load(stored.path())?, &folder)?)?;
    }
    for other in arguments {
        print_row(&other.display().to_string(), &expected, &encode(&*tokenizer, &other)?)?;
    }
    Ok(())
}

/// Files that hold no image are left out.
fn encode(tokenizer: &dyn ImageTokenizer, folder: &Path) -> Result<Ids, Failure> {
    let mut ids = Ids::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        let prepared = prepare(&bytes, &tokenizer.recipe(), Draw { x: 0.5, y: 0.5 }, &Limits::default());
        let Some(crop) = prepared.ok().and_then(|prepared| prepared.crops.into_iter().next()) else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        ids.extend(tokenizer.encode(&[&crop.rgb])?.into_iter().map(|ids| (name.clone(), ids)));
    }
    Ok(ids)
}

fn print_row(what: &str, expected: &Ids, found: &Ids) -> Result<(), Failure> {
    if !expected.keys().eq(found.keys()) {
        return Err(format!("{what}: {} images, not the same {}", found.len(), expected.len()).into());
    }
    let count = |(expected, found): (&Vec<u32>, &Vec<u32>)| expected.iter().zip(found).filter(|(a, b)| a != b).count();
    let changed: Vec<usize> = expected.values().zip(found.values()).map(count).collect();
    let (sum, total) = (changed.iter().sum::<usize>(), expected.values().map(Vec::len).sum::<usize>());
    let touched = changed.iter().filter(|changed| **changed > 0).count();
    let share = sum as f64 / total as f64 * 100.0;
    println!("| {what} | {} | {total} | {sum} | {share:.2} | {touched} |", expected.len());
    Ok(())
}
