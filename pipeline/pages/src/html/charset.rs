//! A page's bytes as text, decoded as browsers do.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

use crate::html::prescan::prescan;

/// How far a declaration is looked for before parsing.
const PRESCAN: usize = 1024;

/// How far a later one is. Browsers, which meet it while they parse, decode the page anew.
const LATE: usize = 16 << 10;

/// A decoded page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Its text; bytes that mean nothing in the encoding are U+FFFD.
    pub text: Cow<'a, str>,
    /// The encoding's name in the WHATWG Encoding standard.
    pub encoding: &'static str,
    /// What named the encoding.
    pub from: DecidedBy,
    /// Whether some bytes meant nothing.
    pub had_errors: bool,
}

/// What named a page's encoding, by falling rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedBy {
    /// A byte order mark.
    ByteOrderMark,
    /// The `Content-Type` that came with it.
    Http,
    /// A `<meta>`.
    Meta,
    /// Its bytes themselves.
    Guess,
}

/// Decodes plain text: as a page, but that there is no `<meta>` in it.
pub fn decode_plain<'a>(bytes: &'a [u8], http_charset: Option<&str>) -> Decoded<'a> {
    let (encoding, from) = named(bytes, http_charset).unwrap_or_else(|| (guess(bytes), DecidedBy::Guess));
    decode_as(bytes, encoding, from)
}

/// Decodes a page (WHATWG HTML, 13.2.3). UTF-8 may be guessed too, which browsers do for local files alone: archives
/// are full of UTF-8 that nothing declares.
pub fn decode<'a>(bytes: &'a [u8], http_charset: Option<&str>) -> Decoded<'a> {
    let (encoding, from) = encoding_of(bytes, http_charset);
    decode_as(bytes, encoding, from)
}

fn decode_as<'a>(bytes: &'a [u8], encoding: &'static Encoding, from: DecidedBy) -> Decoded<'a> {
    let (text, used, had_errors) = encoding.decode(bytes);
    Decoded { text, encoding: used.name(), from, had_errors }
}

/// The encoding that a byte order mark or a `Content-Type` names.
fn named(bytes: &[u8], http_charset: Option<&str>) -> Option<(&'static Encoding, DecidedBy)> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Some((encoding, DecidedBy::ByteOrderMark));
    }
    let encoding = http_charset.and_then(|label| Encoding::for_label(label.as_bytes()))?;
    Some((encoding, DecidedBy::Http))
}

fn encoding_of(bytes: &[u8], http_charset: Option<&str>) -> (&'static Encoding, DecidedBy) {
    if let Some(named) = named(bytes, http_charset) {
        return named;
    }
    let beginning = |length: usize| &bytes[..bytes.len().min(length)];
    if let Some(encoding) = prescan(beginning(PRESCAN)) {
        return (encoding, DecidedBy::Meta);
    }
    if is_utf_8(bytes) {
        return (UTF_8, DecidedBy::Guess);
    }
    // What stands this late may be a script's own text; bytes that are UTF-8 know better.
    match prescan(beginning(LATE)) {
        Some(encoding) => (encoding, DecidedBy::Meta),
        None => (guess(bytes), DecidedBy::Guess),
    }
}

/// Whether there are characters beyond ASCII, all of them in UTF-8; crawlers cut pages in the middle of the last one.
fn is_utf_8(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return false,
    };
    Encoding::ascii_valid_up_to(bytes) < valid
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// The encoding that a `<meta>` names: one that was readable as ASCII can't be UTF-16 (WHATWG HTML, 13.2.3.2).
pub(super) fn declared(label: &[u8]) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label)?;
    let is_utf_16 = encoding == UTF_16LE || encoding == UTF_16BE;
    let read_as = if encoding == X_USER_DEFINED { WINDOWS_1252 } else { encoding };
    Some(if is_utf_16 { UTF_8 } else { read_as })
}

/// Whether a `Content-Type` is plain text's.
pub fn is_plain_text(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/plain"))
}

/// The charset of a `Content-Type`, as in `text/html; charset="utf-8"`.
pub fn charset_of_content_type(value: &str) -> Option<&str> {
    let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let charset = parameters.map(|(name, value)| (name.trim(), value.trim()));
    let (_, value) = charset.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("charset"))?;
    Some(value.trim_matches(['"', '\''])).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], http: Option<&str>, encoding: &str, from: DecidedBy, text: &str) {
        let decoded = decode(bytes, http);
        assert_eq!((decoded.encoding, decoded.from, decoded.text.as_ref()), (encoding, from, text));
    }

    #[test]
    fn a_byte_order_mark_beats_everything() {
        check(b"\xff\xfea\0", Some("utf-8"), "UTF-16LE", DecidedBy::ByteOrderMark, "a");
    }

    #[test]
    fn http_beats_meta() {
        let page = b"<meta charset=utf-8>\xe4";
        check(page, Some("latin1"), "windows-1252", DecidedBy::Http, "<meta charset=utf-8>\u{e4}");
    }

    #[test]
    fn a_late_declaration_is_read_too() {
        let page = format!("<title>{}</title><meta charset=big5>", "t".repeat(2000));
        check(page.as_bytes(), None, "Big5", DecidedBy::Meta, &page);
    }

    #[test]
    fn an_undeclared_page_is_guessed() {
        let text = "Das Gew\u{e4}chshaus \u{f6}ffnet t\u{e4}glich f\u{fc}r G\u{e4}ste.";
        check(text.as_bytes(), None, "UTF-8", DecidedBy::Guess, text);
        let (shift_jis, _, _) = encoding_rs::SHIFT_JIS
            .encode("\u{690d}\u{7269}\u{5712}\u{306f}\u{6bce}\u{65e5}\u{958b}\u{3044}\u{3066}\u{3044}\u{307e}\u{3059}");
        assert_eq!(decode(&shift_jis, None).encoding, "Shift_JIS");
    }

    #[test]
    fn plain_text_declares_nothing_by_itself() {
        let text = "<meta charset=big5> \u{e4}";
        let decoded = decode_plain(text.as_bytes(), None);
        assert_eq!((decoded.encoding, decoded.from, decoded.text.as_ref()), ("UTF-8", DecidedBy::Guess, text));
        assert!(
            is_plain_text("Text/Plain ; charset=utf-8")
                && !is_plain_text("text/html")
                && !is_plain_text("text/plainer")
        );
    }

    #[test]
    fn a_page_that_was_cut_in_its_last_character_is_utf_8_all_the_same() {
        check(b"L\xc3\xa4nger\xc3", None, "UTF-8", DecidedBy::Guess, "L\u{e4}nger\u{fffd}");
    }

    #[test]
    fn what_a_script_says_late_of_a_charset_is_not_believed_of_utf_8() {
        let page = format!("<title>{}</title><script>'<meta charset=big5>'</script>K\u{f6}ln", "t".repeat(2000));
        check(page.as_bytes(), None, "UTF-8", DecidedBy::Guess, &page);
    }

    #[test]
    fn a_content_type_names_its_charset() {
        assert_eq!(charset_of_content_type("text/html; charset=\"UTF-8\""), Some("UTF-8"));
        assert_eq!(charset_of_content_type("text/html;x=y;Charset=latin1"), Some("latin1"));
        assert_eq!(charset_of_content_type("text/html"), None);
    }
}
