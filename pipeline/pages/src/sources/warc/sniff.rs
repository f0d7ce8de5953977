//! Tells pages and images by their first bytes, for responses that name no type (MIME sniffing standard, 6.1 and 7.1).

/// What the first bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// HTML.
    Page,
    /// An image that browsers show.
    Image,
    /// Neither.
    Other,
}

const TAGS: [&str; 16] = [
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
];

const IMAGES: [&[u8]; 5] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM"];

/// Looks at the first bytes of a body.
pub fn sniff(start: &[u8]) -> Sniffed {
    let webp = start.starts_with(b"RIFF") && start.get(8..14) == Some(b"WEBPVP");
    if webp || IMAGES.iter().any(|magic| start.starts_with(magic)) {
        return Sniffed::Image;
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    if text.starts_with(b"<!--") || TAGS.iter().any(|tag| begins_with_tag(text, tag)) {
        return Sniffed::Page;
    }
    Sniffed::Other
}

/// Whether bytes are a page or an image as they stand.
pub fn looks_like_web(bytes: &[u8]) -> bool {
    sniff(bytes) != Sniffed::Other
}

/// Whether the first bytes could be text: none is a binary data byte (MIME sniffing standard, 3).
pub fn looks_like_text(bytes: &[u8]) -> bool {
    let binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    !bytes.iter().take(512).any(binary)
        && std::str::from_utf8(&bytes[..bytes.len().min(512)])
            .map_or_else(|error| error.error_len().is_none(), |_| true)
}

fn begins_with_tag(text: &[u8], tag: &str) -> bool {
    let there = text.get(..tag.len()).is_some_and(|found| found.eq_ignore_ascii_case(tag.as_bytes()));
    there && text.get(tag.len()).is_some_and(|next| matches!(next, b' ' | b'>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_must_end_to_count() {
        assert_eq!(sniff(b"\n <HTML lang=en>"), Sniffed::Page);
        assert_eq!(sniff(b"<!-- made by hand -->"), Sniffed::Page);
        assert_eq!(sniff(b"<abbr>"), Sniffed::Other);
    }

    #[test]
    fn images_are_told_by_their_magic_numbers() {
        assert_eq!(sniff(b"GIF89a..."), Sniffed::Image);
        assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Sniffed::Image);
        assert_eq!(sniff(b"RIFF\x10\0\0\0WAVEfmt "), Sniffed::Other);
    }
}
