//! Encodes every file of a folder and prints MB/s of text, of `encode` and of the Hugging Face crate, in turns.
//!
//! `cargo run --release -p pageloom-tokenizers --example bench_bpe -- TOKENIZER FOLDER [ROUNDS]`; one thread. Each round
//! starts with a tokenizer that has seen no text. It also says in how many files the two differ.

use std::path::Path;
use std::time::Instant;

use pageloom_tokenizers::TokenId;
use pageloom_tokenizers::text::{TextTokenizer, TextTokenizerError};

type Encode = fn(&TextTokenizer, &str) -> Result<Vec<TokenId>, TextTokenizerError>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [tokenizer, folder, rounds @ ..] = arguments.as_slice() else {
        return Err("name a tokenizer.json and a folder of text".into());
    };
    let rounds = rounds.first().map_or(Ok(3), |rounds| rounds.parse())?;
    let bytes = std::fs::read(Path::new(tokenizer))?;
    let texts = texts(Path::new(folder))?;
    let megabytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
    println!("{} files, {megabytes:.1} MB", texts.len());

    let encoders: [(&str, Encode); 2] =
        [("encode", TextTokenizer::encode), ("Hugging Face", TextTokenizer::encode_plainly)];
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let mut ids = Vec::new();
        for ((_, encode), seconds) in encoders.iter().zip(&mut seconds) {
            let tokenizer = TextTokenizer::load_bytes(&bytes)?;
            let started = Instant::now();
            ids.push(texts.iter().map(|text| encode(&tokenizer, text)).collect::<Result<Vec<_>, _>>()?);
            seconds.push(started.elapsed().as_secs_f64());
        }
        let differ = ids[0].iter().zip(&ids[1]).filter(|(ours, theirs)| ours != theirs).count();
        let tokens: usize = ids[0].iter().map(Vec::len).sum();
        println!("{tokens} tokens, {differ} files differ");
    }
    for ((name, _), seconds) in encoders.iter().zip(&mut seconds) {
        seconds.sort_by(f64::total_cmp);
        println!("{name}: median {:.1} MB/s", megabytes / seconds[seconds.len() / 2]);
    }
    Ok(())
}

fn texts(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().map(|path| Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())).collect()
}
