//! Image tokenizers and patch masks from the command line.

use std::fs;

use serde_json::Value;

use super::site::{Site, done, pageloom, repository, text};

fn demo_model() -> String {
    text(&repository().join("tokenizers/models/demo-vq"))
}

fn demo_image(name: &str) -> String {
    text(&repository().join("jobs/demo/site/img").join(name))
}

fn codes(line: &str) -> Value {
    serde_json::from_str::<Value>(line).unwrap()["codes"].clone()
}

/// Columns and rows of a PNG file.
fn png_size(bytes: &[u8]) -> [u32; 2] {
    assert_eq!(&bytes[1..4], b"PNG");
    [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()))
}

#[test]
fn inspect_says_what_a_model_makes_of_an_image_of_any_size() {
    let said = done(&["vq", "inspect", &demo_model()]);
    assert!(said.stdout.contains("256 per image: 16 x 16 places") && said.stdout.contains("GFLOP"), "{}", said.stdout);
    let said = done(&["vq", "inspect", &demo_model(), "--size", "512x256", "--json"]);
    let model: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&model["grid"]["width"], &model["grid"]["height"]), (&32.into(), &16.into()));
    let said = pageloom(&["vq", "inspect", &demo_model(), "--size", "250x256"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("multiples of 16"), "{}", said.stderr);
}

#[test]
fn images_go_to_codes_and_back_and_a_broken_one_costs_itself_alone() {
    let site = Site::new();
    let (lichen, nothing) = (demo_image("lichen.jpg"), text(&site.path("nothing.jpg")));
    let said = pageloom(&["vq", "encode", &demo_model(), &lichen, &nothing]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("1 of 2 images"), "{}", said.stderr);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!((lines.len(), codes(lines[0]).as_array().unwrap().len()), (2, 256));
    assert!(lines[1].contains("\"error\""), "{}", lines[1]);
    fs::write(site.path("codes.jsonl"), &said.stdout).unwrap();
    let (list, out) = (text(&site.path("codes.jsonl")), text(&site.path("decoded")));
    done(&["vq", "decode", &demo_model(), &list, "--out", &out]);
    assert_eq!(png_size(&fs::read(site.path("decoded/lichen.png")).unwrap()), [256, 256]);
}

#[test]
fn a_model_written_in_another_precision_gives_the_same_codes_where_it_loses_nothing() {
    let site = Site::new();
    let (model, out) = (format!("{}/model.safetensors", demo_model()), text(&site.path("model.safetensors")));
    done(&["vq", "convert", &model, "--out", &out, "--precision", "f32"]);
    fs::copy(format!("{}/config.json", demo_model()), site.path("config.json")).unwrap();
    let of = |model: &str| codes(&done(&["vq", "encode", model, &demo_image("pebbles.jpg")]).stdout);
    assert_eq!(of(&text(&site.path(""))), of(&demo_model()));
}

#[test]
fn an_executor_is_held_against_the_one_that_is_always_there_and_is_named_where_it_isnt() {
    let said = done(&["vq", "selftest", &demo_model()]);
    assert!(said.stdout.contains("agrees with cpu") && said.stdout.contains("1280 of 1280"), "{}", said.stdout);
    let nowhere = ["--executor", "onnxruntime", "--library", "/nowhere/libonnxruntime.so"];
    let said = pageloom(&[&["vq", "selftest", &demo_model()], &nowhere[..]].concat());
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("the executor onnxruntime can't be used: failed to load from"), "{}", said.stderr);
}

#[test]
fn onnx_runtime_gives_the_same_codes_where_its_library_is() {
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        println!("skipped: ORT_DYLIB_PATH names no library of ONNX Runtime");
        return;
    }
    let onnx = ["--executor", "onnxruntime"];
    let said = done(&[&["vq", "selftest", &demo_model()], &onnx[..]].concat());
    assert!(said.stdout.contains("onnxruntime") && said.stdout.contains("agrees with cpu"), "{}", said.stdout);
    let of = |more: &[&str]| {
        codes(&done(&[&["vq", "encode", &demo_model(), &demo_image("pebbles.jpg")], more].concat()).stdout)
    };
    assert_eq!(of(&onnx), of(&[]));
}

#[test]
fn the_gallery_draws_every_mask_that_fits() {
    let site = Site::new();
    let file = text(&site.path("masks.png"));
    let said = done(&["masks", "gallery", "--out", &file, "--tile", "16"]);
    assert!(said.stdout.contains("random, color_noise"), "{}", said.stdout);
    let [width, height] = png_size(&fs::read(&file).unwrap());
    assert!(width > 16 && height > 16 * 10, "{width} x {height}");
}
