//! Times reading WARC files, from a file's bytes to pages, in CPU seconds of one thread.
//!
//! usage: cargo run --release --example bench_warc -- [--verify] FILE...
//!
//! `--verify` checks the digests that the records carry. Each file is read five times, the files in turn, and the best
//! counts: MB of unpacked WARC a CPU second, of everything that a source does, to a page's body in memory of its own.

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

const ROUNDS: usize = 5;

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
    let (options, paths): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word == "--verify");
    let files: Result<Vec<_>, Error> = paths.iter().map(|path| Ok((path.clone(), File::open(path)?))).collect();
    let disk = Disk(files?);
    let mut best = vec![(f64::INFINITY, Counts::default()); paths.len()];
    for _ in 0..ROUNDS {
        for (path, best) in paths.iter().zip(&mut best) {
            let verify_digests = !options.is_empty();
            let source = warc::Settings { files: Paths::at(path), verify_digests, ..warc::Settings::example() };
            let (start, mut counts) = (ProcessTime::now(), Counts::default());
            for split in source.splits(&disk, 64 << 20)? {
                source.read(&split, &disk, &mut counts)?;
            }
            best.0 = best.0.min(start.elapsed().as_secs_f64());
            best.1 = counts;
        }
    }
    for (path, (seconds, counts)) in paths.iter().zip(best) {
        let megabytes = unpacked(path)? as f64 / 1e6;
        println!("{path}: {:.0} MB/s of {megabytes:.1} MB unpacked; {counts:?}", megabytes / seconds);
    }
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
