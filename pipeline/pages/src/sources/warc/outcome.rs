//! What a record is: a page, an image, something to pass over, or something broken.

use std::io::{Read, Result};

use url::Url;

use crate::sources::http::{self, BodyError};
use crate::sources::warc::sniff::{Sniffed, sniff};
use crate::sources::warc::stream::{Head, RecordStream};

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
            Outcome::Page { url, .. } | Outcome::Image { url } => Some(url),
            Outcome::Reject { url, .. } => url,
            Outcome::Skip(_) => None,
        }
    }
}

/// Bytes of a block that are read before it is known to be a page.
const PROBE: u64 = 64 << 10;

/// Reads a record's block as far as it is needed, and leaves the stream behind it.
pub fn outcome<R: Read>(head: &Head, stream: &mut RecordStream<R>, max_page_bytes: u64) -> Result<Outcome> {
    let Some(length) = head.content_length() else {
        let detail = match head.field("content-length") {
            Some(length) => format!("Content-Length: {length}"),
            None => "it has no Content-Length".to_owned(),
        };
        return Ok(Outcome::Reject { url: url(head).ok(), reason: "warc_bad_content_length", detail });
    };
    if let Some(kind) = other_type(head) {
        let there = stream.skip(length)?;
        return Ok(if there < length { truncated(head, there, length) } else { Outcome::Skip(kind) });
    }
    let mut block = stream.block(length.min(PROBE))?;
    let found = classify(head, &block);
    let limit = max_page_bytes.saturating_add(PROBE);
    if matches!(found, Payload::Page { .. }) && length <= limit && length > PROBE {
        block.append(&mut stream.block(length - PROBE)?);
    }
    let there = block.len() as u64 + stream.skip(length - (block.len() as u64).min(length))?;
    if there < length {
        return Ok(truncated(head, there, length));
    }
    let url = match url(head) {
        Ok(url) => url,
        Err(detail) if matches!(found, Payload::Page { .. } | Payload::Image) => {
            return Ok(Outcome::Reject { url: None, reason: "warc_bad_url", detail });
        }
        Err(_) => String::new(),
    };
    Ok(match found {
        Payload::Image => Outcome::Image { url },
        Payload::Other(kind) => Outcome::Skip(kind),
        Payload::Page { .. } if length > limit => too_large(url, max_page_bytes),
        Payload::Page { response, content_type } => page(url, response, content_type, block, max_page_bytes),
    })
}

fn too_large(url: String, limit: u64) -> Outcome {
    let detail = format!("more than `max_page_bytes`, {limit}");
    Outcome::Reject { url: Some(url), reason: "page_too_large", detail }
}

fn truncated(head: &Head, there: u64, length: u64) -> Outcome {
    let detail = format!("{there} of {length} bytes are there");
    Outcome::Reject { url: url(head).ok(), reason: "warc_truncated", detail }
}

fn page(
    url: String,
    response: Option<http::Head>,
    content_type: Option<String>,
    block: Vec<u8>,
    max_page_bytes: u64,
) -> Outcome {
    let robots = response.as_ref().and_then(|head| head.all("x-robots-tag"));
    let body = match &response {
        Some(head) => http::body(head, &block, max_page_bytes),
        None if block.len() as u64 > max_page_bytes => Err(BodyError::TooLarge),
        None => Ok(block),
    };
    match body {
        Ok(body) => Outcome::Page { url, content_type, robots, body },
        Err(BodyError::TooLarge) => too_large(url, max_page_bytes),
        Err(BodyError::UnknownEncoding(detail)) => {
            Outcome::Reject { url: Some(url), reason: "unsupported_content_encoding", detail }
        }
        Err(BodyError::Broken(detail)) => Outcome::Reject { url: Some(url), reason: "broken_content_encoding", detail },
    }
}

/// Record types that hold neither page nor image; `None` for those that may.
fn other_type(head: &Head) -> Option<&'static str> {
    match head.field("warc-type").map(str::to_ascii_lowercase).as_deref() {
        Some("response" | "resource") => None,
        Some("warcinfo") => Some("warcinfo"),
        Some("request") => Some("request"),
        Some("metadata") => Some("metadata"),
        Some("revisit") => Some("revisit"),
        Some("conversion") => Some("conversion"),
        Some("continuation") => Some("continuation"),
        _ => Some("unknown_record_type"),
    }
}

enum Payload {
    Page { response: Option<http::Head>, content_type: Option<String> },
    Image,
    Other(&'static str),
}

fn classify(head: &Head, block: &[u8]) -> Payload {
    let resource = head.field("warc-type").is_some_and(|kind| kind.eq_ignore_ascii_case("resource"));
    if resource {
        return by_type(None, head.field("content-type").map(str::to_owned), block);
    }
    if head.field("content-type").is_some_and(|kind| kind.starts_with("text/dns")) {
        return Payload::Other("dns");
    }
    let Some(response) = http::Head::parse(block) else { return Payload::Other("not_http") };
    if response.status != 200 {
        return Payload::Other("http_status");
    }
    let content_type = response.field("content-type").map(str::to_owned);
    let start = block.get(response.length..).unwrap_or_default();
    by_type(Some(response), content_type, start)
}

fn by_type(response: Option<http::Head>, content_type: Option<String>, start: &[u8]) -> Payload {
    let named = content_type.as_deref().unwrap_or_default();
    let media = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "text/html" | "application/xhtml+xml" => Payload::Page { response, content_type },
        kind if kind.starts_with("image/") => Payload::Image,
        // Types that say nothing, by the MIME sniffing standard or by the habit of file servers.
        "" | "unknown/unknown" | "application/unknown" | "*/*" | "application/octet-stream" => match sniff(start) {
            Sniffed::Page => Payload::Page { response, content_type: None },
            Sniffed::Image => Payload::Image,
            Sniffed::Other => Payload::Other("other_content_type"),
        },
        _ => Payload::Other("other_content_type"),
    }
}

/// The record's URL as a browser writes it, without a fragment.
fn url(head: &Head) -> std::result::Result<String, String> {
    let target = head.field("warc-target-uri").unwrap_or_default();
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let mut url = Url::parse(target).map_err(|error| format!("{error}: {target}"))?;
    url.set_fragment(None);
    Ok(url.to_string())
}
