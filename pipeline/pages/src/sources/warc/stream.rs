//! Records one after another in a plain byte stream.

use std::io::{BufRead, Read, Result};

use crate::sources::warc::counted::Counted;

/// Bytes of a head; a longer one is garbage.
const MAX_HEAD: u64 = 64 << 10;

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A record's head; its block follows.
    Record(Head),
    /// So many bytes that are no record. The next record follows, or the end.
    Garbage(u64),
    /// A head that the end of the stream cut, so many bytes of it.
    CutHead(u64),
}

/// A record's head.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// Where its first byte stands in the stream.
    pub position: u64,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The first field of a name given in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Length of the block.
    pub fn content_length(&self) -> Option<u64> {
        self.field("content-length")?.parse().ok()
    }
}

/// Reads records from a stream.
pub struct RecordStream<R> {
    reader: Counted<R>,
    // The first line of a record that ended a stretch of garbage.
    version_line: Option<u64>,
}

impl<R: Read> RecordStream<R> {
    /// Starts at the reader's place.
    pub fn new(reader: R) -> Self {
        Self { reader: Counted::new(reader), version_line: None }
    }

    /// Bytes taken from the stream.
    pub fn position(&self) -> u64 {
        self.reader.position
    }

    /// The next record's head, or what stands before it; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Found>> {
        if let Some(position) = self.version_line.take() {
            return self.head(position);
        }
        let mut garbage_from = None;
        loop {
            let position = self.reader.position;
            let line = self.line()?;
            if line.is_empty() {
                return Ok(garbage_from.map(|from| Found::Garbage(position - from)));
            }
            if line.starts_with(b"WARC/") {
                let Some(from) = garbage_from else { return self.head(position) };
                self.version_line = Some(position);
                return Ok(Some(Found::Garbage(position - from)));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                garbage_from.get_or_insert(position);
            }
        }
    }

    /// The fields after a version line, up to the empty line.
    fn head(&mut self, position: u64) -> Result<Option<Found>> {
        let mut fields: Vec<(String, String)> = Vec::new();
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            if line.is_empty() {
                return Ok(Some(Found::CutHead(self.reader.position - position)));
            }
            if text.trim().is_empty() {
                return Ok(Some(Found::Record(Head { position, fields })));
            }
            if self.reader.position - position > MAX_HEAD {
                return Ok(Some(Found::Garbage(self.reader.position - position)));
            }
            match (text.starts_with([' ', '\t']), fields.last_mut(), text.split_once(':')) {
                (true, Some((_, value)), _) => {
                    value.push(' ');
                    value.push_str(text.trim());
                }
                (_, _, Some((name, value))) => fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned())),
                _ => {}
            }
        }
    }

    /// One line with its line feed, at most [`MAX_HEAD`] bytes; empty at the end.
    fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.reader).take(MAX_HEAD).read_until(b'\n', &mut line)?;
        Ok(line)
    }

    /// The next bytes of a block; fewer if the stream ends before.
    pub fn block(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut block = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut block)?;
        Ok(block)
    }

    /// Passes over bytes of a block; how many there were.
    pub fn skip(&mut self, length: u64) -> Result<u64> {
        std::io::copy(&mut (&mut self.reader).take(length), &mut std::io::sink())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_lines_and_bare_line_feeds_are_read() {
        let mut stream =
            RecordStream::new(&b"WARC/1.0\nWARC-Type: response\nX: a\n b\nContent-Length: 2\n\nok\n\n"[..]);
        let Some(Found::Record(head)) = stream.next().unwrap() else { panic!("no record") };
        assert_eq!((head.field("warc-type"), head.field("x")), (Some("response"), Some("a b")));
        assert_eq!(stream.block(2).unwrap(), b"ok");
        assert_eq!(stream.next().unwrap(), None);
    }

    #[test]
    fn a_head_without_its_end_is_cut() {
        let mut stream = RecordStream::new(&b"WARC/1.0\r\nWARC-Type: response\r\n"[..]);
        assert_eq!((stream.next().unwrap(), stream.next().unwrap()), (Some(Found::CutHead(31)), None));
    }

    #[test]
    fn garbage_ends_at_the_next_version_line() {
        let mut stream = RecordStream::new(&b"rubbish\nmore\nWARC/1.1\nContent-Length: 0\n\n"[..]);
        assert_eq!(stream.next().unwrap(), Some(Found::Garbage(13)));
        let Some(Found::Record(head)) = stream.next().unwrap() else { panic!("no record") };
        assert_eq!((head.position, head.content_length()), (13, Some(0)));
    }
}
