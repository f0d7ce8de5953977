//! The bytes that records are read from: a plain file, a member as it is unpacked, and one that is unpacked already.

use std::io::{Error, Read};

use flate2::bufread::GzDecoder;

use crate::sources::warc::dictionary::skippable;
use crate::sources::warc::head::{MAX_HEAD, Parsed, parse};
use crate::sources::warc::starts::{Form, Starts, form, padding};
use crate::sources::warc::stream::{Behind, RecordBytes};
use crate::sources::warc::window::{Window, WindowReader};

/// Bytes that are unpacked at once.
const STRIDE: usize = 64 << 10;
/// A record's end that is further away than this is looked at through a window of its own.
const NEAR: u64 = 1 << 20;

/// What stands behind a record, by the bytes there; `start` says whether a record begins at some of them.
fn behind(rest: &[u8], start: impl FnOnce(usize) -> bool) -> Behind {
    let padding = padding(rest);
    if padding == rest.len() {
        Behind::End
    } else if start(padding) {
        Behind::Start
    } else if rest.starts_with(b"\r\n\r\n") || rest.starts_with(b"\n\n") {
        Behind::LineEnds
    } else {
        Behind::Other
    }
}

/// A plain file from one place on.
pub struct Plain<'w, 'a> {
    /// The file.
    pub window: &'w mut Window<'a>,
    /// The same file, to look far ahead.
    pub ahead: &'w mut Window<'a>,
    /// Finds records in it.
    pub starts: &'w mut Starts,
    /// The place.
    pub at: u64,
}

impl RecordBytes for Plain<'_, '_> {
    fn peek(&mut self, count: usize) -> &[u8] {
        self.window.peek(self.at, count)
    }

    fn take(&mut self, count: u64) -> u64 {
        let count = count.min(self.window.size.saturating_sub(self.at));
        self.at += count;
        count
    }

    fn go_on(&mut self) -> bool {
        false
    }

    fn behind(&mut self, distance: u64) -> Behind {
        let there = self.window.size.saturating_sub(self.at);
        if distance > there {
            return Behind::Cut(there);
        }
        let window = if distance <= NEAR { &mut *self.window } else { &mut *self.ahead };
        let place = self.at + distance;
        let rest = window.peek(place, MAX_HEAD);
        let (padding, next) = (padding(rest), rest.get(padding(rest)..).unwrap_or_default());
        let record = skippable(next).is_some() || !matches!(parse(next), Parsed::Other);
        let rest: Vec<u8> = rest[..rest.len().min(padding + 1)].to_vec();
        behind(&rest, |padding| record || self.starts.is_start(window, place + padding as u64))
    }

    fn next_start(&mut self, from: u64, to: u64) -> Option<u64> {
        let (from, to) = (self.at.saturating_add(from), self.at.saturating_add(to));
        self.starts.next(self.window, from, to.min(self.window.size)).map(|place| place - self.at)
    }
}

/// What a member unpacks to, and those behind it that its last record goes on in.
pub struct Stream<'w, 'a> {
    member: Member<'w, 'a>,
    starts: &'w mut Starts,
    dictionary: Option<&'w [u8]>,
    held: u64,
    buffer: Vec<u8>,
    start: usize,
    /// What is wrong with the packed bytes: nothing more comes.
    pub error: Option<Error>,
    /// Whether anything was unpacked.
    pub gave: bool,
}

enum Member<'w, 'a> {
    Gzip(Box<GzDecoder<WindowReader<'w, 'a>>>),
    Zstd(zstd::stream::read::Decoder<'static, WindowReader<'w, 'a>>),
    Ended(WindowReader<'w, 'a>),
    Failed,
}

impl<'w, 'a> Member<'w, 'a> {
    fn open(form: Form, file: WindowReader<'w, 'a>, dictionary: Option<&[u8]>) -> Result<Self, Error> {
        use zstd::stream::read::Decoder;
        Ok(match (form, dictionary) {
            (Form::Zstd, Some(dictionary)) => Member::Zstd(Decoder::with_dictionary(file, dictionary)?.single_frame()),
            (Form::Zstd, None) => Member::Zstd(Decoder::with_buffer(file)?.single_frame()),
            _ => Member::Gzip(Box::new(GzDecoder::new(file))),
        })
    }

    fn ended(self) -> Self {
        match self {
            Member::Gzip(member) => Member::Ended(member.into_inner()),
            Member::Zstd(member) => Member::Ended(member.finish()),
            other => other,
        }
    }
}

impl<'w, 'a> Stream<'w, 'a> {
    /// The member at the reader's place. At most `held` bytes, and a little more, are in memory at once.
    pub fn new(
        form: Form,
        file: WindowReader<'w, 'a>,
        starts: &'w mut Starts,
        dictionary: Option<&'w [u8]>,
        held: u64,
    ) -> Self {
        let (member, error) = match Member::open(form, file, dictionary) {
            Ok(member) => (member, None),
            Err(error) => (Member::Failed, Some(error)),
        };
        Self { member, starts, dictionary, held, buffer: Vec::new(), start: 0, error, gave: false }
    }

    /// The place in the file behind the last member; `None` where that isn't known.
    pub fn end(&self) -> Option<u64> {
        match &self.member {
            Member::Ended(file) => Some(file.at),
            _ => None,
        }
    }

    /// Unpacks until there are `count` bytes, or the member ends.
    fn fill(&mut self, count: usize) {
        while self.buffer.len() - self.start < count {
            if self.start > self.buffer.len() / 2 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let there = self.buffer.len();
            self.buffer.resize(there + STRIDE, 0);
            let read = match &mut self.member {
                Member::Gzip(member) => member.read(&mut self.buffer[there..]),
                Member::Zstd(member) => member.read(&mut self.buffer[there..]),
                Member::Ended(_) | Member::Failed => Ok(0),
            };
            self.buffer.truncate(there + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => {
                    self.member = std::mem::replace(&mut self.member, Member::Failed).ended();
                    return;
                }
                Ok(_) => self.gave = true,
                Err(error) => {
                    self.member = Member::Failed;
                    self.error = Some(error);
                    return;
                }
            }
        }
    }
}

impl RecordBytes for Stream<'_, '_> {
    fn peek(&mut self, count: usize) -> &[u8] {
        self.fill(count);
        &self.buffer[self.start..]
    }

    fn take(&mut self, count: u64) -> u64 {
        let mut taken = 0;
        while taken < count {
            let there = self.peek(1).len();
            if there == 0 {
                break;
            }
            let some = (count - taken).min(there as u64);
            self.start += some as usize;
            taken += some;
        }
        taken
    }

    fn go_on(&mut self) -> bool {
        let Member::Ended(file) = &mut self.member else { return false };
        while let Some(length) = skippable(file.window.peek(file.at, 8)) {
            file.at += length;
        }
        let Some(form @ (Form::Gzip | Form::Zstd)) = form(file.window.peek(file.at, 5)) else { return false };
        if self.starts.is_start(file.window, file.at) {
            return false;
        }
        let Member::Ended(file) = std::mem::replace(&mut self.member, Member::Failed) else { return false };
        match Member::open(form, file, self.dictionary) {
            Ok(member) => self.member = member,
            Err(error) => self.error = Some(error),
        }
        self.error.is_none()
    }

    fn behind(&mut self, distance: u64) -> Behind {
        if distance > self.held {
            let there = self.peek(self.held as usize).len() as u64;
            return if there < self.held { Behind::Cut(there) } else { Behind::TooFar };
        }
        let there = self.peek(distance as usize + MAX_HEAD);
        match there.get(distance as usize..) {
            Some(rest) => behind(rest, |padding| !matches!(parse(&rest[padding..]), Parsed::Other)),
            None => Behind::Cut(there.len() as u64),
        }
    }

    fn next_start(&mut self, from: u64, to: u64) -> Option<u64> {
        let (mut from, to) = (from as usize, to.min(self.held.saturating_mul(2)) as usize);
        while from < to {
            let there = self.peek(to.saturating_add(MAX_HEAD));
            let place = from + memchr::memmem::find(there.get(from..)?, b"WARC/")?;
            if place < to && matches!(parse(&there[place..]), Parsed::Head(_)) {
                return Some(place as u64);
            }
            from = place + 1;
        }
        None
    }
}

/// What a member unpacked to.
pub struct Slice<'a>(pub &'a [u8]);

impl RecordBytes for Slice<'_> {
    fn peek(&mut self, _: usize) -> &[u8] {
        self.0
    }

    fn take(&mut self, count: u64) -> u64 {
        let count = (count as usize).min(self.0.len());
        self.0 = &self.0[count..];
        count as u64
    }

    fn go_on(&mut self) -> bool {
        false
    }

    fn behind(&mut self, distance: u64) -> Behind {
        match self.0.get(distance as usize..) {
            Some(rest) => behind(rest, |padding| !matches!(parse(&rest[padding..]), Parsed::Other)),
            None => Behind::Cut(self.0.len() as u64),
        }
    }

    fn next_start(&mut self, _: u64, _: u64) -> Option<u64> {
        None
    }
}
