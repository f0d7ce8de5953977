//! Looks for a `<meta>` that declares an encoding in a page's first bytes (WHATWG HTML, 13.2.3.2).

use encoding_rs::Encoding;

use crate::html::charset::declared;

/// The encoding declared in a page's beginning.
pub fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    let mut scan = Scan { bytes, at: 0 };
    while scan.at < scan.bytes.len() {
        if scan.rest().starts_with(b"<!--") {
            // `<!-->` ends itself: the search begins at the mark's own dashes.
            scan.at += 2;
            scan.after(b"-->")?;
        } else if scan.starts_meta() {
            scan.at += 5;
            if let Some(encoding) = scan.meta() {
                return Some(encoding);
            }
        } else if scan.starts_tag() {
            scan.tag_name();
            while scan.attribute().is_some() {}
        } else if matches!(scan.rest(), [b'<', b'!' | b'/' | b'?', ..]) {
            scan.after(b">")?;
        } else {
            scan.at += 1;
        }
    }
    None
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn after(&mut self, mark: &[u8]) -> Option<()> {
        let found = self.rest().windows(mark.len()).position(|window| window == mark)?;
        self.at += found + mark.len();
        Some(())
    }

    fn starts_meta(&self) -> bool {
        let rest = self.rest();
        rest.len() > 5 && rest[..5].eq_ignore_ascii_case(b"<meta") && (rest[5].is_ascii_whitespace() || rest[5] == b'/')
    }

    fn starts_tag(&self) -> bool {
        let rest = self.rest().strip_prefix(b"<").unwrap_or_default();
        rest.strip_prefix(b"/").unwrap_or(rest).first().is_some_and(u8::is_ascii_alphabetic)
    }

    fn tag_name(&mut self) {
        while self.byte().is_some_and(|byte| !byte.is_ascii_whitespace() && byte != b'>') {
            self.at += 1;
        }
    }

    fn meta(&mut self) -> Option<&'static Encoding> {
        // Of attributes of one name the first counts.
        let (mut pragma, mut charset, mut content) = (None, None, None);
        while let Some((name, value)) = self.attribute() {
            match name.as_slice() {
                b"http-equiv" if pragma.is_none() => pragma = Some(value == b"content-type"),
                b"charset" if charset.is_none() => charset = Some(value),
                b"content" if content.is_none() => content = Some(charset_in(&value)),
                _ => {}
            }
        }
        let label = charset.or_else(|| content.flatten().filter(|_| pragma == Some(true)))?;
        declared(&label)
    }

    /// The next attribute's name and value in lower case; `None` at the tag's end.
    fn attribute(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        while self.byte()?.is_ascii_whitespace() || self.byte()? == b'/' {
            self.at += 1;
        }
        if self.byte()? == b'>' {
            return None;
        }
        let mut name = Vec::new();
        while let Some(byte) = self.byte() {
            match byte {
                b'=' if !name.is_empty() => break,
                b'/' | b'>' => return Some((name, Vec::new())),
                space if space.is_ascii_whitespace() => break,
                other => name.push(other.to_ascii_lowercase()),
            }
            self.at += 1;
        }
        self.pass_whitespace();
        if self.byte()? != b'=' {
            return Some((name, Vec::new()));
        }
        self.at += 1;
        self.pass_whitespace();
        let value = self.value()?;
        Some((name, value))
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let quote = self.byte().filter(|byte| matches!(byte, b'"' | b'\''));
        self.at += usize::from(quote.is_some());
        let mut value = Vec::new();
        loop {
            let byte = self.byte()?;
            match quote {
                Some(quote) if byte == quote => {
                    self.at += 1;
                    return Some(value);
                }
                None if byte.is_ascii_whitespace() || byte == b'>' => return Some(value),
                _ => value.push(byte.to_ascii_lowercase()),
            }
            self.at += 1;
        }
    }

    fn pass_whitespace(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }
}

/// The label after `charset=` in a `content` attribute.
fn charset_in(content: &[u8]) -> Option<Vec<u8>> {
    let mut rest = content;
    loop {
        let found = rest.windows(7).position(|window| window == b"charset")?;
        rest = rest[found + 7..].trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b"=") {
            rest = value.trim_ascii_start();
            break;
        }
    }
    let quote = rest.first().copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let label = match quote {
        Some(quote) => &rest[1..][..rest[1..].iter().position(|byte| *byte == quote)?],
        None => rest.split(|byte| byte.is_ascii_whitespace() || *byte == b';').next()?,
    };
    Some(label.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(page: &str, encoding: Option<&str>) {
        assert_eq!(prescan(page.as_bytes()).map(Encoding::name), encoding, "{page}");
    }

    #[test]
    fn both_forms_of_declaration_are_read() {
        check("<!doctype html><meta charset='Shift_JIS'>", Some("Shift_JIS"));
        check("<META content='text/html; charset=euc-jp' http-equiv=Content-Type>", Some("EUC-JP"));
        check("<meta content='text/html; charset=euc-jp'>", None);
        check("<meta http-equiv=x http-equiv=content-type content='charset=euc-jp'>", None);
        check("<meta http-equiv=content-type content=x content='charset=euc-jp'>", None);
    }

    #[test]
    fn comments_and_attributes_hide_no_declaration_and_hold_none() {
        check("<!-- <meta charset=euc-jp> --><p title='<meta charset=euc-kr>'><meta charset=big5>", Some("Big5"));
        check("<!--><meta charset=big5>", Some("Big5"));
    }

    #[test]
    fn a_declaration_of_utf_16_in_ascii_is_utf_8() {
        check("<meta charset=utf-16le>", Some("UTF-8"));
    }
}
