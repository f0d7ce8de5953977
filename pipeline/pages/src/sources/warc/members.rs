//! Walks through an archive: gzip member by gzip member, or straight through a plain one.

use std::io::{BufRead, Read};

use flate2::bufread::GzDecoder;

use crate::sources::warc::counted::Counted;
use crate::sources::warc::outcome::{Outcome, outcome};
use crate::sources::warc::stream::{Found, RecordStream};
use crate::sources::warc::{GoOn, Settings};
use crate::sources::{Container, ImageLocation, Location, RawDocument, Records, RejectedRecord};

const CONTINUE: GoOn = GoOn::Continue(());
const VERSION: &[u8] = b"WARC/";
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// One archive file.
pub struct Archive<'a> {
    /// Its path, for locations.
    pub path: &'a str,
    /// Its path in the source, for locators.
    pub locator: &'a str,
    /// The source's settings.
    pub settings: &'a Settings,
}

impl Archive<'_> {
    /// Reads the whole archive.
    pub fn read(&self, file: impl Read, records: &mut dyn Records) -> GoOn {
        let mut file = Counted::new(file);
        let named_gzip = self.path.ends_with(".gz");
        match file.peek(VERSION.len()) {
            Ok(start) if start.starts_with(&GZIP) => self.members(&mut file, records),
            // Garbage may stand before the first member.
            Ok(start) if named_gzip && !start.starts_with(VERSION) => self.members(&mut file, records),
            Ok(_) => self.plain(file, records),
            Err(error) => self.reject(records, 0, None, "warc_truncated", error.to_string()),
        }
    }

    fn plain(&self, file: impl Read, records: &mut dyn Records) -> GoOn {
        let mut stream = RecordStream::new(file);
        loop {
            let start = stream.position();
            let (head, outcome) = match self.next(&mut stream) {
                Ok(Some(next)) => next,
                Ok(None) => return CONTINUE,
                Err(error) => return self.reject(records, start, None, "warc_truncated", error.to_string()),
            };
            let (offset, length) = (head, stream.position() - head);
            self.give(records, offset, 0, outcome, Some((offset, length)))?;
        }
    }

    /// The next record's position and outcome.
    fn next<R: Read>(&self, stream: &mut RecordStream<R>) -> std::io::Result<Option<(u64, Outcome)>> {
        let start = stream.position();
        Ok(match stream.next()? {
            None => None,
            Some(Found::Garbage(bytes)) => {
                let detail = format!("{bytes} bytes that are no record");
                Some((start, Outcome::Reject { url: None, reason: "warc_garbage", detail }))
            }
            Some(Found::CutHead(bytes)) => {
                let detail = format!("the file ends after {bytes} bytes of a record's head");
                Some((start, Outcome::Reject { url: None, reason: "warc_truncated", detail }))
            }
            Some(Found::Record(head)) => Some((head.position, outcome(&head, stream, self.settings.max_page_bytes)?)),
        })
    }

    fn members<R: Read>(&self, file: &mut Counted<R>, records: &mut dyn Records) -> GoOn {
        loop {
            let start = file.position;
            let skipped = match skip_to_member(file) {
                Ok(skipped) => skipped,
                Err(error) => return self.reject(records, start, None, "warc_truncated", error.to_string()),
            };
            if skipped > 0 {
                let detail = format!("{skipped} bytes that are no gzip member");
                self.reject(records, start, None, "warc_garbage", detail)?;
            }
            if file.peek(1).map_or(true, <[u8]>::is_empty) {
                return CONTINUE;
            }
            self.member(file, records)?;
        }
    }

    /// Reads one member. Its first record waits for the member's end: only then is it known whether the member holds
    /// that record alone, how long it is, and whether its checksum is right.
    fn member<R: Read>(&self, file: &mut Counted<R>, records: &mut dyn Records) -> GoOn {
        let start = file.position;
        let mut stream = RecordStream::new(GzDecoder::new(&mut *file));
        let mut first = None;
        let mut count = 0;
        let end = loop {
            match self.next(&mut stream) {
                Ok(Some((_, outcome))) if count == 0 => first = Some(outcome),
                Ok(Some((_, outcome))) => {
                    if let Some(first) = first.take() {
                        self.give(records, start, 0, first, None)?;
                    }
                    self.give(records, start, count, outcome, None)?;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            count += 1;
        };
        drop(stream);
        match (first, end) {
            (Some(first), Ok(())) => self.give(records, start, 0, first, Some((start, file.position - start))),
            (None, Ok(())) => CONTINUE,
            (first, Err(error)) => {
                let reason = match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => "warc_truncated",
                    _ => "warc_broken_member",
                };
                let url = first.and_then(Outcome::into_url);
                self.reject(records, start, url, reason, error.to_string())
            }
        }
    }

    /// Hands a record on; an image needs a range of the file that holds it alone.
    fn give(
        &self,
        records: &mut dyn Records,
        offset: u64,
        number: u64,
        outcome: Outcome,
        range: Option<(u64, u64)>,
    ) -> GoOn {
        let locator = match number {
            0 => format!("{}#{offset}", self.locator),
            number => format!("{}#{offset}+{number}", self.locator),
        };
        match (outcome, range) {
            (Outcome::Page { url, content_type, robots, body }, _) => {
                records.document(RawDocument { locator, url, content_type, robots, body })
            }
            (Outcome::Image { url }, Some((offset, length))) => {
                let path = self.path.to_owned();
                let location = Location { container: Container::WarcRecord, path, offset, length };
                records.image(ImageLocation { url, location })
            }
            (Outcome::Image { url }, None) => {
                let detail = "images can only be read again from archives with one gzip member per record".to_owned();
                let (url, reason) = (Some(url), "warc_not_per_record_gzip");
                records.reject(RejectedRecord { locator, url, reason, detail })
            }
            (Outcome::Reject { url, reason, detail }, _) => {
                records.reject(RejectedRecord { locator, url, reason, detail })
            }
            (Outcome::Skip(kind), _) => {
                records.skip(kind);
                CONTINUE
            }
        }
    }

    fn reject(
        &self,
        records: &mut dyn Records,
        offset: u64,
        url: Option<String>,
        reason: &'static str,
        detail: String,
    ) -> GoOn {
        records.reject(RejectedRecord { locator: format!("{}#{offset}", self.locator), url, reason, detail })
    }
}

/// Passes over bytes up to the next member, or to the end; how many there were.
fn skip_to_member<R: Read>(file: &mut Counted<R>) -> std::io::Result<u64> {
    let mut passed = 0;
    loop {
        let ahead = file.peek(GZIP.len())?;
        let step = match ahead.windows(GZIP.len()).position(|window| window == GZIP) {
            Some(0) => return Ok(passed),
            Some(distance) => distance,
            // The magic number may begin in the last bytes.
            None if ahead.len() >= GZIP.len() => ahead.len() - (GZIP.len() - 1),
            None => ahead.len(),
        };
        if step == 0 {
            return Ok(passed);
        }
        file.consume(step);
        passed += step as u64;
    }
}
