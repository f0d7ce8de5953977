//! What a record is: a page, an image, something to pass over, or something broken.

use url::Url;

use crate::sources::http::{self, BodyError};
use crate::sources::warc::digest::mismatch;
use crate::sources::warc::head::Head;
use crate::sources::warc::sniff::{Sniffed, sniff};
use crate::sources::warc::stream::RecordBytes;
use crate::sources::warc::{Conversions, Settings};

/// What became of one record.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A page.
    Page {
        /// Its URL.
        url: String,
        /// The `Content-Type` of its response.
        content_type: Option<String>,
        /// The `X-Robots-Tag`s of its response.
        robots: Option<String>,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// An image.
    Image {
        /// Its URL.
        url: String,
        /// The record's block, where it can't be read again by itself.
        block: Option<Vec<u8>>,
    },
    /// Neither, by kind.
    Skip(&'static str),
    /// Broken.
    Reject {
        /// Its URL, as far as known.
        url: Option<String>,
        /// Why.
        reason: &'static str,
        /// What was found.
        detail: String,
    },
}

impl Outcome {
    /// The record's URL, as far as known.
    pub fn into_url(self) -> Option<String> {
        match self {
            Outcome::Page { url, .. } | Outcome::Image { url, .. } => Some(url),
            Outcome::Reject { url, .. } => url,
            Outcome::Skip(_) => None,
        }
    }
}

/// Bytes of a block that are looked at before it is known what it holds.
pub const PROBE: u64 = 64 << 10;

/// Looks at the block at hand, of `length` bytes, as far as it is needed, and takes nothing. `alone` says that the record
/// can be read again by itself.
pub fn outcome(head: &Head<'_>, length: u64, alone: bool, bytes: &mut dyn RecordBytes, settings: &Settings) -> Outcome {
    if let Some(kind) = other_type(head, settings) {
        return Outcome::Skip(kind);
    }
    let payload = payload(head, first(bytes, length.min(PROBE)));
    let most = match payload {
        Payload::Other(kind) => return Outcome::Skip(kind),
        Payload::Page { .. } => settings.max_page_bytes,
        Payload::Image { .. } => settings.max_shared_image_bytes,
    };
    let url = match url(head) {
        Ok(url) => url,
        Err(detail) => return Outcome::Reject { url: None, reason: "warc_bad_url", detail },
    };
    let fits = length <= most.saturating_add(PROBE);
    match payload {
        Payload::Page { .. } if !fits => too_large(url, "page_too_large", "max_page_bytes", most),
        Payload::Image { .. } if !fits && !alone => too_large(url, "image_too_large", "max_shared_image_bytes", most),
        Payload::Image { .. } if !fits || (alone && !settings.verify_digests) => Outcome::Image { url, block: None },
        payload => whole(head, url, payload, alone, first(bytes, length), settings),
    }
}

fn first(bytes: &mut dyn RecordBytes, count: u64) -> &[u8] {
    let there = bytes.peek(count as usize);
    &there[..there.len().min(count as usize)]
}

/// The outcome of a record whose block is at hand.
fn whole(head: &Head<'_>, url: String, payload: Payload, alone: bool, block: &[u8], settings: &Settings) -> Outcome {
    if settings.verify_digests {
        let response = match &payload {
            Payload::Page { response, .. } | Payload::Image { response } => response.as_ref(),
            Payload::Other(_) => None,
        };
        if let Some(detail) = mismatch(head, response, block) {
            return Outcome::Reject { url: Some(url), reason: "warc_digest_mismatch", detail };
        }
    }
    match payload {
        Payload::Page { response, content_type } => page(url, response, content_type, block, settings.max_page_bytes),
        _ => Outcome::Image { url, block: (!alone).then(|| block.to_vec()) },
    }
}

fn too_large(url: String, reason: &'static str, setting: &str, limit: u64) -> Outcome {
    Outcome::Reject { url: Some(url), reason, detail: format!("more than `{setting}`, {limit}") }
}

fn page(
    url: String,
    response: Option<http::Head>,
    content_type: Option<String>,
    block: &[u8],
    max_page_bytes: u64,
) -> Outcome {
    let robots = response.as_ref().and_then(|head| head.all("x-robots-tag"));
    let body = match &response {
        Some(head) => http::body(head, block, max_page_bytes),
        None if block.len() as u64 > max_page_bytes => Err(BodyError::TooLarge),
        None => Ok(block.to_vec()),
    };
    match body {
        Ok(body) => Outcome::Page { url, content_type, robots, body },
        Err(BodyError::TooLarge) => too_large(url, "page_too_large", "max_page_bytes", max_page_bytes),
        Err(BodyError::UnknownEncoding(detail)) => {
            Outcome::Reject { url: Some(url), reason: "unsupported_content_encoding", detail }
        }
        Err(BodyError::Broken(detail)) => Outcome::Reject { url: Some(url), reason: "broken_content_encoding", detail },
    }
}

/// Record types that hold neither page nor image; `None` for those that may.
fn other_type(head: &Head<'_>, settings: &Settings) -> Option<&'static str> {
    const KINDS: [&str; 6] = ["warcinfo", "request", "metadata", "revisit", "conversion", "continuation"];
    let is = |kind: &str| head.kind.eq_ignore_ascii_case(kind);
    if is("response") || is("resource") || (is("conversion") && settings.conversions == Conversions::Documents) {
        return None;
    }
    Some(KINDS.into_iter().find(|kind| is(kind)).unwrap_or("unknown_record_type"))
}

enum Payload {
    Page { response: Option<http::Head>, content_type: Option<String> },
    Image { response: Option<http::Head> },
    Other(&'static str),
}

fn payload(head: &Head<'_>, start: &[u8]) -> Payload {
    let named = head.content_type.as_deref();
    if head.kind.eq_ignore_ascii_case("conversion") {
        // The text of a page, as WET files hold it: always UTF-8, which their records don't say.
        return match media_type(named.unwrap_or_default()).as_str() {
            "text/plain" => {
                Payload::Page { response: None, content_type: Some("text/plain; charset=utf-8".to_owned()) }
            }
            _ => Payload::Other("conversion"),
        };
    }
    if head.kind.eq_ignore_ascii_case("resource") {
        return by_type(None, named.map(str::to_owned), start);
    }
    if named.is_some_and(|kind| kind.starts_with("text/dns")) {
        return Payload::Other("dns");
    }
    let Some(response) = http::Head::parse(start) else { return Payload::Other("not_http") };
    if response.status != 200 {
        return Payload::Other("http_status");
    }
    let content_type = response.field("content-type").map(str::to_owned);
    let start = start.get(response.length..).unwrap_or_default();
    by_type(Some(response), content_type, start)
}

fn media_type(named: &str) -> String {
    named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn by_type(response: Option<http::Head>, content_type: Option<String>, start: &[u8]) -> Payload {
    match media_type(content_type.as_deref().unwrap_or_default()).as_str() {
        "text/html" | "application/xhtml+xml" => Payload::Page { response, content_type },
        kind if kind.starts_with("image/") => Payload::Image { response },
        // Types that say nothing, by the MIME sniffing standard or by the habit of file servers.
        "" | "unknown/unknown" | "application/unknown" | "*/*" | "application/octet-stream" => match sniff(start) {
            Sniffed::Page => Payload::Page { response, content_type: None },
            Sniffed::Image => Payload::Image { response },
            Sniffed::Other => Payload::Other("other_content_type"),
        },
        _ => Payload::Other("other_content_type"),
    }
}

/// The record's URL as a browser writes it, without a fragment.
pub fn url(head: &Head<'_>) -> std::result::Result<String, String> {
    let target = head.target.as_deref().unwrap_or_default();
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let mut url = Url::parse(target).map_err(|error| format!("{error}: {target}"))?;
    url.set_fragment(None);
    Ok(url.into())
}
