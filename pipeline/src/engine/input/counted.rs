//! Tells how many bytes are read from a storage, while they are read.

use std::io::Read;
use std::sync::Arc;

use crate::sources::{FileReader, Files, Footers, Input, InputError, InputObject};

/// Hears of bytes that were read.
pub type Told = Arc<dyn Fn(u64) + Send + Sync>;

/// A storage that tells of what is read from it.
#[derive(Clone)]
pub struct Counted {
    input: Arc<dyn Input>,
    told: Told,
}

impl Counted {
    /// The same storage; `told` hears of each read.
    pub fn new(input: Arc<dyn Input>, told: Told) -> Self {
        Self { input, told }
    }
}

impl Input for Counted {
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
        Ok(Box::new(CountedRead { inner: self.input.open(path)?, told: self.told.clone() }))
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let bytes = self.input.read_range(path, offset, length)?;
        (self.told)(bytes.len() as u64);
        Ok(bytes)
    }

    fn reader<'a>(&'a self, files: Files<'a>) -> FileReader<'a> {
        let mut read = self.input.reader(files);
        Box::new(move |file| {
            let bytes = read(file)?;
            (self.told)(bytes.len() as u64);
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

struct CountedRead {
    inner: Box<dyn Read + Send>,
    told: Told,
}

impl Read for CountedRead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.told)(count as u64);
        Ok(count)
    }
}
