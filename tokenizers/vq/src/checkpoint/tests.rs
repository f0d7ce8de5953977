//! Files of `tests/vq/make_checkpoints.py`, and what damage does to them.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use super::stored::Stored;
use super::{Checkpoint, Precision, convert};
use crate::error::VqError;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checkpoint/testdata").join(name)
}

fn take(path: &Path, name: &str, shape: &[usize]) -> Result<Vec<f32>, VqError> {
    let bytes = std::fs::read(path).expect("reads");
    let mut checkpoint = Checkpoint::parse(path, &bytes)?;
    let numbers = checkpoint.take(name.to_owned(), shape)?;
    checkpoint.finish(&[])?;
    Ok(numbers)
}

fn quarters(places: impl IntoIterator<Item = usize>) -> Vec<f32> {
    places.into_iter().map(|place| place as f32 / 4.0).collect()
}

/// Every tensor that the recipe saves, and its numbers, row by row.
fn check_tensors(path: &Path) {
    let transposed = (0..6).flat_map(|column| (0..4).map(move |row| row * 6 + column));
    for (name, shape, expected) in [
        ("encoder.f32", &[2, 3, 4][..], quarters(0..24)),
        ("encoder.f16", &[4, 6], quarters(0..24)),
        ("encoder.bf16", &[4, 6], quarters(0..24)),
        ("encoder.f64", &[24], quarters(0..24)),
        ("encoder.transposed", &[6, 4], quarters(transposed)),
        ("encoder.every_other", &[12], quarters((1..24).step_by(2))),
        ("encoder.shared", &[4], quarters(8..12)),
        ("encoder.parameter", &[2, 3], quarters(0..6)),
        ("encoder.scalar", &[], vec![0.5]),
        ("encoder.empty", &[0, 3], vec![]),
        ("encoder.channels_last", &[1, 2, 3, 4], quarters(0..24)),
        ("loss.weight", &[2], quarters(0..2)),
    ] {
        assert_eq!(take(path, name, shape).expect(name), expected, "{name}");
    }
}

#[test]
fn tensors_are_read_whatever_their_precision_and_order_in_memory() {
    check_tensors(&testdata("plain.pt"));
}

#[test]
fn a_file_from_before_the_zip_format_is_read_too() {
    check_tensors(&testdata("legacy.bin"));
}

#[test]
fn what_a_trainer_saves_beside_the_weights_is_skipped() {
    check_tensors(&testdata("lightning.ckpt"));
    let path = testdata("lightning.ckpt");
    let bytes = std::fs::read(&path).expect("reads");
    let tensors = Stored::parse(&path, &bytes).expect("opens");
    assert!(
        tensors
            .names()
            .iter()
            .all(|name| ["encoder", "quantize", "loss"].contains(&name.split('.').next().unwrap_or("")))
    );
}

#[test]
fn averaged_weights_are_preferred() {
    assert_eq!(take(&testdata("averaged.pt"), "encoder.f32", &[2, 3, 4]).expect("is there"), quarters(0..24));
}

#[test]
fn the_prefix_of_parallel_training_is_dropped() {
    assert_eq!(take(&testdata("parallel.pt"), "encoder.f32", &[2, 3, 4]).expect("is there"), quarters(0..24));
}

#[test]
fn what_cant_be_taken_is_named() {
    let said = |name: &str, shape: &[usize]| take(&testdata("plain.pt"), name, shape).expect_err("refused").to_string();
    assert!(said("encoder.f16", &[6, 4]).contains("encoder.f16 has the shape [4, 6], but config.json asks for [6, 4]"));
    assert!(said("decoder.f16", &[1]).contains("plain.pt lacks the tensors decoder.f16"));
    assert!(said("quantize.count", &[3]).contains("quantize.count is stored as I64"));
}

#[test]
fn a_tensor_that_was_left_over_is_named() {
    let path = testdata("parallel.pt");
    let bytes = std::fs::read(&path).expect("reads");
    let said = Checkpoint::parse(&path, &bytes).and_then(|checkpoint| checkpoint.finish(&["encoder.".to_owned()]));
    assert!(said.expect_err("refused").to_string().contains("has the tensors encoder.f32, which"));
}

#[test]
fn every_truncation_and_damaged_byte_ends_in_numbers_or_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["parallel.pt", "legacy.bin"] {
        let whole = std::fs::read(testdata(name)).expect("reads");
        let path = folder.path().join(name);
        let mut opened = 0;
        let mut check = |bytes: &[u8]| {
            // Some file systems wait for the disk when a file is replaced, but not when it is new.
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, bytes).expect("writes");
            let Ok(tensors) = Stored::parse(&path, bytes) else { return };
            opened += 1;
            for name in tensors.names() {
                if let Ok(bytes) = tensors.read(name) {
                    assert!(bytes.len() <= whole.len(), "{name}");
                }
            }
        };
        (0..whole.len()).for_each(|length| check(&whole[..length]));
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= if place % 2 == 0 { 0xFF } else { 1 << (place % 7) };
            check(&damaged);
        }
        assert!(opened > 0, "{name}");
    }
}

#[test]
fn a_view_that_repeats_numbers_beyond_the_files_size_is_refused() {
    let mut bytes = std::fs::read(testdata("parallel.pt")).expect("reads");
    // The shape (2, 3, 4) and the strides (12, 4, 1) become (255, 255, 255) and (0, 0, 0), as one-byte numbers.
    let numbers = |numbers: [u8; 3]| numbers.map(|number| [b'K', number]).concat();
    for (from, to) in [([2, 3, 4], [255; 3]), ([12, 4, 1], [0; 3])] {
        let (from, to) = (numbers(from), numbers(to));
        let place = bytes.windows(from.len()).position(|window| window == from).expect("is there");
        bytes[place..place + to.len()].copy_from_slice(&to);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wide.pt");
    std::fs::write(&path, with_checksum(bytes)).expect("writes");
    let said = take(&path, "encoder.f32", &[255, 255, 255]).expect_err("refused").to_string();
    assert!(said.contains("encoder.f32 would have 66325500 bytes, but the whole file has"), "{said}");
}

/// With the checksum of its first entry, which is the pickle, dropped: zero says that there is none.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    for (magic, offset) in [(b"PK\x03\x04", 14), (b"PK\x01\x02", 16), (b"PK\x07\x08", 4)] {
        if let Some(place) = bytes.windows(4).position(|window| window == magic) {
            bytes[place + offset..place + offset + 4].fill(0);
        }
    }
    bytes
}

#[test]
fn a_pickle_that_calls_something_with_tensors_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calls.pt");
    // `os.system("true")` as the whole file.
    std::fs::write(&path, b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.").expect("writes");
    let said = take(&path, "encoder.f32", &[1]).expect_err("refused").to_string();
    assert!(said.contains("can't be read as a PyTorch checkpoint") && said.contains("os.system"), "{said}");
}

#[test]
fn a_converted_model_has_the_same_numbers_under_the_same_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (to, from) = (folder.path().join("model.safetensors"), testdata("lightning.ckpt"));
    for (precision, dtype) in
        [(Precision::F32, Dtype::F32), (Precision::F16, Dtype::F16), (Precision::Bf16, Dtype::BF16)]
    {
        let converted = convert(&from, &to, precision).expect("converts");
        assert_eq!((converted.tensors, converted.left_out), (12, vec!["loss.weight".to_owned()]));
        let bytes = std::fs::read(&to).expect("reads");
        let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
        assert_eq!(tensors.tensor("encoder.f64").expect("is there").dtype(), dtype);
        assert_eq!(tensors.tensor("quantize.count").expect("is there").dtype(), Dtype::I64);
        assert_eq!(take(&to, "encoder.every_other", &[12]).expect("is there"), quarters((1..24).step_by(2)));
        assert_eq!(take(&to, "encoder.empty", &[0, 3]).expect("is there"), Vec::<f32>::new());
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1, "nothing else is left there");
    }
    let again = folder.path().join("again.safetensors");
    assert_eq!(convert(&to, &again, Precision::F32).expect("converts").tensors, 12);
    assert_eq!(take(&again, "encoder.transposed", &[6, 4]).expect("is there").len(), 24);
}

#[test]
fn a_conversion_that_fails_leaves_what_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("large.safetensors"), folder.path().join("model.safetensors"));
    let large = [1e6_f32.to_le_bytes()].concat();
    let view = safetensors::tensor::TensorView::new(Dtype::F32, vec![1], &large).expect("a tensor");
    let bytes = safetensors::tensor::serialize([("encoder.large", view)], None).expect("serialises");
    std::fs::write(&from, bytes).expect("writes");
    std::fs::write(&to, "before").expect("writes");
    let said = convert(&from, &to, Precision::F16).expect_err("refused").to_string();
    assert!(said.contains("encoder.large holds 1000000, which is too large for f16"), "{said}");
    assert_eq!(std::fs::read_to_string(&to).expect("reads"), "before");
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 2);
}

#[test]
fn a_checkpoint_that_is_named_is_loaded_with_the_config_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("last.ckpt");
    std::fs::copy(testdata("lightning.ckpt"), &path).expect("copies");
    std::fs::write(folder.path().join("config.json"), r#"{"family": "llamagen"}"#).expect("writes");
    let said = crate::load(&path).expect_err("refused").to_string();
    assert!(said.contains("last.ckpt lacks the tensors encoder.conv_in.weight, "), "{said}");
}
