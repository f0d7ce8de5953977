//! Gives the Parquet library the bytes that it asks for.

use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::sources::{Input, InputError};

/// A page, or a footer, with more bytes than this is not read.
const MOST_BYTES: u64 = 512 << 20;

/// Bytes that are read at once where the library does not say how many it needs: the head of a page.
const HEAD: u64 = 16 << 10;

/// One file's bytes, by range.
#[derive(Clone)]
pub struct Chunks {
    input: Arc<dyn Input>,
    path: Arc<str>,
    size: u64,
    failure: Arc<Mutex<Option<InputError>>>,
}

impl Chunks {
    /// The bytes of a file of this size.
    pub fn new(input: Arc<dyn Input>, path: &str, size: u64) -> Self {
        Self { input, path: path.into(), size, failure: Arc::default() }
    }

    /// Whether the storage has failed: to the library, that and broken bytes are the same.
    pub fn check(&self) -> std::result::Result<(), InputError> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn range(&self, start: u64, length: u64) -> Result<Vec<u8>> {
        if length > MOST_BYTES {
            return Err(ParquetError::General(format!("a page of {length} bytes is more than {MOST_BYTES}")));
        }
        if start.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} are not in a file of {} bytes",
                self.size
            )));
        }
        self.input.read_range(&self.path, start, length).map_err(|error| {
            let message = error.to_string();
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            ParquetError::General(message)
        })
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Chunks {
    type T = FromChunk;

    fn get_read(&self, start: u64) -> Result<FromChunk> {
        Ok(FromChunk { chunks: self.clone(), next: start, ahead: Cursor::default() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        Ok(self.range(start, length as u64)?.into())
    }
}

/// A file's bytes from one place on.
pub struct FromChunk {
    chunks: Chunks,
    next: u64,
    ahead: Cursor<Vec<u8>>,
}

impl Read for FromChunk {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.chunks.size.saturating_sub(self.next);
        if self.ahead.position() == self.ahead.get_ref().len() as u64 && left > 0 {
            let range = self.chunks.range(self.next, left.min(HEAD)).map_err(std::io::Error::other)?;
            self.next += range.len() as u64;
            self.ahead = Cursor::new(range);
        }
        self.ahead.read(buffer)
    }
}
