//! Walks along an archive from record to record, and finds the next one where a record is broken.

use std::io::ErrorKind;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crate::sources::warc::dictionary::{dictionary, skippable};
use crate::sources::warc::head::{Head, Parsed, parse};
use crate::sources::warc::members::{MAX_PACKED, Members};
use crate::sources::warc::outcome::{Outcome, PROBE, outcome};
use crate::sources::warc::starts::{Form, Starts, form, padding};
use crate::sources::warc::stream::{Behind, RecordBytes, Sharing, next_record};
use crate::sources::warc::unpacked::{Plain, Slice, Stream};
use crate::sources::warc::window::{Window, WindowReader};
use crate::sources::warc::{GoOn, Settings};
use crate::sources::{Container, ImageLocation, Input, InputError, Location, RawDocument, Records, RejectedRecord};

const CONTINUE: GoOn = GoOn::Continue(());

/// Of a member no more records wait: one that holds so many holds none alone.
const MOST_WAITING: usize = 64;

/// One archive file.
///
/// It is a chain of records: each plain one, and each member or frame with one or more of them, says where it ends, and
/// what doesn't hold together is lost up to the next place where a record begins. What the chain does at a place depends on
/// the file alone, so that all who come to a place see the same from there on.
pub struct Archive<'a> {
    names: Names<'a>,
    settings: &'a Settings,
    window: Window<'a>,
    ahead: Window<'a>,
    starts: Starts,
    members: Members,
    dictionary: Option<Arc<[u8]>>,
    bad_dictionary: Option<String>,
    how: How,
}

/// What changes how an archive is read, but not what comes out.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Bytes before a range from which on the chain is followed: whoever enters an archive may land in a record that holds
    /// an archive itself, and has left it at the end of that record.
    pub lookback: u64,
    /// Whether members are unpacked at once where they can be.
    pub at_once: bool,
}

impl Default for How {
    fn default() -> Self {
        Self { lookback: 1 << 20, at_once: true }
    }
}

impl<'a> Archive<'a> {
    /// An archive of this size; `locator` is its path in the source.
    pub fn open(
        input: &'a dyn Input,
        path: &'a str,
        locator: &'a str,
        size: u64,
        settings: &'a Settings,
        how: How,
    ) -> Self {
        let (mut window, ahead) = (Window::new(input, path, size), Window::new(input, path, size));
        let (dictionary, bad_dictionary) = match dictionary(&mut window) {
            Ok(dictionary) => (dictionary.map(Arc::from), None),
            Err(detail) => (None, Some(detail)),
        };
        let starts = Starts::new(dictionary.clone());
        let members = Members::new(dictionary.clone());
        let names = Names { path, locator };
        Self { names, settings, window, ahead, starts, members, dictionary, bad_dictionary, how }
    }

    /// Reads the records that begin in a range.
    pub fn read(&mut self, range: Range<u64>, records: &mut dyn Records) -> GoOn {
        if let Some(detail) = self.bad_dictionary.take().filter(|_| range.start == 0) {
            self.names.reject(records, 0, None, "warc_bad_dictionary", detail)?;
        }
        let Some(start) = self.first(&range)? else { return CONTINUE };
        self.walk(start, range.end, records)?;
        CONTINUE
    }

    /// Why the storage failed, if it did.
    pub fn failure(self) -> Option<InputError> {
        self.window.failure.or(self.ahead.failure)
    }

    /// The first link of the chain that belongs to a range.
    fn first(&mut self, range: &Range<u64>) -> ControlFlow<(), Option<u64>> {
        let from = range.start.saturating_sub(self.how.lookback);
        let found = if from == 0 { Some(0) } else { self.starts.next(&mut self.window, from, range.end) };
        let Some(mut start) = found else { return ControlFlow::Continue(None) };
        if start < range.start {
            start = self.walk(start, range.start, &mut Nobody)?;
        }
        ControlFlow::Continue(Some(start).filter(|start| *start < range.end))
    }

    /// Follows the chain up to the first record at or behind `end`, and gives where that is. Whatever stands between two
    /// records belongs to the one before.
    fn walk(&mut self, start: u64, end: u64, records: &mut dyn Records) -> ControlFlow<(), u64> {
        let mut at = start;
        loop {
            let there = self.window.peek(at, 8);
            if there.is_empty() {
                return ControlFlow::Continue(at.max(end));
            }
            let padding = padding(there) as u64;
            if padding > 0 {
                at += padding;
                continue;
            }
            if at >= end && self.starts.is_start(&mut self.window, at) {
                return ControlFlow::Continue(at);
            }
            at = self.link(at, records)?;
        }
    }

    /// Reads what begins here, and gives where the next begins.
    fn link(&mut self, at: u64, records: &mut dyn Records) -> ControlFlow<(), u64> {
        let size = self.window.size;
        let there = self.window.peek(at, 8);
        if let Some(length) = skippable(there).filter(|length| at.saturating_add(*length) <= size) {
            return ControlFlow::Continue(at + length);
        }
        if let Some(form @ (Form::Gzip | Form::Zstd)) = form(there) {
            if let Some(next) = self.at_once(form, at, records)? {
                return ControlFlow::Continue(next);
            }
            if let Some(next) = self.member(form, at, records)? {
                return ControlFlow::Continue(next);
            }
        }
        let (window, ahead, starts) = (&mut self.window, &mut self.ahead, &mut self.starts);
        let mut plain = Plain { window, ahead, starts, at };
        let Some(outcome) = next_record(&mut plain, Sharing::Alone, self.settings) else {
            return ControlFlow::Continue(size);
        };
        let next = plain.at;
        self.names.give(records, (at, 0), outcome, Some(at..next))?;
        ControlFlow::Continue(next)
    }

    /// Reads a member that is whole and holds nothing but good records; `None` if it is no such member.
    fn at_once(&mut self, form: Form, at: u64, records: &mut dyn Records) -> ControlFlow<(), Option<u64>> {
        if !self.how.at_once {
            return ControlFlow::Continue(None);
        }
        let packed = self.window.peek(at, MAX_PACKED);
        let Some((unpacked, length)) = self.members.unpack(form, packed) else {
            return ControlFlow::Continue(None);
        };
        let Some(heads) = heads(unpacked) else { return ControlFlow::Continue(None) };
        let next = at + length as u64;
        let alone = heads.len() == 1;
        for (number, (place, head, length)) in heads.into_iter().enumerate() {
            let mut block = Slice(&unpacked[place + head.length..]);
            let outcome = outcome(&head, length, alone, &mut block, self.settings);
            self.names.give(records, (at, number as u64), outcome, alone.then_some(at..next))?;
        }
        ControlFlow::Continue(Some(next))
    }

    /// Reads a member as a stream; `None` if it is none. Its first record, and some that are broken, wait for a second good one
    /// or the member's end: only then is it known whether the member holds that record alone, how long it is, and whether its
    /// checksum is right.
    fn member(&mut self, form: Form, at: u64, records: &mut dyn Records) -> ControlFlow<(), Option<u64>> {
        let file = WindowReader { window: &mut self.window, at };
        let held = self.settings.max_page_bytes.max(self.settings.max_shared_image_bytes).saturating_add(2 * PROBE);
        let mut stream = Stream::new(form, file, &mut self.starts, self.dictionary.as_deref(), held);
        let (mut given, mut waiting) = (0, Vec::new());
        loop {
            let sharing = if given == 0 && waiting.is_empty() { Sharing::First } else { Sharing::Shared };
            let Some(outcome) = next_record(&mut stream, sharing, self.settings) else { break };
            let broken = matches!(outcome, Outcome::Reject { .. });
            waiting.push(outcome);
            let known = !broken && (given > 0 || waiting.len() > 1);
            if known || waiting.len() > MOST_WAITING {
                for outcome in waiting.drain(..) {
                    self.names.give(records, (at, given), outcome, None)?;
                    given += 1;
                }
            }
        }
        let (end, error, gave) = (stream.end(), stream.error.take(), stream.gave);
        if let Some(end) = end {
            let alone = given == 0 && waiting.len() == 1;
            for outcome in waiting {
                self.names.give(records, (at, given), outcome, alone.then_some(at..end))?;
                given += 1;
            }
            return ControlFlow::Continue(Some(end));
        }
        let error = error.unwrap_or_else(|| ErrorKind::InvalidData.into());
        let cut = error.kind() == ErrorKind::UnexpectedEof;
        if !gave && !cut {
            return ControlFlow::Continue(None);
        }
        let size = self.window.size;
        let next = self.starts.next(&mut self.window, at + 1, size).unwrap_or(size);
        let reason = if cut { "warc_truncated" } else { "warc_broken_member" };
        let detail = format!("{error}, after {given} records; {} bytes are lost", next - at);
        let url = waiting.into_iter().next().and_then(Outcome::into_url);
        self.names.reject(records, at, url, reason, detail)?;
        ControlFlow::Continue(Some(next))
    }
}

/// The records of an unpacked member, with their places and lengths; `None` if anything else is in it.
fn heads(unpacked: &[u8]) -> Option<Vec<(usize, Head<'_>, u64)>> {
    let mut heads = Vec::with_capacity(1);
    let mut place = padding(unpacked);
    while place < unpacked.len() {
        let rest = &unpacked[place..];
        let Parsed::Head(head) = parse(rest) else { return None };
        let length = head.block_length().ok()?;
        let end = (head.length as u64).saturating_add(length);
        if !matches!(Slice(rest).behind(end), Behind::End | Behind::Start) {
            return None;
        }
        heads.push((place, head, length));
        place += end as usize;
        place += padding(&unpacked[place..]);
    }
    Some(heads)
}

/// Takes nothing seriously.
struct Nobody;

impl Records for Nobody {
    fn document(&mut self, _: RawDocument) -> ControlFlow<()> {
        CONTINUE
    }

    fn image(&mut self, _: ImageLocation) -> ControlFlow<()> {
        CONTINUE
    }

    fn reject(&mut self, _: RejectedRecord) -> ControlFlow<()> {
        CONTINUE
    }

    fn skip(&mut self, _: &'static str) {}
}

/// How an archive and its records are named.
#[derive(Debug, Clone, Copy)]
struct Names<'a> {
    path: &'a str,
    locator: &'a str,
}

impl Names<'_> {
    /// Hands a record on, named by its place and its number there. An image is read again from `range`, if that holds it
    /// alone; else its record's block goes with it.
    fn give(
        &self,
        records: &mut dyn Records,
        (offset, number): (u64, u64),
        outcome: Outcome,
        range: Option<Range<u64>>,
    ) -> GoOn {
        let locator = || match number {
            0 => format!("{}#{offset}", self.locator),
            number => format!("{}#{offset}+{number}", self.locator),
        };
        match outcome {
            Outcome::Page { url, content_type, robots, body } => {
                records.document(RawDocument { locator: locator(), url, content_type, robots, body })
            }
            Outcome::Image { url, block } => {
                let (container, offset, length) = match (block, range) {
                    // The number tells two of one member apart.
                    (Some(block), _) => {
                        let length = block.len() as u64;
                        (Container::Inline(block), offset + number, length)
                    }
                    (None, Some(range)) => (Container::WarcRecord, range.start, range.end - range.start),
                    // Only one that is too long to look behind it is taken for the only one of its member.
                    (None, None) => {
                        let (url, reason) = (Some(url), "image_too_large");
                        let detail = "more than `max_shared_image_bytes`".to_owned();
                        return records.reject(RejectedRecord { locator: locator(), url, reason, detail });
                    }
                };
                let location = Location { container, path: self.path.to_owned(), offset, length };
                records.image(ImageLocation { url, location })
            }
            Outcome::Reject { url, reason, detail } => {
                records.reject(RejectedRecord { locator: locator(), url, reason, detail })
            }
            Outcome::Skip(kind) => {
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
