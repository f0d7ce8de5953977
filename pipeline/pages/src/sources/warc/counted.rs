//! A buffered reader that knows how far it is, and can look ahead.

use std::io::{BufRead, Read, Result};

/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;

/// A buffered reader that counts what was taken from it.
#[derive(Debug)]
pub struct Counted<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes taken so far.
    pub position: u64,
}

impl<R: Read> Counted<R> {
    /// A reader at its beginning.
    pub fn new(inner: R) -> Self {
        Self { inner, buffer: vec![0; BUFFER], start: 0, end: 0, position: 0 }
    }

    /// At least `count` of the next bytes, without taking them; fewer only at the end.
    pub fn peek(&mut self, count: usize) -> Result<&[u8]> {
        while self.end - self.start < count {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(more) => self.end += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize> {
        let there = self.fill_buf()?;
        let count = there.len().min(target.len());
        target[..count].copy_from_slice(&there[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, amount: usize) {
        self.start += amount;
        self.position += amount as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, as a slow network may.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, target: &mut [u8]) -> Result<usize> {
            self.0.read(&mut target[..1])
        }
    }

    #[test]
    fn looking_ahead_takes_nothing() {
        let mut counted = Counted::new(Drops(b"abcdef"));
        assert_eq!(counted.peek(3).unwrap(), b"abc");
        counted.consume(2);
        assert_eq!(counted.peek(9).unwrap(), b"cdef");
        assert_eq!(counted.position, 2);
    }
}
