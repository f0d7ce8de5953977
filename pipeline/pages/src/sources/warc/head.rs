//! The head of a WARC record: its version line, its fields, and an empty line.

use std::borrow::Cow;

/// Bytes in which a head must end; a longer one is none.
pub const MAX_HEAD: usize = 64 << 10;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A head.
    Head(Head<'a>),
    /// The beginning of one.
    Cut,
    /// Something else.
    Other,
}

/// A head, as far as anything here asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its bytes, with the empty line.
    pub length: usize,
    /// `WARC-Type`.
    pub kind: Cow<'a, str>,
    /// `Content-Length` as it is written.
    pub content_length: Option<Cow<'a, str>>,
    /// `Content-Type`.
    pub content_type: Option<Cow<'a, str>>,
    /// `WARC-Target-URI`.
    pub target: Option<Cow<'a, str>>,
    /// `WARC-Block-Digest`.
    pub block_digest: Option<Cow<'a, str>>,
    /// `WARC-Payload-Digest`.
    pub payload_digest: Option<Cow<'a, str>>,
    /// Whether a `WARC-Truncated` says that the payload is not whole.
    pub truncated: bool,
}

impl Head<'_> {
    /// Length of the block; the detail of a reject where it is unknown.
    pub fn block_length(&self) -> Result<u64, String> {
        match &self.content_length {
            Some(length) => length.parse().map_err(|_| format!("Content-Length: {length}")),
            None => Err("it has no Content-Length".to_owned()),
        }
    }

    /// The same, independent of the bytes it was read from.
    pub fn into_owned(self) -> Head<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Head {
            length: self.length,
            kind: Cow::Owned(self.kind.into_owned()),
            content_length: owned(self.content_length),
            content_type: owned(self.content_type),
            target: owned(self.target),
            block_digest: owned(self.block_digest),
            payload_digest: owned(self.payload_digest),
            truncated: self.truncated,
        }
    }
}

/// Reads the head at the beginning of `bytes`. It must name its type or its length: a version line alone may be text.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let bytes = &bytes[..bytes.len().min(MAX_HEAD)];
    let unfinished = if bytes.len() < MAX_HEAD { Parsed::Cut } else { Parsed::Other };
    let Some(first) = memchr::memchr(b'\n', bytes) else {
        return if could_be_version_line(bytes) { unfinished } else { Parsed::Other };
    };
    if !is_version_line(&bytes[..first]) {
        return Parsed::Other;
    }
    let mut head = Head::default();
    let (mut start, mut last) = (first + 1, None);
    // The fields there were when a line ended in a version. A head that is cut in a line goes on as that of the next
    // record, and then they are there again.
    let (mut seen, mut before) = (0_u8, None);
    while let Some(length) = memchr::memchr(b'\n', &bytes[start..]) {
        let line = &bytes[start..start + length];
        start += length + 1;
        let text = line.trim_ascii();
        if text.is_empty() {
            head.length = start;
            let named = !head.kind.is_empty() || head.content_length.is_some();
            return if named { Parsed::Head(head) } else { Parsed::Other };
        }
        if matches!(line[0], b' ' | b'\t') {
            if let Some(value) = last.and_then(|last| field(&mut head, last)) {
                let value = value.to_mut();
                value.push(' ');
                value.push_str(&String::from_utf8_lossy(text));
            }
        } else {
            let colon = memchr::memchr(b':', text);
            last = colon.and_then(|colon| name(text[..colon].trim_ascii()));
            if let (Some(colon), Some(name)) = (colon, last) {
                let bit = 1 << name as u8;
                if before.is_some_and(|before| before & bit != 0) {
                    return Parsed::Other;
                }
                seen |= bit;
                head.truncated |= name == Name::Truncated;
                // A field that stands there twice means what it says first.
                if let Some(value) = field(&mut head, name).filter(|value| value.is_empty()) {
                    *value = String::from_utf8_lossy(text[colon + 1..].trim_ascii());
                }
            }
        }
        if ends_in_version(text) {
            // Neither could this be a head's: of text that is full of such lines, each is looked at for a line alone.
            if seen == 0 {
                return Parsed::Other;
            }
            before = Some(seen);
        }
    }
    unfinished
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Kind,
    ContentLength,
    ContentType,
    Target,
    BlockDigest,
    PayloadDigest,
    Truncated,
}

fn name(name: &[u8]) -> Option<Name> {
    let known: &[(&[u8], Name)] = match name.len() {
        9 => &[(b"warc-type", Name::Kind)],
        12 => &[(b"content-type", Name::ContentType)],
        14 => &[(b"content-length", Name::ContentLength), (b"warc-truncated", Name::Truncated)],
        15 => &[(b"warc-target-uri", Name::Target)],
        17 => &[(b"warc-block-digest", Name::BlockDigest)],
        19 => &[(b"warc-payload-digest", Name::PayloadDigest)],
        _ => &[],
    };
    known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, name)| *name)
}

fn field<'h, 'a>(head: &'h mut Head<'a>, name: Name) -> Option<&'h mut Cow<'a, str>> {
    let optional = match name {
        Name::Kind => return Some(&mut head.kind),
        Name::Truncated => return None,
        Name::ContentLength => &mut head.content_length,
        Name::ContentType => &mut head.content_type,
        Name::Target => &mut head.target,
        Name::BlockDigest => &mut head.block_digest,
        Name::PayloadDigest => &mut head.payload_digest,
    };
    Some(optional.get_or_insert_default())
}

/// `WARC/1.0`, of any two numbers.
fn is_version_line(line: &[u8]) -> bool {
    let Some(version) = line.trim_ascii_end().strip_prefix(b"WARC/") else { return false };
    let Some(point) = memchr::memchr(b'.', version) else { return false };
    let number = |digits: &[u8]| (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    number(&version[..point]) && number(&version[point + 1..])
}

fn ends_in_version(line: &[u8]) -> bool {
    let digit = line.last().is_some_and(u8::is_ascii_digit);
    digit
        && line[line.len().saturating_sub(12)..]
            .windows(5)
            .rposition(|five| five == b"WARC/")
            .is_some_and(|place| is_version_line(&line[line.len().saturating_sub(12) + place..]))
}

fn could_be_version_line(line: &[u8]) -> bool {
    let known = line.len().min(5);
    line.len() < 16 && line[..known] == b"WARC/"[..known]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Head<'_> {
        match parse(bytes) {
            Parsed::Head(head) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_that_each_could_begin_a_head_are_none() {
        let lines = b"WARC/1.0\n".repeat(1000);
        assert!((0..999).all(|line| matches!(parse(&lines[line * 9..]), Parsed::Other | Parsed::Cut)));
        assert!(matches!(parse(&lines[..18]), Parsed::Other));
        // A space makes such a line the end of the one before, and it could begin a head all the same.
        for lines in ["WARC/1.0\n WARC/1.0\n", "WARC/1.0\nWARC-Type: a\n WARC/1.0\nWARC-Type: a\n"] {
            assert_eq!(parse(lines.as_bytes()), Parsed::Other);
        }
    }

    #[test]
    fn folded_lines_and_bare_line_feeds_are_read() {
        let head =
            head(b"WARC/1.0\nWARC-Type: response\nX: a\nWARC-Target-URI: http://a\n b\nContent-Length: 2\n\nok\n\n");
        assert_eq!((&*head.kind, head.target.as_deref()), ("response", Some("http://a b")));
        assert_eq!((head.block_length(), head.length), (Ok(2), 82));
    }

    #[test]
    fn names_are_told_in_any_case_and_the_first_of_two_counts() {
        let head = head(b"WARC/0.17\r\nwarc-type:request\r\nCONTENT-LENGTH : 1\r\nContent-Length: 2\r\n\r\n");
        assert_eq!((&*head.kind, head.block_length()), ("request", Ok(1)));
    }

    #[test]
    fn a_head_without_its_end_is_cut() {
        for cut in [&b""[..], b"W", b"WARC/1.", b"WARC/1.0\r", b"WARC/1.0\r\n", b"WARC/1.0\r\nWARC-Type: response\r\n"]
        {
            assert_eq!(parse(cut), Parsed::Cut, "{cut:?}");
        }
    }

    #[test]
    fn a_head_that_is_cut_does_not_take_the_next_one_for_its_own() {
        let next = "WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 2\r\n\r\n";
        let head = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a/b\r\nContent-Length: 42\r\n\r\n";
        for length in 8..head.len() - 2 {
            let cut = format!("{}{next}", &head[..length]);
            assert!(!matches!(parse(cut.as_bytes()), Parsed::Head(_)), "{cut}");
        }
        let of_a_version = head.replace("http://a/b", "http://a/WARC/1.0");
        assert!(matches!(parse(of_a_version.as_bytes()), Parsed::Head(_)));
    }

    #[test]
    fn a_version_line_alone_is_no_head() {
        for text in [&b"WARC/1.0\r\n\r\n"[..], b"WARC/x.0\nWARC-Type: a\n\n", b"WARC/1.0 is\nWARC-Type: a\n\n", b"\n"] {
            assert_eq!(parse(text), Parsed::Other, "{text:?}");
        }
        let endless = [b"WARC/1.0\r\n".to_vec(), b"A: b\r\n".repeat(20_000)].concat();
        assert_eq!(parse(&endless), Parsed::Other);
    }
}
