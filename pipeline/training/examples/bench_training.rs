//! Prints how fast objectives and packing are beside memcpy on one core, and how well best fit fills rows.
//!
//! `cargo run --release -p pageloom-training --example bench_training [documents of the last packing, in millions]`

use std::error::Error;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use pageloom_training::objectives::{
    CausalMasking, Example, ObjectiveConfig, ObjectiveSettings, TokenDocument, TokenId,
};
use pageloom_training::packing::{BestFit, FillReport, PackingConfig, PackingSettings};
use pageloom_training::random::KeyedRandom;
use pageloom_training::specials::Specials;

const SEED: u64 = 1;
const NUM_TEXT: u32 = 50_000;

fn main() -> Result<(), Box<dyn Error>> {
    let millions: u64 = std::env::args().nth(1).map_or(Ok(10), |argument| argument.parse())?;
    let memcpy = memcpy_bytes_per_second();
    println!("memcpy            {:8.2} GB/s", memcpy / 1e9);
    let documents: Vec<_> = (0..4000).map(|number| document(number, 600.0)).collect();
    objectives(&documents, memcpy);
    packings(&documents, memcpy);
    relocation_and_packing(&documents);
    report("best fit, 400,000 documents, median 600 tokens, rows of 2048", pack_stream(400_000, 600.0));
    if millions > 0 {
        report(&format!("best fit, {millions} million documents, median 30"), pack_stream(millions * 1_000_000, 30.0));
        println!("largest resident memory: {}", peak_memory().unwrap_or_else(|| "not known here".to_owned()));
    }
    Ok(())
}

fn specials() -> Specials {
    Specials::consecutive(NUM_TEXT, 512)
}

// A document with a lognormal number of tokens of this median, sigma 1.
fn document(number: u64, median: f64) -> TokenDocument {
    let mut random = KeyedRandom::new(SEED, "lengths", &number.to_le_bytes(), 0);
    let length = (median * random.normal().exp()).max(1.0) as u32;
    let tokens = (0..length).map(|index| (index % NUM_TEXT) as TokenId).collect();
    TokenDocument { tokens, ..TokenDocument::default() }
}

// Bytes read per second, of the fastest of several copies of 64 MB.
fn memcpy_bytes_per_second() -> f64 {
    let from = vec![1_u8; 1 << 26];
    let mut to = vec![0_u8; 1 << 26];
    (0..5)
        .map(|_| seconds(|| black_box(&mut to).copy_from_slice(black_box(&from))))
        .map(|seconds| from.len() as f64 / seconds)
        .fold(0.0, f64::max)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn num_tokens(documents: &[TokenDocument]) -> f64 {
    documents.iter().map(|document| document.tokens.len()).sum::<usize>() as f64
}

fn apply(objective: &ObjectiveConfig, documents: &[TokenDocument], mut take: impl FnMut([u8; 16], Example)) {
    let objective = objective.build(&specials());
    for (number, document) in (0_u128..).zip(documents) {
        let key = number.to_le_bytes();
        for example in objective.apply(document, &mut KeyedRandom::new(SEED, "objective", &key, 0)) {
            take(key, example);
        }
    }
}

fn line(name: &str, tokens: f64, seconds: f64, memcpy: f64) {
    let rate = tokens / seconds;
    println!("{name:40} {:8.1} million tokens/s, {:.3} of memcpy", rate / 1e6, rate * 4.0 / memcpy);
}

fn objectives(documents: &[TokenDocument], memcpy: f64) {
    for objective in ObjectiveConfig::examples() {
        let work = || apply(&objective, documents, |_, example| drop(black_box(example)));
        let name = format!("{objective:?}");
        let name = name.split('(').next().unwrap_or_default();
        line(name, num_tokens(documents), fastest(work), memcpy);
    }
}

fn packings(documents: &[TokenDocument], memcpy: f64) {
    for packing in PackingConfig::examples() {
        let Some(plain) = ObjectiveConfig::examples().into_iter().next() else { return };
        let mut examples = Vec::new();
        apply(&plain, documents, |key, example| examples.push((key, example)));
        let mut packer = packing.build(&specials());
        let mut rows = Vec::new();
        let seconds = seconds(|| {
            for (key, example) in examples {
                packer.push(key, example, &mut rows);
                black_box(&rows);
                packer.reuse(&mut rows);
            }
            packer.finish(&mut rows);
        });
        let name = format!("{packing:?}");
        line(name.split('(').next().unwrap_or_default(), num_tokens(documents), seconds, memcpy);
    }
}

// Beside memcpy of the same moment, as other programs share the machine's memory: the round in the middle of several.
fn relocation_and_packing(documents: &[TokenDocument]) {
    for packing in PackingConfig::examples() {
        let work = || {
            let relocation = ObjectiveConfig::CausalMasking(CausalMasking::example());
            let (mut packer, mut rows) = (packing.build(&specials()), Vec::new());
            apply(&relocation, documents, |key, example| {
                packer.push(key, example, &mut rows);
                black_box(&rows);
                packer.reuse(&mut rows);
            });
            packer.finish(&mut rows);
        };
        let name = format!("{packing:?}");
        let name = format!("causal_masking, then {}", name.split('(').next().unwrap_or_default());
        let mut rounds: Vec<_> = (0..15).map(|_| (memcpy_bytes_per_second(), fastest(work))).collect();
        rounds.sort_by(|one, other| (one.0 * one.1).total_cmp(&(other.0 * other.1)));
        let (memcpy, seconds) = rounds[rounds.len() / 2];
        line(&name, num_tokens(documents), seconds, memcpy);
    }
}

fn fastest(work: impl Fn()) -> f64 {
    (0..5).map(|_| seconds(&work)).fold(f64::INFINITY, f64::min)
}

fn pack_stream(num_documents: u64, median: f64) -> (FillReport, f64) {
    let sequence_length = NonZeroU32::MIN.saturating_add(2047);
    let mut packer = BestFit { sequence_length, ..BestFit::example() }.build(&specials());
    let mut rows = Vec::new();
    let seconds = seconds(|| {
        for number in 0..num_documents {
            let input_ids = document(number, median).tokens;
            let example = Example { labels: input_ids.clone(), input_ids, ..Example::default() };
            packer.push(u128::from(number).to_le_bytes(), example, &mut rows);
            packer.reuse(&mut rows);
        }
        packer.finish(&mut rows);
    });
    (packer.report(), seconds)
}

fn report(name: &str, (report, seconds): (FillReport, f64)) {
    println!("{name}: fill {:.4} %, {seconds:.1} s, {report:?}", 100.0 * report.fill());
}

// Linux only.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|size| size.trim().to_owned())
}
