//! Every quantiser against its public code, on vectors that follow from their names.

use std::collections::BTreeMap;
use std::path::Path;

use pulp::Arch;
use serde::Deserialize;

use super::{first_largest, of};
use crate::plan::{Books, Codebook, Quantiser};
use crate::rule::{numbers, weight};

/// Made by `tests/vq/quantisers.py`.
#[derive(Deserialize)]
struct Golden {
    vectors: usize,
    dimension: usize,
    /// What the vectors, from -1 to 1, are multiplied by.
    scale: f64,
    /// Rows of the codebook, or 0.
    rows: usize,
    ids: Vec<u32>,
    /// Vectors for which the second best is hardly worse than the best, and by how much.
    close: Vec<(usize, f64)>,
}

/// A difference in ids is explained by a margin below this: what single precision leaves in a sum of a few squares.
const EXPLAINED: f64 = 4e-6;

/// The file is read when the test runs, so that one with a million vectors can be put in its place.
fn check(name: &str, quantiser: impl Fn(Codebook) -> Quantiser) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/quantise/testdata/{name}.json"));
    let text = std::fs::read_to_string(path).expect("a golden file");
    let golden: Golden = serde_json::from_str(&text).expect("a golden file");
    let (rows, dimension) = (golden.rows, golden.dimension);
    let vectors = weight(&format!("codebook {name}"), &[rows.max(1), dimension]);
    let quantiser = of(quantiser(Codebook { count: rows, dimension, vectors }));
    let features = numbers(&format!("vectors {name}"), golden.vectors * dimension);
    let features: Vec<f32> = features.into_iter().map(|x| (x * golden.scale) as f32).collect();
    let mut ids = Vec::new();
    quantiser.ids(Arch::new(), &features, &mut Vec::new(), &mut ids);
    assert_eq!(ids.len(), golden.ids.len());
    let depth = ids.len() / golden.vectors;
    let close: BTreeMap<usize, f64> = golden.close.iter().copied().collect();
    let mut explained = 0;
    for (place, (found, expected)) in ids.chunks(depth).zip(golden.ids.chunks(depth)).enumerate() {
        if found != expected {
            let margin = close.get(&place).copied().unwrap_or(f64::INFINITY);
            assert!(margin < EXPLAINED, "{name} vector {place}: {found:?}, not {expected:?} by {margin}");
            explained += 1;
        }
    }
    println!("{name}: {} vectors, {explained} of which differ where two are as good", golden.vectors);
    assert!(explained <= 1 + golden.vectors / 10_000, "{name}: {explained} differ");
}

#[test]
fn distances_are_tamings() {
    check("nearest", Quantiser::Nearest);
}

#[test]
fn angles_are_llamagens() {
    check("cosine", Quantiser::Cosine);
}

#[test]
fn products_are_ibqs() {
    check("product", Quantiser::Product);
}

#[test]
fn signs_are_open_magvit2s() {
    check("signs", |_| Quantiser::Signs { bits: 18 });
}

#[test]
fn levels_are_cosmos() {
    check("levels", |_| Quantiser::Levels(vec![8, 8, 8, 5, 5, 5]));
}

#[test]
fn residuals_are_rq_vaes() {
    check("residual", |book| Quantiser::Residual(Books { books: vec![book], depth: 4 }));
}

#[test]
fn of_equal_scores_the_first_wins() {
    assert_eq!(first_largest(&[1.0, 3.0, 2.0, 3.0]), 1);
    assert_eq!(first_largest(&[]), 0);
}
