//! A file seen through a buffer that moves along it.

use crate::sources::{Input, InputError};

/// Bytes that are asked for at once, once it is clear that reading goes on.
const LARGEST_READ: usize = 4 << 20;
/// Bytes that are asked for at a new place.
const FIRST_READ: usize = 64 << 10;
/// Bytes behind the place looked at that stay in the buffer.
const KEPT_BEHIND: usize = 1 << 20;

/// A file, at any place. Where its storage fails it looks like a file that ends, and `failure` says so.
pub struct Window<'a> {
    input: &'a dyn Input,
    path: &'a str,
    /// The file's length.
    pub size: u64,
    /// Why the storage failed.
    pub failure: Option<InputError>,
    start: u64,
    buffer: Vec<u8>,
    next_read: usize,
}

impl<'a> Window<'a> {
    /// A window on a file of this size.
    pub fn new(input: &'a dyn Input, path: &'a str, size: u64) -> Self {
        Self { input, path, size, failure: None, start: 0, buffer: Vec::new(), next_read: FIRST_READ }
    }

    /// At least `count` bytes from `at` on, and whatever else is at hand; fewer only at the file's end.
    pub fn peek(&mut self, at: u64, count: usize) -> &[u8] {
        let end = self.start + self.buffer.len() as u64;
        if at < self.start || at > end {
            (self.start, self.next_read) = (at, FIRST_READ);
            self.buffer.clear();
        }
        let wanted = at.saturating_add(count as u64).min(self.size);
        while self.failure.is_none() && self.start + (self.buffer.len() as u64) < wanted {
            self.read_on(at, wanted);
        }
        self.buffer.get((at - self.start) as usize..).unwrap_or_default()
    }

    fn read_on(&mut self, at: u64, wanted: u64) {
        let behind = (at - self.start) as usize;
        if behind > KEPT_BEHIND {
            self.buffer.drain(..behind);
            self.start = at;
        }
        let place = self.start + self.buffer.len() as u64;
        let length = (wanted - place).max(self.next_read as u64).min(self.size - place);
        self.next_read = (self.next_read * 4).min(LARGEST_READ);
        match self.input.read_range(self.path, place, length) {
            Ok(bytes) if bytes.len() as u64 == length => self.buffer.extend_from_slice(&bytes),
            Ok(_) => self.fail("it is shorter than its listing says"),
            Err(error) => self.failure = Some(error),
        }
    }

    fn fail(&mut self, cause: &str) {
        self.failure = Some(InputError { path: self.path.to_owned(), cause: cause.to_owned() });
    }
}

/// A file read from one place on.
pub struct WindowReader<'w, 'a> {
    /// The file.
    pub window: &'w mut Window<'a>,
    /// The place of the next byte.
    pub at: u64,
}

impl std::io::Read for WindowReader<'_, '_> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        let there = self.window.peek(self.at, 1);
        let count = there.len().min(target.len());
        target[..count].copy_from_slice(&there[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl std::io::BufRead for WindowReader<'_, '_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        Ok(self.window.peek(self.at, 1))
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::MemoryInput;

    #[test]
    fn every_place_shows_what_stands_there() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let input = MemoryInput::new(&[("a", &bytes)]);
        let mut window = Window::new(&input, "a", bytes.len() as u64);
        for (at, count) in [(0, 10), (100_000, 1_500_000), (5, 5), (2_999_990, 100), (1_600_000, 1_400_000), (7, 1)] {
            let seen = window.peek(at as u64, count);
            assert!(seen.len() >= count.min(bytes.len() - at) && bytes[at..].starts_with(seen), "{at} {count}");
        }
        assert_eq!(window.peek(3_000_000, 1), b"");
        assert_eq!(window.peek(4_000_000, 1), b"");
    }

    #[test]
    fn a_file_that_has_become_shorter_is_a_failure() {
        let input = MemoryInput::new(&[("a", b"abc")]);
        let mut window = Window::new(&input, "a", 9);
        assert_eq!(window.peek(0, 1), b"");
        assert!(window.failure.is_some());
    }
}
