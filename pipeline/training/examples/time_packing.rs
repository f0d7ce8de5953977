//! Relocates spans and packs documents of given lengths, and prints seconds, tokens, rows and fill of each way as JSON.
//!
//! `cargo run --release -p pageloom-training --example time_packing LENGTHS`: a file with a length in each line, at most
//! some millions of tokens in all. One thread; documents and examples are made before the clock starts.

use std::error::Error;
use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Instant;

use pageloom_training::objectives::{
    CausalMasking, Example, ObjectiveConfig, ObjectiveSettings, TokenDocument, TokenId,
};
use pageloom_training::packing::{
    BestFit, ConcatAndSplit, FillReport, LongExamples, PackedRow, Packer, PackingSettings,
};
use pageloom_training::random::KeyedRandom;
use pageloom_training::specials::Specials;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a file of lengths")?;
    let lengths: Vec<u32> = std::fs::read_to_string(path)?.lines().map(str::parse).collect::<Result<_, _>>()?;
    let sequence_length = NonZeroU32::new(2048).ok_or("no length")?;
    let specials = Specials::consecutive(50_000, 512);
    let best_fit = |long_examples| BestFit { sequence_length, long_examples, ..BestFit::example() };
    print(
        "relocation",
        relocated(&lengths, ConcatAndSplit { sequence_length, ..ConcatAndSplit::example() }.build(&specials)),
    );
    print("best_fit", packed(&lengths, best_fit(LongExamples::DropEnd).build(&specials)));
    let whole = BestFit { window_tokens: NonZeroU64::MAX, ..best_fit(LongExamples::DropEnd) };
    print("best_fit_whole", packed(&lengths, whole.build(&specials)));
    print("best_fit_split", packed(&lengths, best_fit(LongExamples::Split).build(&specials)));
    Ok(())
}

fn print(name: &str, (report, seconds): (FillReport, f64)) {
    let (tokens, rows, fill) = (report.tokens, report.rows, report.fill());
    println!(
        "{}",
        serde_json::json!({ "name": name, "seconds": seconds, "tokens": tokens, "rows": rows, "fill": fill })
    );
}

fn tokens(length: u32) -> Vec<TokenId> {
    (0..length).map(|index| (index % 50_000) as TokenId).collect()
}

// From documents to rows.
fn relocated(lengths: &[u32], mut packer: Box<dyn Packer>) -> (FillReport, f64) {
    let relocation =
        ObjectiveConfig::CausalMasking(CausalMasking::example()).build(&Specials::consecutive(50_000, 512));
    let document = |&length: &u32| TokenDocument { tokens: tokens(length), ..TokenDocument::default() };
    let documents: Vec<_> = lengths.iter().map(document).collect();
    let mut rows = Vec::new();
    let started = Instant::now();
    for (number, document) in (0_u128..).zip(&documents) {
        let key = number.to_le_bytes();
        for example in relocation.apply(document, &mut KeyedRandom::new(1, "objective", &key, 0)) {
            packer.push(key, example, &mut rows);
        }
        reuse(packer.as_mut(), &mut rows);
    }
    packer.finish(&mut rows);
    (packer.report(), started.elapsed().as_secs_f64())
}

// From examples to rows.
fn packed(lengths: &[u32], mut packer: Box<dyn Packer>) -> (FillReport, f64) {
    let example = |&length: &u32| Example { input_ids: tokens(length), labels: tokens(length), ..Example::default() };
    let examples: Vec<_> = lengths.iter().map(example).collect();
    let mut rows = Vec::new();
    let started = Instant::now();
    for (number, example) in (0_u128..).zip(examples) {
        packer.push(number.to_le_bytes(), example, &mut rows);
        reuse(packer.as_mut(), &mut rows);
    }
    packer.finish(&mut rows);
    (packer.report(), started.elapsed().as_secs_f64())
}

fn reuse(packer: &mut dyn Packer, rows: &mut Vec<PackedRow>) {
    black_box(&rows);
    packer.reuse(rows);
}
