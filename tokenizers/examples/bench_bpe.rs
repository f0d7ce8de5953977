//! Encodes every file of a folder once, and prints the bytes of text and the CPU seconds that it took.
//!
//! `cargo run --release -p pageloom-tokenizers --example bench_bpe -- TOKENIZER FOLDER [IDS_OUT]`; one thread, with a
//! tokenizer that has seen no text. All ids are written to IDS_OUT, four bytes each.

use std::path::Path;

use cpu_time::ThreadTime;
use pageloom_tokenizers::TokenId;
use pageloom_tokenizers::text::TextTokenizer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [tokenizer, folder, out @ ..] = arguments.as_slice() else {
        return Err("name a tokenizer.json and a folder of text".into());
    };
    let tokenizer = TextTokenizer::load_bytes(&std::fs::read(Path::new(tokenizer))?)?;
    let texts = texts(Path::new(folder))?;
    let bytes: usize = texts.iter().map(String::len).sum();

    let started = ThreadTime::now();
    let ids: Vec<Vec<TokenId>> = texts.iter().map(|text| tokenizer.encode(text)).collect::<Result<_, _>>()?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", serde_json::json!({ "bytes": bytes, "seconds": seconds }));
    if let Some(out) = out.first() {
        let bytes: Vec<u8> = ids.iter().flatten().flat_map(|id| id.to_le_bytes()).collect();
        std::fs::write(out, bytes)?;
    }
    Ok(())
}

fn texts(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().map(|path| Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())).collect()
}
