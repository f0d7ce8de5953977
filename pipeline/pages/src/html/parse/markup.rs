//! Reads comments, document types and CDATA sections (WHATWG HTML, 13.2.5.41 to 13.2.5.71).

use memchr::{memchr, memchr2};

use crate::html::parse::doctype::Doctype;
use crate::html::parse::tags::is_space;
use crate::html::parse::tokenizer::{Content, Pending, Token, Tokenizer};
use crate::html::tree::arena::Span;

impl Tokenizer<'_> {
    /// What stands behind `<!`.
    pub(super) fn declaration(&mut self, start: usize) -> Option<Token> {
        if self.bytes[start..].starts_with(b"--") {
            return Some(self.comment(start + 2));
        }
        if starts_with_word(&self.bytes[start..], b"doctype") {
            self.doctype = Doctype::default();
            self.at = start + b"doctype".len();
            if self.read_doctype().is_none() {
                self.doctype.is_broken = true;
                self.at = self.bytes.len();
            }
            return Some(Token::Doctype);
        }
        if self.allows_cdata && self.bytes[start..].starts_with(b"[CDATA[") {
            self.at = start + b"[CDATA[".len();
            self.content = Content::Cdata;
            return None;
        }
        Some(self.bogus_comment(start))
    }

    /// What browsers take for a comment: all up to `>`.
    pub(super) fn bogus_comment(&mut self, start: usize) -> Token {
        let end = memchr(b'>', &self.bytes[start..]).map(|length| start + length);
        self.at = end.map_or(self.bytes.len(), |end| end + 1);
        Token::Comment(self.without_nulls(start, end.unwrap_or(self.bytes.len())))
    }

    fn comment(&mut self, start: usize) -> Token {
        let rest = &self.bytes[start..];
        for empty in [b">".as_slice(), b"->"] {
            if rest.starts_with(empty) {
                self.at = start + empty.len();
                return Token::Comment(Span::between(start, start));
            }
        }
        let mut at = start;
        while let Some(found) = memchr(b'-', &self.bytes[at..]) {
            at += found;
            match self.bytes[at + 1..] {
                [b'-', b'>', ..] => return self.end_comment(start, at, at + 3),
                [b'-', b'!', b'>', ..] => return self.end_comment(start, at, at + 4),
                [] | [b'-'] | [b'-', b'!'] => break,
                _ => at += 1,
            }
        }
        let unfinished = [b"--!".as_slice(), b"--", b"-"].into_iter().find(|end| self.bytes[start..].ends_with(end));
        let end = self.bytes.len() - unfinished.map_or(0, <[u8]>::len);
        self.end_comment(start, end, self.bytes.len())
    }

    fn end_comment(&mut self, start: usize, end: usize, next: usize) -> Token {
        self.at = next;
        Token::Comment(self.without_nulls(start, end))
    }

    /// A part of the page with U+FFFD for U+0000.
    pub(super) fn without_nulls(&mut self, start: usize, end: usize) -> Span {
        let mut pending = Pending::new(start, self.side.len());
        let mut at = start;
        while let Some(found) = memchr(0, &self.bytes[at..end]) {
            self.replace_null(at + found, &mut pending);
            at += found + 1;
        }
        self.finish(pending, end)
    }

    /// Text of a CDATA section; `None` behind its end.
    pub(super) fn next_in_cdata(&mut self) -> Option<Token> {
        let start = self.at;
        let rest = &self.bytes[start..];
        if rest.is_empty() {
            return Some(Token::Eof);
        }
        if rest[0] == 0 {
            self.at += 1;
            return Some(Token::Null);
        }
        if rest.starts_with(b"]]>") {
            self.at += 3;
            self.content = Content::Data;
            return None;
        }
        let mut at = start;
        self.at = loop {
            let Some(found) = memchr2(b']', 0, &self.bytes[at..]) else { break self.bytes.len() };
            at += found;
            if self.bytes[at] == 0 || self.bytes[at..].starts_with(b"]]>") {
                break at;
            }
            at += 1;
        };
        Some(Token::Text(Span::between(start, self.at)))
    }

    /// Reads a document type up to its `>`; `None` if the page ends before.
    fn read_doctype(&mut self) -> Option<()> {
        if self.skip_space()? == b'>' {
            self.doctype.is_broken = true;
            return self.end_doctype();
        }
        let start = self.at;
        while let Some(byte) = self.bytes.get(self.at)
            && !is_space(*byte)
            && *byte != b'>'
        {
            self.at += 1;
        }
        let name = self.without_nulls(start, self.at);
        self.doctype.name = Some(self.text(name).to_ascii_lowercase());
        if self.skip_space()? == b'>' {
            return self.end_doctype();
        }
        let rest = &self.bytes[self.at..];
        let (is_public, is_system) = (starts_with_word(rest, b"public"), starts_with_word(rest, b"system"));
        if !is_public && !is_system {
            self.doctype.is_broken = true;
            return self.end_doctype();
        }
        self.at += b"public".len();
        if is_public {
            let Some(public) = self.identifier()? else { return self.end_broken_doctype() };
            self.doctype.public = Some(public);
            if self.doctype.is_broken || self.skip_space()? == b'>' {
                return self.end_doctype();
            }
        }
        let Some(system) = self.identifier()? else { return self.end_broken_doctype() };
        self.doctype.system = Some(system);
        self.skip_space()?;
        self.end_doctype()
    }

    /// A quoted identifier; the document type is broken if a `>` ends it. The inner `None` is for one without quotes, the
    /// outer one for the page's end.
    fn identifier(&mut self) -> Option<Option<String>> {
        let quote = self.skip_space()?;
        if quote != b'"' && quote != b'\'' {
            return Some(None);
        }
        let start = self.at + 1;
        let end = memchr2(quote, b'>', &self.bytes[start..]).map_or(self.bytes.len(), |length| start + length);
        let text = self.without_nulls(start, end);
        let text = self.text(text).to_owned();
        match self.bytes.get(end) {
            None => {
                self.doctype.is_broken = true;
                self.at = end;
            }
            Some(b'>') => {
                self.doctype.is_broken = true;
                self.at = end;
            }
            Some(_) => self.at = end + 1,
        }
        Some(Some(text))
    }

    fn end_broken_doctype(&mut self) -> Option<()> {
        self.doctype.is_broken = true;
        self.end_doctype()
    }

    /// Goes behind the `>`; the page's end will do too.
    fn end_doctype(&mut self) -> Option<()> {
        let length = memchr(b'>', &self.bytes[self.at..]);
        self.at = length.map_or(self.bytes.len(), |length| self.at + length + 1);
        Some(())
    }

    /// The next byte that is no space.
    fn skip_space(&mut self) -> Option<u8> {
        while is_space(*self.bytes.get(self.at)?) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }
}

fn starts_with_word(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word))
}
