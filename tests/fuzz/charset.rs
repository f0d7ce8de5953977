//! Any bytes as a page, under any name of an encoding: decoding ends, and text that is UTF-8 stays as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pageloom_pages::html::charset::{charset_of_content_type, decode};

fuzz_target!(|bytes: &[u8]| {
    let (head, body) = bytes.split_at(bytes.len().min(24));
    let content_type = String::from_utf8_lossy(head);
    decode(body, charset_of_content_type(&content_type));
    decode(bytes, None);
    if let Ok(text) = std::str::from_utf8(body) {
        let decoded = decode(body, Some("utf-8"));
        // A byte order mark names the encoding, and is no text.
        let marked = ["\u{feff}"].iter().any(|mark| text.starts_with(mark));
        assert!(marked || decoded.text == text || body.starts_with(b"\xfe\xff") || body.starts_with(b"\xff\xfe"));
    }
});
