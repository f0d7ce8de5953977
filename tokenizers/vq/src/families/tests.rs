//! Every family against its public code, on models and images that follow from their names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pulp::Arch;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::Deserialize;
use serde_json::Value;

use super::FAMILIES;
use crate::config::Config;
use crate::cpu::{Buffers, CpuDecoder, CpuExecutor};
use crate::encoder::{read_decode_plan, read_plan};
use crate::executor::Executor;
use crate::plan::Plan;
use crate::rule::{image, weight};
use crate::tokenizer::{IdLayout, ImageSize};
use crate::{Preprocessing, VqError, load, load_at, load_decoder};

/// Made by `tests/vq/golden.py`.
#[derive(Deserialize)]
struct Golden {
    config: Value,
    shapes: BTreeMap<String, Vec<usize>>,
    images: Vec<GoldenImage>,
    decoded: Vec<Decoded>,
}

#[derive(Deserialize)]
struct GoldenImage {
    width: u32,
    height: u32,
    ids: Vec<u32>,
    /// Places where the second best is hardly worse than the best, and by how much.
    close: Vec<(usize, f64)>,
    /// Some of the numbers that become ids: where, and which.
    features: Vec<(usize, f32)>,
}

#[derive(Deserialize)]
struct Decoded {
    image: usize,
    numbers: Vec<(usize, f32)>,
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Names every golden file once, and makes the tests that each has.
macro_rules! golden_files {
    ($($name:ident),+ $(,)?) => {
        const GOLDEN: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!("testdata/", stringify!($name), ".json")))),+];

        $(mod $name {
            #[test]
            fn features_and_ids_are_the_references() {
                super::check_ids(stringify!($name), &|plan| Box::new(crate::cpu::CpuExecutor::new(plan)));
            }

            #[cfg(feature = "onnxruntime")]
            #[test]
            fn features_and_ids_are_the_references_in_onnx_runtime_too() {
                let Some(settings) = crate::onnx::library_for_tests() else { return };
                super::check_ids(stringify!($name), &|plan| {
                    crate::onnx::OnnxExecutor::boxed(plan, &settings).expect("an executor")
                });
            }

            #[test]
            fn decoded_numbers_are_the_references() {
                super::check_decoded(stringify!($name));
            }

            #[test]
            fn missing_and_unknown_tensors_are_named() {
                super::check_names(stringify!($name));
            }
        })+
    };
}

golden_files![
    taming,
    taming_gumbel,
    llamagen,
    chameleon,
    diffusers_vq,
    diffusers_amused,
    maskgit,
    mage,
    open_magvit2,
    ibq,
    rq_vae,
    cosmos,
    cosmos_rearrange,
    dalle,
    titok,
    titok_mixed,
    dar,
];

/// A difference in ids is explained by a margin below this, which is some hundred times the error of the features.
const EXPLAINED: f64 = 1e-4;

fn golden(name: &str) -> Golden {
    let (_, text) = GOLDEN.iter().find(|(known, _)| *known == name).expect("a golden file");
    serde_json::from_str(text).expect("a golden file")
}

fn tensors(golden: &Golden) -> Tensors {
    // A codebook that is shared is stored once for each step.
    let shared = golden.config.get("shared_codebook").is_some_and(|shared| shared == true);
    let rule = |name: &String| match name.split_once("codebooks.") {
        Some((before, _)) if shared => format!("{before}codebooks.0.weight"),
        _ => name.clone(),
    };
    golden.shapes.iter().map(|(name, shape)| (name.clone(), (shape.clone(), weight(&rule(name), shape)))).collect()
}

fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        tensors.values().map(|(_, numbers)| numbers.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, (shape, _)), bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
    });
    serialize(views, None).expect("serialises")
}

fn config(golden: &Golden) -> Config {
    Config::of(golden.config.clone()).expect("a configuration")
}

fn plan(golden: &Golden, tensors: &Tensors, size: ImageSize) -> Plan {
    read_plan(&config(golden), size, Path::new("golden"), &safetensors(tensors)).expect("a plan")
}

fn decoder(golden: &Golden, size: ImageSize) -> CpuDecoder {
    let config = config(golden);
    let grid = config.architecture.grid(size).expect("a grid");
    let model = safetensors(&tensors(golden));
    CpuDecoder::new(read_decode_plan(&config, grid, Path::new("golden"), &model).expect("a plan"))
}

fn size_of(image: &GoldenImage) -> ImageSize {
    ImageSize { width: image.width, height: image.height }
}

fn close_to(found: f32, expected: f32) -> bool {
    (found - expected).abs() <= 1e-4 * expected.abs().max(1.0)
}

/// Ids may differ only at a place whose margin says why.
fn check_ids(name: &str, executor_of: &dyn Fn(Plan) -> Box<dyn Executor>) {
    let golden = golden(name);
    let tensors = tensors(&golden);
    let depth = config(&golden).architecture.codes_per_cell() as usize;
    let (mut executors, mut explained, mut count) = (BTreeMap::new(), 0, 0);
    for (index, expected) in golden.images.iter().enumerate() {
        let size = size_of(expected);
        let key = (size.width, size.height);
        let executor = executors.entry(key).or_insert_with(|| executor_of(plan(&golden, &tensors, size)));
        let image = image(index, size.width as usize, size.height as usize);
        let features = &executor.features(&[&image]).expect("runs").expect("features")[0];
        for (place, number) in &expected.features {
            let found = features[*place];
            assert!(close_to(found, *number), "{name} image {index} feature {place}: {found}, not {number}");
        }
        let ids = &executor.encode(&[&image]).expect("encodes")[0];
        assert_eq!(ids.len(), expected.ids.len());
        count += ids.len();
        let close: BTreeMap<usize, f64> = expected.close.iter().copied().collect();
        let places = ids.chunks(depth).zip(expected.ids.chunks(depth)).enumerate();
        for (place, (found, wanted)) in places.filter(|(_, (found, wanted))| found != wanted) {
            let margin = close.get(&place).copied().unwrap_or(f64::INFINITY);
            assert!(margin < EXPLAINED, "{name} image {index} place {place}: {found:?}, not {wanted:?} by {margin}");
            explained += 1;
        }
    }
    println!("{name}: {count} ids, {explained} of which differ where two are as good");
    assert!(explained <= 2, "{name}: {explained} of {count} ids differ");
}

#[test]
fn an_encoder_of_any_family_holds_no_more_than_it_says() {
    for (name, _) in GOLDEN {
        let golden = golden(name);
        for size in [size_of(&golden.images[0]), ImageSize::square(256)] {
            // Some families have one size alone.
            if config(&golden).architecture.grid(size).is_err() {
                continue;
            }
            let executor = CpuExecutor::new(plan(&golden, &tensors(&golden), size));
            let mut buffers = Buffers::default();
            executor.ids(&image(0, size.width as usize, size.height as usize), &mut buffers).expect("finite");
            let (holds, says) = (buffers.bytes(), executor.working_bytes(1));
            assert!(holds <= says, "{name} at {size:?}: {holds} bytes, not {says}");
        }
    }
}

fn check_decoded(name: &str) {
    let golden = golden(name);
    for decoded in &golden.decoded {
        let image = &golden.images[decoded.image];
        let decoder = decoder(&golden, size_of(image));
        let out = decoder.numbers(&image.ids, &mut Buffers::default());
        assert_eq!((out.width, out.height), (image.width as usize, image.height as usize));
        for (place, number) in &decoded.numbers {
            let found = out.numbers[place / 3 * out.channels + place % 3];
            assert!(close_to(found, *number), "{name} image {} number {place}: {found}, not {number}", decoded.image);
        }
    }
}

fn check_names(name: &str) {
    let golden = golden(name);
    let plan = |tensors: &Tensors| {
        read_plan(&config(&golden), size_of(&golden.images[0]), Path::new("golden"), &safetensors(tensors))
    };
    let encoder = |name: &&String| name.contains("encoder") && !name.contains("decoder");
    let last = golden.shapes.keys().rfind(encoder).expect("an encoder").clone();
    let mut changed = tensors(&golden);
    let taken = changed.remove(&last).expect("a tensor");
    let error = plan(&changed).expect_err("refused").to_string();
    assert!(error.contains(&format!("lacks the tensors {last}, which")), "{error}");
    changed.insert(last.clone(), (vec![1, taken.1.len()], taken.1.clone()));
    let error = plan(&changed).expect_err("refused").to_string();
    assert!(error.contains(&format!("{last} has the shape [1, ")), "{error}");
    changed.insert(format!("{last}_too"), taken.clone());
    changed.insert(last.clone(), taken);
    let error = plan(&changed).expect_err("refused").to_string();
    assert!(error.contains(&format!("has the tensors {last}_too, which")), "{error}");
}

/// A folder with the model's files.
fn folder(golden: &Golden, tensors: &Tensors, file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("config.json"), golden.config.to_string()).expect("writes");
    std::fs::write(folder.path().join(file), safetensors(tensors)).expect("writes");
    folder
}

#[test]
fn features_have_the_same_bits_for_every_vector_width() {
    for (name, _) in GOLDEN {
        let golden = golden(name);
        let (size, model) = (ImageSize::square(32), safetensors(&tensors(&golden)));
        let bits = |arch: Arch| -> Vec<u32> {
            let plan = read_plan(&config(&golden), size, Path::new("golden"), &model).expect("a plan");
            let executor = CpuExecutor::with_arch(plan, arch);
            executor.features(&image(0, 32, 32), &mut Buffers::default()).numbers.iter().map(|x| x.to_bits()).collect()
        };
        assert!(bits(Arch::Scalar) == bits(Arch::new()), "{name}");
    }
}

#[test]
fn every_family_has_a_golden_file() {
    let tried: BTreeSet<&str> = GOLDEN.iter().map(|(name, _)| config(&golden(name)).family).collect();
    assert_eq!(tried, FAMILIES.iter().map(|family| family.name).collect());
}

#[test]
fn a_published_folder_is_loaded_as_it_is() {
    let golden = golden("diffusers_amused");
    let folder = folder(&golden, &tensors(&golden), "diffusion_pytorch_model.safetensors");
    let model = load(folder.path()).expect("loads");
    assert_eq!(model.provenance().family, "diffusers_vq");
    assert_eq!((model.size(), model.codebook_size(), model.codes_per_cell()), (ImageSize::square(64), 256, 1));
    assert_eq!(model.preprocessing().range, crate::Range::UNIT);
    assert_eq!(model.encode(&[&image(0, 64, 64)]).expect("encodes"), [golden.images[0].ids.clone()]);
}

#[test]
fn a_tokenizer_inside_a_whole_model_is_found() {
    let mut golden = golden("chameleon");
    golden.config = serde_json::json!({"model_type": "chameleon", "vq_config": golden.config});
    let mut tensors: Tensors =
        tensors(&golden).into_iter().map(|(name, tensor)| (format!("model.vqmodel.{name}"), tensor)).collect();
    tensors.insert("model.layers.0.mlp.up_proj.weight".to_owned(), (vec![1], vec![0.0]));
    let folder = folder(&golden, &tensors, "model.safetensors");
    let model = load(folder.path()).expect("loads");
    assert_eq!(model.encode(&[&image(0, 64, 64)]).expect("encodes"), [golden.images[0].ids.clone()]);
}

/// A folder with the model in three files: every third tensor is in the same.
fn folder_of_parts(golden: &Golden, tensors: &Tensors) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("config.json"), golden.config.to_string()).expect("writes");
    let part = |index: usize| format!("model-{:05}-of-00003.safetensors", index % 3 + 1);
    for number in 0..3 {
        let some = tensors.iter().enumerate().filter(|(index, _)| index % 3 == number);
        let some: Tensors = some.map(|(_, (name, tensor))| (name.clone(), tensor.clone())).collect();
        std::fs::write(folder.path().join(part(number)), safetensors(&some)).expect("writes");
    }
    let files: BTreeMap<&String, String> =
        tensors.keys().enumerate().map(|(index, name)| (name, part(index))).collect();
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": files});
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).expect("writes");
    folder
}

/// Chameleon's tokenizer inside a whole model.
fn whole_model() -> (Golden, Tensors) {
    let mut golden = golden("chameleon");
    golden.config = serde_json::json!({"model_type": "chameleon", "vq_config": golden.config});
    let tensors = tensors(&golden).into_iter().map(|(name, tensor)| (format!("model.vqmodel.{name}"), tensor));
    let others = ["lm_head.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight"];
    let all = tensors.chain(others.map(|name| (name.to_owned(), (vec![2], vec![0.5, 0.25])))).collect();
    (golden, all)
}

#[test]
fn a_tokenizer_inside_a_whole_model_in_several_files_is_found_and_taken_out() {
    let (golden, tensors) = whole_model();
    let folder = folder_of_parts(&golden, &tensors);
    let model = load(folder.path()).expect("loads");
    let expected = [golden.images[0].ids.clone()];
    assert_eq!(model.encode(&[&image(0, 64, 64)]).expect("encodes"), expected);
    let named = load(&folder.path().join("model.safetensors.index.json")).expect("loads");
    assert_eq!(named.provenance(), model.provenance());

    let alone = tempfile::tempdir().expect("a folder");
    let to = alone.path().join("model.safetensors");
    let from = folder.path().join("model.safetensors.index.json");
    let converted = crate::convert(&from, &to, crate::Precision::F32).expect("converts");
    assert_eq!((converted.tensors, converted.left_out.len()), (tensors.len() - 3, 3));
    std::fs::copy(folder.path().join("config.json"), alone.path().join("config.json")).expect("copies");
    assert_eq!(load(alone.path()).expect("loads").encode(&[&image(0, 64, 64)]).expect("encodes"), expected);
}

/// `whole_model` with a decoder, as Anole's has one: `base_channels` is 32, `channel_multiplier` 1, 1, 2.
fn whole_model_with_decoder() -> (Golden, Tensors) {
    let (golden, mut all) = whole_model();
    let mut add = |name: &str, shape: &[usize]| {
        let name = format!("model.vqmodel.decoder.{name}");
        all.insert(name.clone(), (shape.to_vec(), weight(&name, shape)));
    };
    let mut conv = |name: &str, from: usize, to: usize, side: usize| {
        add(&format!("{name}.weight"), &[to, from, side, side]);
        add(&format!("{name}.bias"), &[to]);
    };
    conv("conv_in", 16, 64, 3);
    for part in ["q", "k", "v", "proj_out"] {
        conv(&format!("mid.attn_1.{part}"), 64, 64, 1);
    }
    let above = [("up.2", 64, 64), ("up.1", 64, 32), ("up.0", 32, 32)];
    let blocks = above.map(|(up, from, to)| [(format!("{up}.block.0"), from, to), (format!("{up}.block.1"), to, to)]);
    let middle = ["mid.block_1", "mid.block_2"].map(|name| (name.to_owned(), 64, 64));
    for (name, from, to) in blocks.as_flattened().iter().chain(&middle) {
        conv(&format!("{name}.conv1"), *from, *to, 3);
        conv(&format!("{name}.conv2"), *to, *to, 3);
        if from != to {
            conv(&format!("{name}.nin_shortcut"), *from, *to, 1);
        }
    }
    conv("up.2.upsample.conv", 64, 64, 3);
    conv("up.1.upsample.conv", 32, 32, 3);
    conv("conv_out", 32, 3, 3);
    let norms = blocks.as_flattened().iter().chain(&middle);
    let norms = norms.flat_map(|(name, from, to)| [(format!("{name}.norm1"), *from), (format!("{name}.norm2"), *to)]);
    for (name, channels) in norms.chain([("mid.attn_1.norm".to_owned(), 64), ("norm_out".to_owned(), 32)]) {
        add(&format!("{name}.weight"), &[channels]);
        add(&format!("{name}.bias"), &[channels]);
    }
    (golden, all)
}

#[test]
fn a_whole_model_in_several_files_decodes_as_it_does_in_one() {
    let (golden, tensors) = whole_model_with_decoder();
    let whole = folder(&golden, &tensors, "model.safetensors");
    let parts = folder_of_parts(&golden, &tensors);
    let ids = &golden.images[0].ids;
    for folder in [&whole, &parts] {
        let model = load(folder.path()).expect("loads");
        assert_eq!(model.encode(&[&image(0, 64, 64)]).expect("encodes"), std::slice::from_ref(ids));
    }
    let decode = |folder: &Path| load_decoder(folder, None).expect("loads").decode(&[ids]).expect("decodes");
    let decoded = decode(whole.path());
    assert_eq!(decode(parts.path()), decoded);
    assert!(decoded[0].len() == 64 * 64 * 3 && decoded[0].iter().any(|level| *level != decoded[0][0]));
    // transformers' own has no decoder.
    let (golden, tensors) = whole_model();
    let error = load_decoder(folder_of_parts(&golden, &tensors).path(), None).expect_err("refused");
    assert!(matches!(error, VqError::NoDecoder { .. }), "{error}");
}

#[test]
fn a_tensor_that_the_index_of_a_whole_model_leaves_out_is_named_with_the_index() {
    let (golden, tensors) = whole_model_with_decoder();
    let parts = folder_of_parts(&golden, &tensors);
    let path = parts.path().join("model.safetensors.index.json");
    let index: Value = serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("JSON");
    for (missing, encodes) in [
        ("model.vqmodel.quant_conv.weight", false),
        ("model.vqmodel.encoder.conv_in.bias", false),
        ("model.vqmodel.post_quant_conv.weight", true),
        ("model.vqmodel.decoder.norm_out.bias", true),
    ] {
        let mut index = index.clone();
        index["weight_map"].as_object_mut().expect("a map").remove(missing);
        std::fs::write(&path, index.to_string()).expect("writes");
        let error = match encodes {
            false => load(parts.path()).expect_err("refused").to_string(),
            true => load_decoder(parts.path(), None).expect_err("refused").to_string(),
        };
        assert_eq!(load(parts.path()).is_ok(), encodes, "{missing}");
        assert!(error.contains(missing) && error.contains("model.safetensors.index.json"), "{error}");
    }
}

#[test]
fn a_whole_model_encodes_without_the_file_that_its_decoder_is_in() {
    let (golden, mut tensors) = whole_model_with_decoder();
    let parts = folder_of_parts(&golden, &tensors);
    let decoder = "model-00004-of-00004.safetensors";
    let path = parts.path().join("model.safetensors.index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("JSON");
    tensors.retain(|name, _| name.contains(".decoder."));
    for name in tensors.keys() {
        index["weight_map"][name] = decoder.into();
    }
    std::fs::write(&path, index.to_string()).expect("writes");
    assert!(load(parts.path()).is_ok());
    let error = load_decoder(parts.path(), None).expect_err("refused").to_string();
    assert!(error.contains(&format!("(in {decoder}, a file that isn't there)")), "{error}");
    std::fs::write(parts.path().join(decoder), safetensors(&tensors)).expect("writes");
    assert!(load_decoder(parts.path(), None).is_ok());
}

#[test]
fn a_whole_model_that_does_not_tell_of_its_tokenizer_has_the_published_one() {
    for told in [serde_json::json!({}), serde_json::json!({"vq_config": null}), serde_json::json!({"vq_config": {}})] {
        let mut config =
            serde_json::json!({"model_type": "chameleon", "architectures": ["ChameleonForConditionalGeneration"]});
        config.as_object_mut().expect("an object").extend(told.as_object().expect("an object").clone());
        let config = Config::of(config).expect("a configuration");
        let architecture = config.architecture;
        assert_eq!((architecture.native_size(), architecture.codebook_size()), (ImageSize::square(512), 8192));
    }
}

#[test]
fn weights_in_several_files_have_a_digest_of_what_was_read() {
    let digest = |change: &str| {
        let (golden, mut tensors) = whole_model();
        if let Some((_, numbers)) = tensors.get_mut(change) {
            numbers[0] += 0.5;
        }
        load(folder_of_parts(&golden, &tensors).path()).expect("loads").provenance().model_blake3.clone()
    };
    assert_eq!(digest(""), digest("lm_head.weight"));
    assert_ne!(digest(""), digest("model.vqmodel.quant_conv.bias"));
}

#[test]
fn a_file_of_several_that_isnt_there_or_isnt_whole_is_named() {
    let (golden, tensors) = whole_model();
    let folder = folder_of_parts(&golden, &tensors);
    let part = folder.path().join("model-00002-of-00003.safetensors");
    let bytes = std::fs::read(&part).expect("reads");
    let said = || load(folder.path()).expect_err("refused").to_string();
    for length in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&part, &bytes[..length]).expect("writes");
        let said = said();
        assert!(said.contains("model-00002-of-00003.safetensors isn't a whole safetensors file"), "{length}: {said}");
    }
    std::fs::write(&part, safetensors(&Tensors::new())).expect("writes");
    assert!(said().contains(" (which the index has in model-00002-of-00003.safetensors)"), "{}", said());
    std::fs::remove_file(&part).expect("removes");
    let said = said();
    assert!(said.contains(" (in model-00002-of-00003.safetensors, a file that isn't there)"), "{said}");
    let to = folder.path().join("alone.safetensors");
    let from = folder.path().join("model.safetensors.index.json");
    let error = crate::convert(&from, &to, crate::Precision::F32).expect_err("refused").to_string();
    assert!(error.contains("a file that isn't there") && !to.exists(), "{error}");
}

#[test]
fn a_file_that_no_tensor_of_the_tokenizer_is_in_need_not_be_there() {
    let (golden, mut tensors) = whole_model();
    tensors.retain(|name, _| name.starts_with("model.vqmodel."));
    let folder = folder_of_parts(&golden, &tensors);
    let path = folder.path().join("model.safetensors.index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("JSON");
    index["weight_map"]["lm_head.weight"] = "model-00004-of-00004.safetensors".into();
    std::fs::write(&path, index.to_string()).expect("writes");
    assert!(load(folder.path()).is_ok());
    for outside in ["../model.safetensors", "/etc/passwd", "..", ""] {
        index["weight_map"]["lm_head.weight"] = outside.into();
        std::fs::write(&path, index.to_string()).expect("writes");
        let error = load(folder.path()).expect_err("refused").to_string();
        assert!(error.contains("which is no file beside it"), "{outside}: {error}");
    }
}

#[test]
fn the_tokenizer_of_a_pipeline_is_found() {
    let golden = golden("diffusers_amused");
    let pipeline = tempfile::tempdir().expect("a folder");
    let listed = serde_json::json!({
        "_class_name": "AmusedPipeline", "scheduler": ["diffusers", "AmusedScheduler"], "vqvae": ["diffusers", "VQModel"]
    });
    std::fs::write(pipeline.path().join("model_index.json"), listed.to_string()).expect("writes");
    let folder = folder(&golden, &tensors(&golden), "diffusion_pytorch_model.safetensors");
    std::fs::rename(folder.path(), pipeline.path().join("vqvae")).expect("moves");
    let model = load(pipeline.path()).expect("loads");
    assert_eq!(model.encode(&[&image(0, 64, 64)]).expect("encodes"), [golden.images[0].ids.clone()]);
}

#[test]
fn a_moving_average_is_taken_where_there_is_one() {
    for name in ["open_magvit2", "ibq"] {
        let golden = golden(name);
        let mut all = tensors(&golden);
        for (name, (shape, numbers)) in tensors(&golden) {
            all.insert(format!("model_ema.{}", name.replace('.', "")), (shape.clone(), numbers.clone()));
            all.insert(name, (shape, vec![0.5; numbers.len()]));
        }
        let executor = CpuExecutor::new(plan(&golden, &all, ImageSize::square(64)));
        let ids = executor.ids(&image(0, 64, 64), &mut Buffers::default()).expect("finite");
        assert_eq!(ids, golden.images[0].ids, "{name}");
    }
}

#[test]
fn other_sizes_are_a_setting() {
    let golden = golden("llamagen");
    let folder = folder(&golden, &tensors(&golden), "model.safetensors");
    let wide = ImageSize { width: 96, height: 64 };
    let model = load_at(folder.path(), Some(wide)).expect("loads");
    assert_eq!((model.grid().width, model.grid().height, model.image_size()), (24, 16, 64));
    let index = golden.images.iter().position(|image| size_of(image) == wide).expect("a wide image");
    assert_eq!(model.encode(&[&image(index, 96, 64)]).expect("encodes"), [golden.images[index].ids.clone()]);
    for (width, height) in [(98, 64), (0, 64), (64, 4100)] {
        let error = load_at(folder.path(), Some(ImageSize { width, height })).expect_err("refused").to_string();
        assert!(
            error.contains(&format!("images of {width} x {height} pixels can't be encoded: sides are multiples of 4"))
        );
    }
}

#[test]
fn ids_become_an_image() {
    let golden = golden("rq_vae");
    let folder = folder(&golden, &tensors(&golden), "model.safetensors");
    let model = load_decoder(folder.path(), None).expect("loads");
    let IdLayout { size, codes_per_cell, codebook_size, .. } = model.layout();
    assert_eq!((size, codes_per_cell, codebook_size), (ImageSize::square(64), 4, 256));
    let ids = &golden.images[0].ids;
    let rgb = &model.decode(&[ids]).expect("decodes")[0];
    let numbers = decoder(&golden, size).numbers(ids, &mut Buffers::default()).numbers;
    assert_eq!(*rgb, numbers.iter().map(|x| crate::Range::SIGNED.level(*x)).collect::<Vec<u8>>());
    for wrong in [&ids[1..], &[&[256], &ids[1..]].concat()] {
        let error = model.decode(&[ids, wrong]).expect_err("refused").to_string();
        assert!(error.contains("ids 1 are ") && error.contains("but an image takes 1024 below 256"), "{error}");
    }
}

#[test]
fn a_file_without_a_decoder_says_so() {
    let golden = golden("taming");
    let mut encoder = tensors(&golden);
    encoder.retain(|name, _| !name.starts_with("decoder."));
    let folder = folder(&golden, &encoder, "model.safetensors");
    let error = load_decoder(folder.path(), None).expect_err("refused");
    assert!(matches!(error, VqError::NoDecoder { .. }), "{error}");
    assert!(load(folder.path()).is_ok());
}

#[test]
fn a_decoder_of_another_kind_says_so() {
    let mut golden = golden("diffusers_vq");
    golden.config["norm_type"] = "spatial".into();
    let folder = folder(&golden, &tensors(&golden), "model.safetensors");
    let error = load_decoder(folder.path(), None).expect_err("refused").to_string();
    assert_eq!(error, "the decoder can't be built: `norm_type` is \"spatial\", not \"group\"");
    assert!(load_at(folder.path(), Some(ImageSize::square(64))).is_ok());
}

#[test]
fn decoders_that_need_more_than_ids_say_so() {
    let dar = golden("dar");
    let mut all = tensors(&dar);
    all.insert("decoder_embedding.weight".to_owned(), (vec![1], vec![0.0]));
    let error = load_decoder(folder(&dar, &all, "model.safetensors").path(), None).expect_err("refused").to_string();
    assert!(error.contains("begins with noise"), "{error}");
    let titok = golden("titok");
    let mut all = tensors(&titok);
    all.insert("decoder.text_guidance_proj.weight".to_owned(), (vec![1], vec![0.0]));
    let folder = folder(&titok, &all, "model.safetensors");
    let error = load_decoder(folder.path(), None).expect_err("refused").to_string();
    assert!(error.contains("for a caption"), "{error}");
    assert!(load(folder.path()).is_ok());
}

#[test]
fn a_titok_whose_settings_make_no_pixels_says_so() {
    let mut golden = golden("titok");
    golden.config["model"]["vq_model"]["finetune_decoder"] = true.into();
    let folder = folder(&golden, &tensors(&golden), "model.safetensors");
    let error = load_decoder(folder.path(), None).expect_err("refused").to_string();
    assert!(error.contains("`is_legacy` is false and `finetune_decoder` true"), "{error}");
}

#[test]
fn the_range_of_the_input_can_be_set() {
    let mut golden = golden("chameleon");
    golden.config["input_range"] = serde_json::json!([-1.0, 0.989]);
    let folder = folder(&golden, &tensors(&golden), "model.safetensors");
    let model = load(folder.path()).expect("loads");
    assert_eq!(
        model.preprocessing(),
        Preprocessing { range: crate::Range { low: -1.0, high: 0.989 }, ..model.preprocessing() }
    );
    assert_ne!(model.encode(&[&image(0, 64, 64)]).expect("encodes"), [golden.images[0].ids.clone()]);
}

#[test]
fn features_that_are_not_finite_have_no_ids() {
    let golden = golden("taming");
    let mut all = tensors(&golden);
    all.get_mut("encoder.conv_out.weight").expect("a tensor").1.fill(f32::MAX);
    let executor = CpuExecutor::new(plan(&golden, &all, ImageSize::square(64)));
    let error = executor.encode(&[&image(0, 64, 64)]).expect_err("refused");
    assert!(matches!(error, VqError::Failed { .. }), "{error}");
}

#[test]
fn codebooks_that_their_configuration_contradicts_are_refused() {
    let original = golden("rq_vae");
    let refused = |golden: &Golden, all: &Tensors| {
        let folder = folder(golden, all, "model.safetensors");
        load(folder.path()).expect_err("refused").to_string()
    };
    let mut different = tensors(&original);
    assert!(load(folder(&original, &different, "model.safetensors").path()).is_ok());
    let one_more = different["quantizer.codebooks.0.weight"].clone();
    different.insert("quantizer.codebooks.4.weight".to_owned(), one_more);
    assert!(refused(&original, &different).contains("has the tensors quantizer.codebooks.4.weight, which"));
    different.remove("quantizer.codebooks.4.weight");
    different.get_mut("quantizer.codebooks.2.weight").expect("a tensor").1[0] += 1.0;
    let reason = refused(&original, &different);
    assert!(reason.contains("quantizer.codebooks.2.weight is another codebook than the first"), "{reason}");
    let mut golden = golden("rq_vae");
    golden.config["latent_shape"] = serde_json::json!([99, 7, 8]);
    golden.config["code_shape"] = serde_json::json!([99, 7, 4]);
    let reason = refused(&golden, &different);
    assert!(reason.contains("`ddconfig` makes a grid of [16, 16, 4]"), "{reason}");
}

/// Every number of a configuration, one after another, as something that no model has, and every list as an empty one.
#[test]
fn whatever_a_configuration_says_it_is_refused_or_bounded() {
    let nothing = safetensors(&Tensors::new());
    for (name, _) in GOLDEN {
        let original = golden(name).config;
        for path in list_paths(&original, "") {
            let mut changed = original.clone();
            *changed.pointer_mut(&path).expect("a list") = Value::Array(Vec::new());
            let Ok(config) = Config::of(changed) else { continue };
            let size = config.architecture.native_size();
            assert!(read_plan(&config, size, Path::new("none"), &nothing).is_err(), "{name} {path}");
        }
        for path in number_paths(&original, "") {
            for strange in [0, 1, 3, 1 << 31, u64::from(u32::MAX), 1 << 40, u64::MAX] {
                let mut changed = original.clone();
                *changed.pointer_mut(&path).expect("a number") = strange.into();
                let Ok(config) = Config::of(changed) else { continue };
                let size = config.architecture.native_size();
                let grid = config.architecture.grid(size).expect("a grid");
                assert!(read_plan(&config, size, Path::new("none"), &nothing).is_err(), "{name} {path} {strange}");
                assert!(config.architecture.codebook_size() > 0 && grid.width > 0, "{name} {path} {strange}");
            }
        }
    }
}

fn list_paths(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| list_paths(value, &format!("{at}/{name}"))).collect()
        }
        Value::Array(_) => vec![at.to_owned()],
        _ => Vec::new(),
    }
}

fn number_paths(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        Value::Number(_) => return vec![at.to_owned()],
        _ => return Vec::new(),
    };
    below.into_iter().flat_map(|(name, value)| number_paths(value, &format!("{at}/{name}"))).collect()
}
