//! Reads a file from any place on, in ranges.

use std::io::Read;

use crate::sources::{Input, InputError};

/// Bytes that are asked for at once.
const RANGE: u64 = 4 << 20;

/// A file's bytes from one place to another.
pub struct RangeReader<'a> {
    input: &'a dyn Input,
    path: &'a str,
    next: u64,
    end: u64,
    ahead: std::io::Cursor<Vec<u8>>,
}

impl<'a> RangeReader<'a> {
    /// A reader of the bytes from `start` to `end`, which must be in the file.
    pub fn new(input: &'a dyn Input, path: &'a str, start: u64, end: u64) -> Self {
        Self { input, path, next: start, end, ahead: std::io::Cursor::default() }
    }
}

impl Read for RangeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.ahead.position() == self.ahead.get_ref().len() as u64 && self.next < self.end {
            let length = RANGE.min(self.end - self.next);
            let range = self.input.read_range(self.path, self.next, length).map_err(std::io::Error::other)?;
            self.next += length;
            self.ahead = std::io::Cursor::new(range);
        }
        self.ahead.read(buffer)
    }
}

/// The size of a file.
pub fn size(input: &dyn Input, path: &str) -> Result<u64, InputError> {
    let missing = || InputError { path: path.to_owned(), cause: "it is not there any more".to_owned() };
    input.list(path)?.into_iter().find(|file| file.path == path).map(|file| file.size).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::MemoryInput;

    #[test]
    fn a_range_larger_than_what_is_asked_for_at_once_comes_whole() {
        let bytes: Vec<u8> = (0..RANGE as u32 + 10).map(|number| (number % 251) as u8).collect();
        let input = MemoryInput::new(&[("a", &bytes)]);
        let mut read = Vec::new();
        RangeReader::new(&input, "a", 3, bytes.len() as u64 - 2).read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes[3..bytes.len() - 2]);
        assert_eq!(size(&input, "a"), Ok(bytes.len() as u64));
    }
}
