//! The encoder against the recipe's reference, and what is said about models that can't be loaded.

use std::collections::BTreeMap;
use std::path::Path;

use pulp::Arch;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::Deserialize;

use super::config::Config;
use super::cpu::{Buffers, CpuExecutor};
use super::encoder::read_plan;
use super::tokenizer::ImageSize;
use super::{load, load_decoder};
use crate::rule::numbers;

/// Made by `recipes/train_vq.py golden`.
#[derive(Deserialize)]
struct Golden {
    config: serde_json::Value,
    shapes: BTreeMap<String, Vec<usize>>,
    images: Vec<GoldenImage>,
}

#[derive(Deserialize)]
struct GoldenImage {
    ids: Vec<u32>,
    features: Vec<f32>,
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn golden() -> Golden {
    serde_json::from_str(include_str!("testdata/golden.json")).expect("golden.json")
}

fn tensors(golden: &Golden) -> Tensors {
    let tensor = |(name, shape): (&String, &Vec<usize>)| {
        let fan_in: usize = shape.iter().skip(1).product();
        let scale = |x: f64| match shape.len() {
            4 => x * (3.0 / fan_in as f64).sqrt(),
            _ if name.contains("norm") && name.ends_with("weight") => 1.0 + 0.2 * x,
            _ => x,
        };
        let scaled = numbers(name, shape.iter().product()).into_iter().map(|x| scale(x) as f32).collect();
        (name.clone(), (shape.clone(), scaled))
    };
    golden.shapes.iter().map(tensor).collect()
}

fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        tensors.values().map(|(_, numbers)| numbers.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, (shape, _)), bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
    });
    serialize(views, None).expect("serialises")
}

fn image(index: usize) -> Vec<u8> {
    numbers(&format!("image {index}"), 64 * 64 * 3).iter().map(|x| ((x + 1.0) * 128.0).floor() as u8).collect()
}

fn write_model(folder: &Path, golden: &Golden, model: &[u8]) {
    std::fs::write(folder.join("config.json"), golden.config.to_string()).expect("writes");
    std::fs::write(folder.join("model.safetensors"), model).expect("writes");
}

/// What loading says after `change` was made to the tensors.
fn refusal(change: impl FnOnce(&mut Tensors)) -> String {
    let golden = golden();
    let mut changed = tensors(&golden);
    change(&mut changed);
    let folder = tempfile::tempdir().expect("a folder");
    write_model(folder.path(), &golden, &safetensors(&changed));
    load(folder.path()).expect_err("refused").to_string()
}

#[test]
fn features_and_ids_are_the_references() {
    let golden = golden();
    let config = Config::of(golden.config.clone()).expect("a configuration");
    let plan = read_plan(&config, ImageSize::square(64), Path::new("golden"), &safetensors(&tensors(&golden)))
        .expect("a plan");
    let executor = CpuExecutor::new(plan);
    for (index, expected) in golden.images.iter().enumerate() {
        let features = executor.features(&image(index), &mut Buffers::default());
        let apart = features.numbers.iter().zip(&expected.features).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert_eq!(features.numbers.len(), expected.features.len());
        assert!(apart < 1e-4, "image {index}: {apart}");
        let ids = executor.ids(&image(index), &mut Buffers::default()).expect("finite");
        assert_eq!(ids, expected.ids, "image {index}");
    }
}

#[test]
fn features_have_the_same_bits_for_every_vector_width() {
    let golden = golden();
    let config = Config::of(golden.config.clone()).expect("a configuration");
    let model = safetensors(&tensors(&golden));
    let features = |arch: Arch| {
        let plan = read_plan(&config, ImageSize::square(64), Path::new("golden"), &model).expect("a plan");
        let executor = CpuExecutor::with_arch(plan, arch);
        executor.features(&image(0), &mut Buffers::default()).numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    let widest = features(Arch::new());
    assert!(features(Arch::Scalar) == widest);
    #[cfg(target_arch = "x86_64")]
    if let Some(arch) = pulp::x86::V3::try_new() {
        assert!(features(Arch::V3(arch)) == widest);
    }
}

#[test]
fn an_images_ids_dont_depend_on_what_shares_its_call() {
    let golden = golden();
    let folder = tempfile::tempdir().expect("a folder");
    write_model(folder.path(), &golden, &safetensors(&tensors(&golden)));
    let encoder = load(&folder.path().join("model.safetensors")).expect("loads");
    let (first, second) = (image(0), image(1));
    let alone = |image: &[u8]| encoder.encode(&[image]).expect("encodes").remove(0);
    let together = encoder.encode(&[&second, &first, &second, &first, &first]).expect("encodes");
    let expected = [&second, &first, &second, &first, &first].map(|image| alone(image));
    assert_eq!(together, expected);
    assert_eq!(together[1], golden.images[0].ids);
    assert!(encoder.encode(&[]).expect("encodes").is_empty());
}

#[test]
fn a_model_says_what_it_is() {
    let golden = golden();
    let folder = tempfile::tempdir().expect("a folder");
    let model = safetensors(&tensors(&golden));
    write_model(folder.path(), &golden, &model);
    let encoder = load(folder.path()).expect("loads");
    assert_eq!((encoder.image_size(), encoder.codebook_size()), (64, 64));
    assert_eq!((encoder.grid().width, encoder.grid().height), (16, 16));
    assert_eq!(encoder.provenance().model_blake3, blake3::hash(&model).to_hex().to_string());
    let config = golden.config.to_string();
    assert_eq!(encoder.provenance().config_blake3, blake3::hash(config.as_bytes()).to_hex().to_string());
    let provenance = serde_json::to_value(encoder.provenance()).expect("serialises");
    assert_eq!((&provenance["family"], &provenance["executor"]["name"]), (&"taming".into(), &"cpu".into()));
}

#[test]
fn the_demo_model_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-vq");
    let encoder = load(&folder).expect("loads");
    assert_eq!((encoder.image_size(), encoder.codebook_size(), encoder.grid().width), (256, 1024, 16));
    let grey = vec![127; 256 * 256 * 3];
    assert_eq!(encoder.encode(&[&grey]).expect("encodes")[0].len(), 256);
}

#[test]
fn the_demo_model_gives_back_what_it_was_given() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-vq");
    let (encoder, decoder) = (load(&folder).expect("loads"), load_decoder(&folder, None).expect("loads"));
    let level = |place: usize| {
        let (x, y) = (place / 3 % 256, place / 3 / 256);
        [x / 2 + y / 3, 200 - x / 4, if (x / 64 + y / 64) % 2 == 0 { 90 } else { 160 }][place % 3] as u8
    };
    let image: Vec<u8> = (0..256 * 256 * 3).map(level).collect();
    let ids = &encoder.encode(&[&image]).expect("encodes")[0];
    let decoded = &decoder.decode(&[ids]).expect("decodes")[0];
    let squares: f64 = image.iter().zip(decoded).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let decibels = 20.0 * 255_f64.log10() - 10.0 * (squares / image.len() as f64).log10();
    assert!(decibels > 20.0, "{decibels} dB");
}

#[test]
fn an_image_of_another_size_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-vq");
    let error = load(&folder).expect("loads").encode(&[&[0; 12]]).expect_err("refused");
    assert_eq!(error.to_string(), "image 0 has 12 bytes, but 196608 make an RGB image of 256 x 256 pixels");
}

#[test]
fn missing_and_unknown_tensors_are_named() {
    let said = refusal(|tensors| {
        tensors.remove("encoder.norm_out.bias");
        tensors.remove("quant_conv.weight");
    });
    assert!(said.contains("lacks the tensors encoder.norm_out.bias, quant_conv.weight"), "{said}");
    let said = refusal(|tensors| {
        tensors.insert("decoder.conv_in.weight".to_owned(), (vec![1], vec![0.0]));
        tensors.insert("encoder.down.0.attn.0.q.weight".to_owned(), (vec![1], vec![0.0]));
    });
    assert!(said.contains("has the tensors encoder.down.0.attn.0.q.weight, which"), "{said}");
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let said = refusal(|tensors| {
        tensors.insert("encoder.conv_in.bias".to_owned(), (vec![31], vec![0.0; 31]));
    });
    assert!(said.contains("encoder.conv_in.bias has the shape [31], but config.json asks for [32]"), "{said}");
    assert!(said.contains("model.safetensors"), "{said}");
}

#[test]
fn a_number_that_isnt_finite_is_refused() {
    let said = refusal(|tensors| {
        if let Some((_, numbers)) = tensors.get_mut("quant_conv.bias") {
            numbers[0] = f32::NAN;
        }
    });
    assert!(said.contains("quant_conv.bias holds a number that isn't finite"), "{said}");
}

#[test]
fn a_missing_or_truncated_model_file_is_named() {
    let golden = golden();
    let folder = tempfile::tempdir().expect("a folder");
    assert!(load(folder.path()).expect_err("refused").to_string().contains("config.json"));
    let model = safetensors(&tensors(&golden));
    write_model(folder.path(), &golden, &model[..model.len() - 1]);
    let said = load(folder.path()).expect_err("refused").to_string();
    assert!(said.contains("model.safetensors isn't a whole safetensors file"), "{said}");
    std::fs::remove_file(folder.path().join("model.safetensors")).expect("removes");
    let said = load(folder.path()).expect_err("refused").to_string();
    assert!(said.contains("can't read") && said.contains("model.safetensors"), "{said}");
}
