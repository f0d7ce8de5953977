//! Files in memory and everything a source gave: what the sources' tests read from and look at.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::ops::ControlFlow;

use crate::sources::{ImageLocation, Input, InputError, InputObject, RawDocument, Records, RejectedRecord, Source};

/// Files in memory.
pub struct MemoryInput(BTreeMap<String, Vec<u8>>);

impl MemoryInput {
    /// Files by path.
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        Self(files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect())
    }

    fn file(&self, path: &str) -> Result<&Vec<u8>, InputError> {
        self.0.get(path).ok_or_else(|| InputError { path: path.to_owned(), cause: "it is not there".to_owned() })
    }
}

impl Input for MemoryInput {
    fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError> {
        let files = self.0.iter().filter(|(path, _)| path.starts_with(prefix));
        Ok(files.map(|(path, bytes)| InputObject { path: path.clone(), size: bytes.len() as u64 }).collect())
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, InputError> {
        Ok(Box::new(Cursor::new(self.file(path)?.clone())))
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let range = offset as usize..(offset + length) as usize;
        let found = self.file(path)?.get(range.clone());
        found.map(<[u8]>::to_vec).ok_or_else(|| InputError { path: path.to_owned(), cause: format!("no {range:?}") })
    }
}

/// Everything that a source gave.
#[derive(Debug, Default, PartialEq)]
pub struct Collected {
    pub documents: Vec<RawDocument>,
    pub images: Vec<ImageLocation>,
    pub rejects: Vec<RejectedRecord>,
    pub skipped: BTreeMap<&'static str, u64>,
}

impl Collected {
    /// Reads all splits of a source.
    pub fn read(source: &dyn Source, input: &dyn Input, unit_bytes: u64) -> Self {
        let mut collected = Self::default();
        for split in source.splits(input, unit_bytes).unwrap() {
            source.read(&split, input, &mut collected).unwrap();
        }
        collected
    }

    /// The reasons of all rejects, in their order.
    pub fn reasons(&self) -> Vec<&'static str> {
        self.rejects.iter().map(|reject| reject.reason).collect()
    }
}

impl Records for Collected {
    fn document(&mut self, document: RawDocument) -> ControlFlow<()> {
        self.documents.push(document);
        ControlFlow::Continue(())
    }

    fn image(&mut self, image: ImageLocation) -> ControlFlow<()> {
        self.images.push(image);
        ControlFlow::Continue(())
    }

    fn reject(&mut self, reject: RejectedRecord) -> ControlFlow<()> {
        self.rejects.push(reject);
        ControlFlow::Continue(())
    }

    fn skip(&mut self, kind: &'static str) {
        *self.skipped.entry(kind).or_default() += 1;
    }
}

/// A tar of files.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = ::tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// One WARC record.
pub fn record(kind: &str, url: &str, block: &[u8]) -> Vec<u8> {
    let head =
        format!("WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nContent-Length: {}\r\n\r\n", block.len());
    [head.as_bytes(), block, b"\r\n\r\n"].concat()
}

/// A response record.
pub fn response(url: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n");
    record("response", url, &[head.as_bytes(), body].concat())
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_at(bytes, 1)
}

/// One gzip member of a level of compression; at level 0 the bytes stand in it as they are.
pub fn gzip_at(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One zstd frame, with a checksum.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
