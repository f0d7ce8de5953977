//! Tells of what is read from a storage, while it is read.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use crate::sources::{FileReader, Files, Footers, Input, InputError, InputObject};

/// What was read at once.
#[derive(Debug)]
pub struct Heard<'a> {
    /// The file.
    pub path: &'a str,
    /// Which bytes of it, where it was not read from its beginning.
    pub range: Option<Range<u64>>,
    /// How many bytes came.
    pub bytes: u64,
}

/// Hears of each read.
pub type Told = Arc<dyn Fn(&Heard<'_>) + Send + Sync>;

/// A storage that tells of what is read from it.
#[derive(Clone)]
pub struct Overheard {
    input: Arc<dyn Input>,
    told: Told,
}

impl Overheard {
    /// The same storage; `told` hears of each read.
    pub fn new(input: Arc<dyn Input>, told: Told) -> Self {
        Self { input, told }
    }
}

impl Input for Overheard {
    fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError> {
        self.input.list(prefix)
    }

    fn find(
        &self,
        folder: &str,
        enters: &dyn Fn(&str) -> bool,
        takes: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<InputObject>, InputError> {
        self.input.find(folder, enters, takes)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, InputError> {
        let inner = self.input.open(path)?;
        Ok(Box::new(OverheardFile { inner, path: path.to_owned(), told: self.told.clone() }))
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let bytes = self.input.read_range(path, offset, length)?;
        let range = Some(offset..offset.saturating_add(length));
        (self.told)(&Heard { path, range, bytes: bytes.len() as u64 });
        Ok(bytes)
    }

    fn reader<'a>(&'a self, files: Files<'a>) -> FileReader<'a> {
        let mut read = self.input.reader(files);
        Box::new(move |file| {
            let bytes = read(file)?;
            (self.told)(&Heard { path: &file.path, range: None, bytes: bytes.len() as u64 });
            Ok(bytes)
        })
    }

    fn at_once(&self, path: &str) -> usize {
        self.input.at_once(path)
    }

    fn tag(&self, path: &str) -> Result<Option<String>, InputError> {
        self.input.tag(path)
    }

    fn shared(&self) -> Arc<dyn Input> {
        Arc::new(self.clone())
    }

    fn footers(&self) -> &Footers {
        self.input.footers()
    }
}

struct OverheardFile {
    inner: Box<dyn Read + Send>,
    path: String,
    told: Told,
}

impl Read for OverheardFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.told)(&Heard { path: &self.path, range: None, bytes: count as u64 });
        Ok(count)
    }
}
