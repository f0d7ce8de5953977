//! HTTP responses as WARC records hold them: head, transfer encoding, content encoding.

use std::borrow::Cow;
use std::io::Read;

use crate::sources::warc::sniff::{looks_like_text, looks_like_web};

/// A response's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the head; the body begins there.
    pub length: usize,
    /// Status code.
    pub status: u16,
    fields: Vec<(&'static str, String)>,
}

/// The fields that anything here asks for.
const FIELDS: [&str; 4] = ["content-type", "content-encoding", "transfer-encoding", "x-robots-tag"];

/// Bytes in which a head must end.
const MAX_HEAD: usize = 64 << 10;
/// More fields than this are no response of a real server.
const MAX_FIELDS: usize = 256;

impl Head {
    /// Parses the head at the beginning of a record's block; `None` if it is no HTTP response.
    pub fn parse(block: &[u8]) -> Option<Self> {
        // Archives of browsers name HTTP/2 and 3 before fields written as in HTTP/1.1; the parser knows the latter only.
        let newer = ["HTTP/2 ", "HTTP/2.0 ", "HTTP/3 ", "HTTP/3.0 "]
            .iter()
            .find(|version| block.starts_with(version.as_bytes()));
        if let Some(version) = newer {
            let rest = &block[version.len()..block.len().min(MAX_HEAD)];
            let older = Self::parse(&[b"HTTP/1.1 ", rest].concat())?;
            return Some(Self { length: older.length + version.len() - "HTTP/1.1 ".len(), ..older });
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let mut config = httparse::ParserConfig::default();
        config.allow_obsolete_multiline_headers_in_responses(true);
        config.allow_spaces_after_header_name_in_responses(true);
        config.ignore_invalid_headers_in_responses(true);
        let httparse::Status::Complete(length) = config.parse_response(&mut response, block).ok()? else { return None };
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
        let known = |field: &&mut httparse::Header<'_>| {
            let name = FIELDS.into_iter().find(|name| field.name.eq_ignore_ascii_case(name))?;
            Some((name, text(field.value)))
        };
        let fields = response.headers.iter_mut().filter_map(|field| known(&field)).collect();
        Some(Self { length, status: response.code?, fields })
    }

    /// The first field of a name given in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    /// All fields of a name given in lower case.
    pub fn each(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(field, _)| *field == name).map(|(_, value)| value.as_str()).collect()
    }

    /// All fields of a name given in lower case, each in a line of its own; `None` without any.
    pub fn all(&self, name: &str) -> Option<String> {
        let values = self.each(name);
        (!values.is_empty()).then(|| values.join("\n"))
    }

    /// Whether the body came in chunks.
    pub fn chunked(&self) -> bool {
        self.each("transfer-encoding").iter().any(|value| value.to_ascii_lowercase().contains("chunked"))
    }
}

/// A response's body can't be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than the limit.
    TooLarge,
    /// An encoding that is not undone here.
    UnknownEncoding(String),
    /// The encoded bytes are broken.
    Broken(String),
}

/// The body with its transfer and content encodings undone, of at most `limit` bytes.
pub fn body(head: &Head, block: &[u8], limit: u64) -> Result<Vec<u8>, BodyError> {
    let raw = block.get(head.length..).unwrap_or_default();
    // Some archives keep the header but store the body already joined; then the body itself is not in chunks.
    let joined = if head.chunked() { dechunk(raw) } else { None };
    let mut bytes = joined.map_or(Cow::Borrowed(raw), Cow::Owned);
    // The transfer's is the outer one (RFC 9112, 6.1).
    let lists = [head.each("transfer-encoding").join(","), head.each("content-encoding").join(",")];
    for encoding in lists.iter().flat_map(|list| list.split(',').rev()) {
        bytes = decode(&encoding.trim().to_ascii_lowercase(), bytes, limit)?;
    }
    if bytes.len() as u64 > limit { Err(BodyError::TooLarge) } else { Ok(bytes.into_owned()) }
}

/// Undoes one encoding. Some archives keep the header but store the body already decoded, which shows in its first bytes.
fn decode<'a>(encoding: &str, bytes: Cow<'a, [u8]>, limit: u64) -> Result<Cow<'a, [u8]>, BodyError> {
    let decoded = match encoding {
        "" | "identity" | "none" | "chunked" => return Ok(bytes),
        "gzip" | "x-gzip" if !bytes.starts_with(&[0x1f, 0x8b]) => return Ok(bytes),
        "zstd" if !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => return Ok(bytes),
        _ if bytes.is_empty() || looks_like_web(&bytes) => return Ok(bytes),
        "gzip" | "x-gzip" => return Ok(Cow::Owned(inflate(flate2::read::GzDecoder::new(&bytes[..]), limit)?)),
        "zstd" => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..]).map_err(broken)?;
            return Ok(Cow::Owned(inflate(decoder, limit)?));
        }
        "deflate" => {
            let wrapped = inflate(flate2::read::ZlibDecoder::new(&bytes[..]), limit);
            // Servers send bare deflate under this name as often as the zlib format that the standard names.
            wrapped.or_else(|error| match error {
                BodyError::Broken(_) => inflate(flate2::read::DeflateDecoder::new(&bytes[..]), limit),
                other => Err(other),
            })
        }
        "br" => inflate(brotli_decompressor::Decompressor::new(&bytes[..], 4096), limit),
        other => Err(BodyError::UnknownEncoding(other.to_owned())),
    };
    match decoded {
        Err(BodyError::Broken(_) | BodyError::UnknownEncoding(_)) if looks_like_text(&bytes) => Ok(bytes),
        decoded => decoded.map(Cow::Owned),
    }
}

fn broken(error: std::io::Error) -> BodyError {
    BodyError::Broken(error.to_string())
}

fn inflate(reader: impl Read, limit: u64) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    match reader.take(limit.saturating_add(1)).read_to_end(&mut bytes) {
        Ok(_) => {}
        // A body that was cut gives what is there, as in a browser.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !bytes.is_empty() => {}
        Err(error) => return Err(broken(error)),
    }
    if bytes.len() as u64 > limit { Err(BodyError::TooLarge) } else { Ok(bytes) }
}

/// Joins a chunked body (RFC 9112, 7.1); trailers are dropped, and a body that was cut gives what is there. `None` if it
/// does not begin with a chunk.
pub fn dechunk(raw: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::with_capacity(raw.len());
    let mut next = Some(chunk(raw)?);
    while let Some((bytes, rest)) = next.filter(|(bytes, _)| !bytes.is_empty()) {
        joined.extend_from_slice(bytes);
        next = chunk(rest);
    }
    Some(joined)
}

/// The first chunk, empty at the body's end, and what follows it. A line of digits that no chunk of that length follows is
/// text.
fn chunk(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', raw)?;
    let size = raw[..end].split(|byte| *byte == b';').next()?.trim_ascii();
    if !size.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
    let (bytes, rest) = raw[end + 1..].split_at(size.min(raw.len() - end - 1));
    if size == 0 || rest.is_empty() || rest == b"\r" {
        return Some((bytes, b""));
    }
    Some((bytes, rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn body_of(response: &[u8], limit: u64) -> Result<Vec<u8>, BodyError> {
        body(&Head::parse(response).unwrap(), response, limit)
    }

    #[test]
    fn chunks_are_joined_and_trailers_dropped() {
        let response =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n";
        assert_eq!(body_of(response, 100).unwrap(), b"abcde");
    }

    #[test]
    fn a_chunked_body_that_was_cut_gives_what_is_there() {
        for cut in ["3\r\nabc\r\n2\r\nd", "3\r\nabc\r\n1\r\nd\r\n2", "3\r\nabc\r\n1\r\nd"] {
            let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{cut}");
            assert_eq!(body_of(response.as_bytes(), 100).unwrap(), b"abcd");
        }
    }

    #[test]
    fn what_was_encoded_for_the_transfer_is_undone_first() {
        let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflated.write_all(b"a page").unwrap();
        let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: gzip\r\n\r\n";
        let response = [&head[..], &crate::sources::memory::gzip(&deflated.finish().unwrap())].concat();
        assert_eq!(body_of(&response, 100).unwrap(), b"a page");
    }

    #[test]
    fn a_head_of_http_2_is_read_like_one_of_http_1() {
        let response = b"HTTP/2 200\r\ncontent-type: text/html\r\n\r\nbody";
        assert_eq!(Head::parse(response).unwrap().field("content-type"), Some("text/html"));
        assert_eq!(body_of(response, 100).unwrap(), b"body");
    }

    #[test]
    fn deflate_is_undone_with_and_without_its_wrapper() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"text").unwrap();
        bare.write_all(b"text").unwrap();
        for encoded in [zlib.finish().unwrap(), bare.finish().unwrap()] {
            let response = [&b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n"[..], &encoded].concat();
            assert_eq!(body_of(&response, 100).unwrap(), b"text");
        }
    }

    #[test]
    fn a_body_stored_joined_under_a_chunked_head_stays_as_it_is() {
        let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<html>";
        assert_eq!(body_of(response, 100).unwrap(), b"<html>");
    }

    #[test]
    fn gzip_is_undone_up_to_the_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[b'x'; 1000]).unwrap();
        let response = [&b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"[..], &gzip.finish().unwrap()].concat();
        assert_eq!(body_of(&response, 1000).unwrap().len(), 1000);
        assert_eq!(body_of(&response, 999), Err(BodyError::TooLarge));
    }

    #[test]
    fn gzip_that_was_cut_gives_what_is_there_and_what_follows_it_is_ignored() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|number| (number * number).to_le_bytes()).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
        let cut = body_of(&[head, &gzip[..gzip.len() / 2]].concat(), 1 << 20).unwrap();
        assert!(!cut.is_empty() && text.starts_with(&cut));
        assert_eq!(body_of(&[head, &gzip[..], b"more"].concat(), 1 << 20).unwrap(), text);
    }

    fn encoded(encoding: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n").as_bytes(), body].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        crate::sources::memory::gzip(bytes)
    }

    /// "text" in Brotli: one metablock of four bytes as they are, and an empty last one.
    const BROTLI: [u8; 9] = [0x8b, 0x01, 0x80, b't', b'e', b'x', b't', 0x03, 0];

    #[test]
    fn brotli_and_zstd_are_undone() {
        assert_eq!(body_of(&encoded("br", &BROTLI[..8]), 100).unwrap(), b"text");
        assert_eq!(body_of(&encoded("zstd", &zstd::bulk::compress(b"text", 1).unwrap()), 4).unwrap(), b"text");
        let bomb = zstd::bulk::compress(&[0; 1 << 20], 1).unwrap();
        assert_eq!(body_of(&encoded("zstd", &bomb), 1000), Err(BodyError::TooLarge));
    }

    #[test]
    fn a_chain_of_encodings_is_undone_from_its_end() {
        let twice = gzip(&zstd::bulk::compress(b"text", 1).unwrap());
        assert_eq!(body_of(&encoded("zstd, gzip", &twice), 100).unwrap(), b"text");
        assert_eq!(body_of(&encoded("zstd\r\nContent-Encoding: GZIP", &twice), 100).unwrap(), b"text");
        let moved = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
        let packed = gzip(b"text");
        let chunks = [format!("{:x}\r\n", packed.len()).as_bytes(), &packed, b"\r\n0\r\n\r\n"].concat();
        assert_eq!(body_of(&[moved, &chunks[..]].concat(), 100).unwrap(), b"text");
    }

    #[test]
    fn a_body_stored_decoded_under_its_old_head_stays_as_it_is() {
        for encoding in ["gzip", "deflate", "br", "zstd", "x-gzip, br"] {
            for stored in [&b"<!doctype html><p>page"[..], b"plain words, and more of them", b"GIF89a\0\0"] {
                assert_eq!(body_of(&encoded(encoding, stored), 100).unwrap(), stored, "{encoding}");
            }
        }
    }

    #[test]
    fn a_body_that_begins_like_a_chunk_but_is_none_stays_as_it_is() {
        let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nlines of text";
        assert_eq!(body_of(response, 100).unwrap(), b"2\nlines of text");
    }

    #[test]
    fn an_unknown_encoding_is_named() {
        assert_eq!(body_of(&encoded("aes128gcm", b"\0x"), 9), Err(BodyError::UnknownEncoding("aes128gcm".into())));
        assert!(matches!(body_of(&encoded("br", b"\xff\x01\0"), 9), Err(BodyError::Broken(_))));
    }
}
