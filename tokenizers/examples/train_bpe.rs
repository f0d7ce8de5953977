//! Trains a byte-level BPE on text files, one text per line, and measures it on others.
//!
//! `train_bpe --vocab 8192 --out tokenizer.json [--measure FOLDER] FILES/FOLDERS...`

use std::error::Error;
use std::path::{Path, PathBuf};

use pageloom_tokenizers::text::TextTokenizer;
use tokenizers::decoders::byte_level::ByteLevel as Decoder;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{NormalizerWrapper, PostProcessorWrapper, Tokenizer, TokenizerBuilder};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read(std::env::args().skip(1))?;
    let texts = lines_of(&text_files(&options.inputs)?)?;
    let tokenizer = train(&texts, options.vocabulary_size).map_err(|error| error.to_string())?;
    std::fs::write(&options.out, tokenizer)?;
    if let Some(folder) = options.measure {
        measure(&TextTokenizer::load(&options.out)?, &text_files(&[folder])?)?;
    }
    Ok(())
}

struct Options {
    vocabulary_size: usize,
    out: PathBuf,
    measure: Option<PathBuf>,
    inputs: Vec<PathBuf>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options =
            Self { vocabulary_size: 8192, out: "tokenizer.json".into(), measure: None, inputs: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--vocab" => options.vocabulary_size = value()?.parse()?,
                "--out" => options.out = value()?.into(),
                "--measure" => options.measure = Some(value()?.into()),
                _ => options.inputs.push(argument.into()),
            }
        }
        if options.inputs.is_empty() {
            return Err("name the files or folders to train on".into());
        }
        Ok(options)
    }
}

// The files, and the `.txt` files of the folders, in the order of their names.
fn text_files(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            files.push(input.clone());
            continue;
        }
        for entry in std::fs::read_dir(input)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "txt") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn lines_of(files: &[PathBuf]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = Vec::new();
    for file in files {
        lines.extend(std::fs::read_to_string(file)?.lines().map(str::to_owned));
    }
    Ok(lines)
}

// The trained `tokenizer.json`: GPT-2's splitting of text, all 256 bytes, no normaliser, no special tokens.
fn train(texts: &[String], vocabulary_size: usize) -> tokenizers::Result<String> {
    let bytes = ByteLevel::new(false, true, true);
    let mut tokenizer = TokenizerBuilder::<BPE, NormalizerWrapper, ByteLevel, PostProcessorWrapper, Decoder>::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(bytes))
        .with_post_processor(None)
        .with_decoder(Some(Decoder::new(false, true, true)))
        .build()?;
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocabulary_size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut trainer, texts.iter())?;
    Tokenizer::from_bytes(tokenizer.to_string(false)?)?.to_string(true)
}

fn measure(tokenizer: &TextTokenizer, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    for file in files {
        let (mut bytes, mut tokens) = (0, 0);
        for line in lines_of(std::slice::from_ref(file))? {
            bytes += line.len();
            tokens += tokenizer.encode(&line)?.len();
        }
        let name = file.file_stem().unwrap_or(Path::new("").as_os_str()).to_string_lossy();
        println!("{name}: {bytes} bytes, {tokens} tokens, {:.2} bytes per token", bytes as f64 / tokens.max(1) as f64);
    }
    Ok(())
}
