//! Tells where in a file a record begins: there is a WARC head, plain or as the first bytes of a gzip member or zstd frame.

use std::sync::Arc;

use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::{Decoder, Operation};

use crate::sources::warc::head::{MAX_HEAD, Parsed, parse};
use crate::sources::warc::window::Window;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Plain,
    /// A gzip member.
    Gzip,
    /// A zstd frame.
    Zstd,
}

/// How the bytes that begin here may be packed, by their magic number.
pub fn form(bytes: &[u8]) -> Option<Form> {
    match bytes {
        [0x1f, 0x8b, 0x08, ..] => Some(Form::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Form::Zstd),
        _ if bytes.starts_with(b"WARC/") => Some(Form::Plain),
        _ => None,
    }
}

/// Bytes of a gzip member's own head, with the name in it; a longer one is none.
const MAX_GZIP_HEAD: usize = 4 << 10;
/// Packed bytes that always give a record's head, if there is one: zstd gives nothing of a block before its end.
const AHEAD: usize = 256 << 10;
/// Bytes of a file that are searched at once.
const STRIDE: usize = 256 << 10;

/// Finds records. Its answers depend on the file alone, so all who search one find the same.
pub struct Starts {
    dictionary: Option<Arc<[u8]>>,
    inflate: Option<Decompress>,
    zstd: Option<Decoder<'static>>,
    unpacked: Vec<u8>,
}

impl Starts {
    /// For a file with this dictionary.
    pub fn new(dictionary: Option<Arc<[u8]>>) -> Self {
        Self { dictionary, inflate: None, zstd: None, unpacked: Vec::new() }
    }

    /// Whether a record begins at this place.
    pub fn is_start(&mut self, window: &mut Window<'_>, at: u64) -> bool {
        match form(window.peek(at, 5)) {
            None => false,
            Some(Form::Plain) => plain_record(window, at),
            Some(Form::Gzip) => self.gzip_holds_head(window.peek(at, AHEAD)),
            Some(Form::Zstd) => self.zstd_holds_head(window.peek(at, AHEAD)),
        }
    }

    /// The first place from `from` on, and before `to`, at which a record begins.
    pub fn next(&mut self, window: &mut Window<'_>, from: u64, to: u64) -> Option<u64> {
        let mut at = from;
        while at < to {
            let bytes = window.peek(at, STRIDE);
            if bytes.is_empty() {
                return None;
            }
            // A magic number that begins in the last bytes is seen whole from there on.
            let sure = if bytes.len() > 4 { bytes.len() - 4 } else { bytes.len() };
            let found =
                memchr::memchr3_iter(b'W', 0x1f, 0x28, &bytes[..sure]).find(|place| form(&bytes[*place..]).is_some());
            let Some(place) = found else {
                at += sure as u64;
                continue;
            };
            at += place as u64;
            if at < to && self.is_start(window, at) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    fn gzip_holds_head(&mut self, packed: &[u8]) -> bool {
        let Some(head) = gzip_head(packed) else { return false };
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        holds_head(&mut self.unpacked, |target| {
            let (read, written) = (inflate.total_in(), inflate.total_out());
            let rest = packed.get(head + read as usize..)?;
            inflate.decompress(rest, target, FlushDecompress::None).ok()?;
            Some((inflate.total_out() - written) as usize)
        })
    }

    fn zstd_holds_head(&mut self, packed: &[u8]) -> bool {
        if self.zstd.is_none() {
            self.zstd = self.dictionary.as_deref().map_or_else(Decoder::new, Decoder::with_dictionary).ok();
        }
        let Some(zstd) = self.zstd.as_mut().filter(|_| packed.len() > 4) else { return false };
        if zstd.reinit().is_err() {
            return false;
        }
        let mut read = 0;
        holds_head(&mut self.unpacked, |target| {
            let status = zstd.run_on_buffers(packed.get(read..)?, target).ok()?;
            read += status.bytes_read;
            Some(status.bytes_written)
        })
    }
}

/// Whether a plain record begins here. In the middle of a line it must end well, too: small records stand in gzip members
/// and zstd frames as they are, and what follows them there is no record.
fn plain_record(window: &mut Window<'_>, at: u64) -> bool {
    let Parsed::Head(head) = parse(window.peek(at, MAX_HEAD)) else { return false };
    let (length, block) = (head.length as u64, head.block_length());
    if at == 0 || window.peek(at - 1, 1).first() == Some(&b'\n') {
        return true;
    }
    let end = block.ok().and_then(|block| at.checked_add(length)?.checked_add(block));
    let Some(end) = end.filter(|end| *end <= window.size) else { return false };
    let rest = window.peek(end, 16);
    let rest = &rest[padding(rest)..];
    rest.is_empty() || form(rest).is_some()
}

/// Whether what is unpacked begins with a head. Of false magic numbers hardly more than the first bytes are unpacked.
fn holds_head(unpacked: &mut Vec<u8>, mut unpack: impl FnMut(&mut [u8]) -> Option<usize>) -> bool {
    let (mut there, mut wanted) = (0, 16);
    loop {
        if unpacked.len() < wanted {
            unpacked.resize(wanted, 0);
        }
        match unpack(&mut unpacked[there..wanted]) {
            None | Some(0) => return false,
            Some(more) => there += more,
        }
        let padding = padding(&unpacked[..there]);
        match parse(&unpacked[padding..there]) {
            Parsed::Head(_) => return true,
            Parsed::Other => return false,
            Parsed::Cut if there == MAX_HEAD => return false,
            Parsed::Cut => wanted = (there * 4).min(MAX_HEAD),
        }
    }
}

/// Line ends at the beginning: they stand between records.
pub fn padding(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// Bytes of a gzip member before its data (RFC 1952, 2.3).
pub fn gzip_head(bytes: &[u8]) -> Option<usize> {
    let bytes = &bytes[..bytes.len().min(MAX_GZIP_HEAD)];
    let flags = *bytes.get(3)?;
    if form(bytes) != Some(Form::Gzip) || flags & 0xe0 != 0 {
        return None;
    }
    let mut length = 10;
    if flags & 4 != 0 {
        let extra = bytes.get(length..length + 2)?;
        length += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
    }
    for name in [8, 16] {
        if flags & name != 0 {
            length += memchr::memchr(0, bytes.get(length..)?)? + 1;
        }
    }
    length += if flags & 2 != 0 { 2 } else { 0 };
    (length < bytes.len()).then_some(length)
}
