//! Records one after another in bytes that come by and by.

use crate::sources::warc::Settings;
use crate::sources::warc::head::{Head, MAX_HEAD, Parsed, parse};
use crate::sources::warc::outcome::{Outcome, outcome, url};
use crate::sources::warc::starts::padding;

/// The bytes of records: a plain file, or what a member unpacks to.
pub trait RecordBytes {
    /// At least `count` of the next bytes, without taking them; fewer only at the end.
    fn peek(&mut self, count: usize) -> &[u8];

    /// Takes bytes; how many there were.
    fn take(&mut self, count: u64) -> u64;

    /// Reads on behind the end, if a record may go on there.
    fn go_on(&mut self) -> bool;

    /// What stands `distance` bytes from here, behind a record that should end there.
    fn behind(&mut self, distance: u64) -> Behind;

    /// The first place at which a record begins, of those `from` to `to` bytes from here.
    fn next_start(&mut self, from: u64, to: u64) -> Option<u64>;
}

/// What stands behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// The end of all bytes, perhaps after empty lines.
    End,
    /// The next record, perhaps after empty lines.
    Start,
    /// Two line ends, as behind every record, and then something else.
    LineEnds,
    /// Something else.
    Other,
    /// The bytes end before; there are so many.
    Cut(u64),
    /// It is too far to look.
    TooFar,
}

/// Whether a record has its bytes of the file for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It has.
    Alone,
    /// It is the first, and others may follow.
    First,
    /// It has not.
    Shared,
}

/// Reads the next record, or what stands in its place; `None` at the end.
pub fn next_record(bytes: &mut dyn RecordBytes, sharing: Sharing, settings: &Settings) -> Option<Outcome> {
    skip_padding(bytes);
    let head = loop {
        let there = bytes.peek(MAX_HEAD);
        if there.is_empty() {
            return None;
        }
        let cut = match parse(there) {
            Parsed::Head(head) => break head.into_owned(),
            parsed => parsed == Parsed::Cut,
        };
        if !(cut && bytes.go_on()) {
            return Some(garbage(bytes, cut));
        }
    };
    Some(record(bytes, &head, sharing, settings))
}

fn skip_padding(bytes: &mut dyn RecordBytes) {
    loop {
        let there = bytes.peek(MAX_HEAD);
        let count = padding(there);
        if count == 0 {
            return;
        }
        bytes.take(count as u64);
    }
}

/// Takes what is no record, or a record's head that is cut, up to the next one.
fn garbage(bytes: &mut dyn RecordBytes, cut: bool) -> Outcome {
    let (taken, _) = take_to_start(bytes, 1);
    let (reason, detail) = match cut {
        true => ("warc_truncated", format!("a record's head is cut; {taken} bytes are lost")),
        false => ("warc_garbage", format!("{taken} bytes that are no record")),
    };
    Outcome::Reject { url: None, reason, detail }
}

/// Bytes that are searched, and held, at once.
const STRIDE: u64 = 256 << 10;

/// Takes bytes up to the next record that begins at least `from` bytes from here, or to the end; how many there were, and
/// whether a record follows.
fn take_to_start(bytes: &mut dyn RecordBytes, mut from: u64) -> (u64, bool) {
    let mut taken = 0;
    loop {
        if let Some(distance) = bytes.next_start(from, from + STRIDE) {
            return (taken + bytes.take(distance), true);
        }
        let count = bytes.take(from + STRIDE);
        taken += count;
        if count < from + STRIDE {
            return (taken, false);
        }
        from = 0;
    }
}

fn record(bytes: &mut dyn RecordBytes, head: &Head<'_>, sharing: Sharing, settings: &Settings) -> Outcome {
    let start = head.length as u64;
    let length = match head.block_length() {
        Ok(length) => length,
        Err(detail) => {
            let (taken, _) = take_to_start(bytes, start);
            return bad_length(head, taken, detail);
        }
    };
    let end = start.saturating_add(length);
    let behind = loop {
        match bytes.behind(end) {
            Behind::Cut(_) if bytes.go_on() => {}
            behind => break behind,
        }
    };
    let good = match behind {
        Behind::End | Behind::Start => true,
        // The length is right if garbage follows, and wrong if it leads over the beginning of a record.
        Behind::LineEnds | Behind::TooFar => bytes.next_start(start, end).is_none(),
        Behind::Other | Behind::Cut(_) => false,
    };
    if !good {
        let (taken, found) = take_to_start(bytes, start);
        return match behind {
            Behind::Cut(_) if !found => truncated(head, taken.saturating_sub(start), length),
            _ => bad_length(head, taken, format!("Content-Length: {length}, and no record ends there")),
        };
    }
    let alone = sharing == Sharing::Alone || (sharing == Sharing::First && behind != Behind::Start);
    bytes.take(start);
    let outcome = outcome(head, length, alone, bytes, settings);
    let there = take_on(bytes, length);
    if there < length { truncated(head, there, length) } else { outcome }
}

/// Takes a block that may go on in the next member.
fn take_on(bytes: &mut dyn RecordBytes, length: u64) -> u64 {
    let mut there = bytes.take(length);
    while there < length && bytes.go_on() {
        there += bytes.take(length - there);
    }
    there
}

fn bad_length(head: &Head<'_>, lost: u64, detail: String) -> Outcome {
    let detail = format!("{detail}; {lost} bytes are lost");
    Outcome::Reject { url: url(head).ok(), reason: "warc_bad_content_length", detail }
}

fn truncated(head: &Head<'_>, there: u64, length: u64) -> Outcome {
    let detail = format!("{there} of {length} bytes are there");
    Outcome::Reject { url: url(head).ok(), reason: "warc_truncated", detail }
}
