//! Reads a WARC file once, and prints the bytes that it unpacks to and the CPU seconds that it took.
//!
//! `cargo run --release -p pageloom-pages --example bench_warc -- FILE [verify]`; one thread. All that a source does counts, to
//! each page's body in memory of its own; `verify` checks the digests that the records carry.

use std::fs::File;
use std::io::{Error, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use cpu_time::ProcessTime;
use pageloom_pages::sources::{
    Footers, ImageLocation, Input, InputError, InputObject, Paths, RawDocument, Records, RejectedRecord, Source,
    SourceSettings, warc,
};

/// Files of the disk, opened once.
struct Disk(Vec<(String, File)>);

impl Disk {
    fn file(&self, path: &str) -> Result<&File, InputError> {
        let found = self.0.iter().find(|(name, _)| name == path);
        found.map(|(_, file)| file).ok_or_else(|| failed(path, Error::from(std::io::ErrorKind::NotFound)))
    }
}

fn failed(path: &str, error: Error) -> InputError {
    InputError { path: path.to_owned(), cause: error.to_string() }
}

impl Input for Disk {
    fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError> {
        let size = self.file(prefix)?.metadata().map_err(|error| failed(prefix, error))?.len();
        Ok(vec![InputObject { path: prefix.to_owned(), size }])
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, InputError> {
        Ok(Box::new(File::open(path).map_err(|error| failed(path, error))?))
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let mut bytes = vec![0; length as usize];
        self.file(path)?.read_exact_at(&mut bytes, offset).map_err(|error| failed(path, error))?;
        Ok(bytes)
    }

    fn shared(&self) -> Arc<dyn Input> {
        unreachable!("only Parquet files are read so")
    }

    fn footers(&self) -> &Footers {
        unreachable!("only Parquet files have one")
    }
}

/// What was read.
#[derive(Debug, Default, Clone, PartialEq)]
struct Counts {
    pages: u64,
    page_bytes: u64,
    images: u64,
    rejects: u64,
    others: u64,
}

impl Records for Counts {
    fn document(&mut self, document: RawDocument) -> ControlFlow<()> {
        self.pages += 1;
        self.page_bytes += document.body.len() as u64;
        ControlFlow::Continue(())
    }

    fn image(&mut self, _: ImageLocation) -> ControlFlow<()> {
        self.images += 1;
        ControlFlow::Continue(())
    }

    fn reject(&mut self, _: RejectedRecord) -> ControlFlow<()> {
        self.rejects += 1;
        ControlFlow::Continue(())
    }

    fn skip(&mut self, _: &'static str) {
        self.others += 1;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (path, verify_digests) = match words.as_slice() {
        [path] => (path, false),
        [path, verify] if verify == "verify" => (path, true),
        _ => return Err("name a WARC file, and `verify` behind it if digests are to be checked".into()),
    };
    let disk = Disk(vec![(path.clone(), File::open(path)?)]);
    let source = warc::Settings { files: Paths::at(path), verify_digests, ..warc::Settings::example() };
    let (start, mut counts) = (ProcessTime::now(), Counts::default());
    for split in source.splits(&disk, 64 << 20)? {
        source.read(&split, &disk, &mut counts)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let Counts { pages, page_bytes, images, rejects, others } = counts;
    let bytes = unpacked(path)?;
    let said = serde_json::json!({
        "bytes": bytes, "seconds": seconds,
        "pages": pages, "page_bytes": page_bytes, "images": images, "rejects": rejects, "others": others,
    });
    println!("{said}");
    Ok(())
}

/// The length of what a file unpacks to.
fn unpacked(path: &str) -> Result<u64, Error> {
    let file = File::open(path)?;
    let mut reader: Box<dyn Read> = match path.rsplit('.').next() {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => return Ok(file.metadata()?.len()),
    };
    std::io::copy(&mut reader, &mut std::io::sink())
}
