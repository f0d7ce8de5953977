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

    /// Passes over bytes without reading those that are not read already.
    pub fn skip(&mut self, bytes: u64) {
        let ahead = self.ahead.get_ref().len() as u64 - self.ahead.position();
        self.ahead.set_position(self.ahead.position() + bytes.min(ahead));
        self.next = self.next.saturating_add(bytes.saturating_sub(ahead)).min(self.end);
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

    #[test]
    fn what_is_passed_over_is_not_read() {
        let bytes: Vec<u8> = (0..2 * RANGE as u32).map(|number| (number % 251) as u8).collect();
        let input = MemoryInput::new(&[("a", &bytes)]);
        let mut reader = RangeReader::new(&input, "a", 0, bytes.len() as u64);
        let mut byte = [0];
        for (passed, place) in [(0, 0), (9, 10), (RANGE, RANGE + 11)] {
            reader.skip(passed);
            reader.read_exact(&mut byte).unwrap();
            assert_eq!(byte[0], bytes[place as usize], "{place}");
        }
        reader.skip(u64::MAX);
        assert_eq!(reader.read(&mut byte).unwrap(), 0);
    }
}
