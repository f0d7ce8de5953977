//! Where a source's bytes come from.

use std::io::Read;
use std::sync::Arc;

use crate::sources::Piece;
use crate::sources::parquet_file::Footers;

/// Files by path. The engine implements it over an object store, tests over memory. Calls block.
pub trait Input: Send + Sync {
    /// The file of this name, or all files below the folder of this name, sorted by path. Paths begin with `prefix`.
    fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError>;

    /// Of the files below a folder those that `takes` takes, sorted by path. Folders that `enters` doesn't take hold none, and
    /// need not be looked into. Both are asked with paths that begin with `folder`.
    fn find(
        &self,
        folder: &str,
        _enters: &dyn Fn(&str) -> bool,
        takes: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<InputObject>, InputError> {
        let mut found = self.list(folder)?;
        found.retain(|file| takes(&file.path));
        Ok(found)
    }

    /// A file from its beginning.
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, InputError>;

    /// A range of a file, whole.
    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError>;

    /// Reads files of this list in its order, each to the `length` that it was planned with: one may have grown since. A
    /// storage that answers late asks for the next ones meanwhile.
    fn reader<'a>(&'a self, _files: Files<'a>) -> FileReader<'a> {
        Box::new(|file| read_file(self, file))
    }

    /// So many ranges like one of this file are best asked for at once: more than one where each costs a round trip.
    fn at_once(&self, _path: &str) -> usize {
        1
    }

    /// What differs between versions of a file, where the storage keeps such a tag: the file need not be read to compare.
    fn tag(&self, _path: &str) -> Result<Option<String>, InputError> {
        Ok(None)
    }

    /// The same storage, for readers that own what they read from.
    fn shared(&self) -> Arc<dyn Input>;

    /// The footers of Parquet files that were read before.
    fn footers(&self) -> &Footers;
}

/// Files in their order, which nobody looks at where nothing is asked for ahead.
pub type Files<'a> = Box<dyn Iterator<Item = &'a Piece> + 'a>;

/// Gives the bytes of a file.
pub type FileReader<'a> = Box<dyn FnMut(&Piece) -> Result<Vec<u8>, InputError> + 'a>;

/// A file from its beginning to the length that it was planned with, or to its end.
pub fn read_file(input: &(impl Input + ?Sized), file: &Piece) -> Result<Vec<u8>, InputError> {
    let mut body = Vec::with_capacity(file.length as usize);
    let read = input.open(&file.path)?.take(file.length).read_to_end(&mut body);
    read.map_err(|error| InputError { path: file.path.clone(), cause: error.to_string() })?;
    Ok(body)
}

/// Tells a storage that failed from bytes that are broken: to a parser both are an error.
pub(super) struct Watched<R> {
    inner: R,
    failure: Option<String>,
}

impl<R: Read> Watched<R> {
    /// Watches a reader.
    pub fn new(inner: R) -> Self {
        Self { inner, failure: None }
    }

    /// What is watched.
    pub fn inner(&mut self) -> &mut R {
        &mut self.inner
    }

    /// An error if the storage has failed.
    pub fn check(self, path: &str) -> Result<(), InputError> {
        self.failure.map_or(Ok(()), |cause| Err(InputError { path: path.to_owned(), cause }))
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer);
        if let Err(error) = &read
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            self.failure = Some(error.to_string());
        }
        read
    }
}

/// One file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputObject {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A file can't be listed or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct InputError {
    /// The file or folder.
    pub path: String,
    /// Why.
    pub cause: String,
}
