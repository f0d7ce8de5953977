//! Files in memory and everything a source gave: what the sources' tests read from and look at.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{
    ArrayRef, BinaryBuilder, Int64Array, ListArray, RecordBatch, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};

use crate::sources::parquet_file::Footers;
use crate::sources::{ImageLocation, Input, InputError, InputObject, RawDocument, Records, RejectedRecord, Source};

/// Files in memory.
#[derive(Clone)]
pub struct MemoryInput {
    files: Arc<BTreeMap<String, Vec<u8>>>,
    footers: Arc<Footers>,
}

impl MemoryInput {
    /// Files by path.
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
        Self { files: Arc::new(files), footers: Arc::default() }
    }

    fn file(&self, path: &str) -> Result<&Vec<u8>, InputError> {
        self.files.get(path).ok_or_else(|| InputError { path: path.to_owned(), cause: "it is not there".to_owned() })
    }
}

impl Input for MemoryInput {
    fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError> {
        let folder = prefix.trim_end_matches('/');
        let is_below = |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let files = self.files.iter().filter(|(path, _)| *path == prefix || prefix == "." || is_below(path));
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

    fn shared(&self) -> Arc<dyn Input> {
        Arc::new(self.clone())
    }

    fn footers(&self) -> &Footers {
        &self.footers
    }
}

/// Counts the bytes that are read.
#[derive(Clone)]
pub struct CountingInput {
    files: MemoryInput,
    bytes: Arc<AtomicU64>,
}

impl CountingInput {
    /// Counts from zero.
    pub fn new(files: MemoryInput) -> Self {
        Self { files, bytes: Arc::default() }
    }

    /// Bytes of all ranges that were read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Input for CountingInput {
    fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError> {
        self.files.list(prefix)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, InputError> {
        self.files.open(path)
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.files.read_range(path, offset, length)
    }

    fn shared(&self) -> Arc<dyn Input> {
        Arc::new(self.clone())
    }

    fn footers(&self) -> &Footers {
        self.files.footers()
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

/// A page of a table: its URL, its HTML, and its images' URLs and bytes.
pub type PageRow<'a> = (&'a str, &'a str, &'a [(Option<&'a str>, &'a [u8])]);

/// A Parquet file of pages: `url`, `html`, `images: list<struct<url, bytes>>` and a number, one row group for each row.
pub fn parquet_of(rows: &[PageRow<'_>]) -> Vec<u8> {
    let mut urls = StringBuilder::new();
    let mut bytes = BinaryBuilder::new();
    let lengths = rows.iter().map(|(_, _, images)| images.len());
    let offsets = OffsetBuffer::from_lengths(lengths);
    for (url, image) in rows.iter().flat_map(|(_, _, images)| images.iter()) {
        urls.append_option(*url);
        bytes.append_value(image);
    }
    let fields =
        Fields::from(vec![Field::new("url", DataType::Utf8, true), Field::new("bytes", DataType::Binary, true)]);
    let items = StructArray::new(fields.clone(), vec![Arc::new(urls.finish()), Arc::new(bytes.finish())], None);
    let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
    let images = ListArray::new(item, offsets, Arc::new(items), None);
    let columns: [(&str, ArrayRef); 4] = [
        ("number", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64))),
        ("url", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
        ("html", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ("images", Arc::new(images)),
    ];
    parquet_of_batch(&RecordBatch::try_from_iter(columns).unwrap(), 1)
}

/// A Parquet file of a batch, with so many rows in each row group.
pub fn parquet_of_batch(batch: &RecordBatch, rows_per_group: usize) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_per_group)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
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
