//! Counts the ids that change when a model's weights are stored in 16 bits; arithmetic stays in single precision.
//!
//! `cargo run --release -p pageloom-vq --example stored_vq -- MODEL IMAGES`, with a folder of image files.

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use pageloom_vq as vq;
use pageloom_vq::pixels::{Draw, Limits, Preprocessing, prepare};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let (Some(model), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("name a model folder and a folder of images".into());
    };
    let encoder = vq::load(&model)?;
    let images = read_images(&folder, &encoder.recipe())?;
    let pixels: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let expected = encoder.encode(&pixels)?;
    let total: usize = expected.iter().map(Vec::len).sum();
    println!("| weights | ids of {} images | changed | % |\n| --- | --- | --- | --- |", images.len());
    for (name, dtype) in [("f16", Dtype::F16), ("bf16", Dtype::BF16)] {
        let stored = tempfile::tempdir()?;
        std::fs::copy(model.join("config.json"), stored.path().join("config.json"))?;
        let bytes = convert(&std::fs::read(model.join("model.safetensors"))?, dtype)?;
        std::fs::write(stored.path().join("model.safetensors"), bytes)?;
        let found = vq::load(stored.path())?.encode(&pixels)?;
        let pairs = expected.iter().flatten().zip(found.iter().flatten());
        let changed = pairs.filter(|(expected, found)| expected != found).count();
        println!("| {name} | {total} | {changed} | {:.3} |", changed as f64 / total as f64 * 100.0);
    }
    Ok(())
}

/// The pixels of the folder's images, in the order of their names; files that hold none are left out.
fn read_images(folder: &Path, recipe: &Preprocessing) -> Result<Vec<Vec<u8>>, Failure> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    let mut images = Vec::new();
    for path in paths {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        if let Ok(prepared) = prepare(&bytes, recipe, Draw { x: 0.5, y: 0.5 }, &Limits::default()) {
            images.extend(prepared.crops.into_iter().map(|crop| crop.rgb));
        }
    }
    Ok(images)
}

fn convert(model: &[u8], dtype: Dtype) -> Result<Vec<u8>, Failure> {
    let mut converted = Vec::new();
    for (name, tensor) in SafeTensors::deserialize(model)?.tensors() {
        let data: Vec<u8> = numbers(&tensor)?
            .into_iter()
            .flat_map(|x| {
                if dtype == Dtype::F16 { f16::from_f32(x).to_le_bytes() } else { bf16::from_f32(x).to_le_bytes() }
            })
            .collect();
        converted.push((name, tensor.shape().to_vec(), data));
    }
    let views = converted.iter().map(|(name, shape, data)| Ok((name, TensorView::new(dtype, shape.clone(), data)?)));
    Ok(serialize(views.collect::<Result<Vec<_>, Failure>>()?, None)?)
}

fn numbers(tensor: &TensorView) -> Result<Vec<f32>, Failure> {
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => Ok(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F16 => Ok(data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()),
        Dtype::BF16 => Ok(data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()),
        other => Err(format!("weights are stored as {other:?}").into()),
    }
}
