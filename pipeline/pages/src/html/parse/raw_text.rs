//! Reads text in which there is no markup but one end tag (WHATWG HTML, 13.2.5.2 to 13.2.5.5 and 13.2.5.9 to 13.2.5.31).

use memchr::{memchr2, memchr3};

use crate::html::parse::entities::Place;
use crate::html::parse::tags::is_space;
use crate::html::parse::tokenizer::{Content, Pending, Token, Tokenizer};
use crate::html::tree::arena::Span;

/// How deep a script is hidden in what looks like a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hidden {
    No,
    InComment,
    /// In a script in a comment: there `</script>` does not end the element.
    InScript,
}

impl Tokenizer<'_> {
    /// Text up to the end tag, then that.
    pub(super) fn next_in_raw_text(&mut self) -> Option<Token> {
        if self.at >= self.bytes.len() {
            return Some(Token::Eof);
        }
        let start = self.at;
        if self.content != Content::Plaintext && self.is_end_tag(start) {
            self.content = Content::Data;
            return Some(self.tag(start + 2).map_or(Token::Eof, Token::End));
        }
        let end = match self.content {
            Content::Script => self.script_end(start),
            Content::Plaintext => self.bytes.len(),
            _ => self.raw_end(start),
        };
        self.at = end;
        let text = if self.content == Content::Rcdata {
            self.with_references(start, end)
        } else {
            self.without_nulls(start, end)
        };
        if text.is_empty() { None } else { Some(Token::Text(text)) }
    }

    /// Whether the end tag of the last start tag begins here.
    fn is_end_tag(&self, at: usize) -> bool {
        self.bytes[at..].starts_with(b"</") && self.is_word(at + 2, self.text(self.last_start).as_bytes())
    }

    /// Whether this word stands here and ends as a tag's name does.
    fn is_word(&self, at: usize, word: &[u8]) -> bool {
        let ends = |byte: &u8| is_space(*byte) || matches!(byte, b'/' | b'>');
        !word.is_empty()
            && self.bytes[at..].get(..word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word))
            && self.bytes.get(at + word.len()).is_some_and(ends)
    }

    fn raw_end(&self, start: usize) -> usize {
        let ends = memchr::memchr_iter(b'<', &self.bytes[start..]).map(|length| start + length);
        ends.into_iter().find(|at| self.is_end_tag(*at)).unwrap_or(self.bytes.len())
    }

    fn script_end(&self, start: usize) -> usize {
        let (mut at, mut hidden) = (start, Hidden::No);
        loop {
            let found = match hidden {
                Hidden::No => memchr::memchr(b'<', &self.bytes[at..]),
                _ => memchr2(b'<', b'-', &self.bytes[at..]),
            };
            let Some(found) = found else { return self.bytes.len() };
            at += found;
            if hidden != Hidden::InScript && self.is_end_tag(at) {
                return at;
            }
            let rest = &self.bytes[at..];
            match hidden {
                Hidden::No if rest.starts_with(b"<!--") => {
                    hidden = Hidden::InComment;
                    // Its dashes may be those of its end, too.
                    at += 2;
                }
                Hidden::InComment | Hidden::InScript if rest.starts_with(b"-->") => {
                    hidden = Hidden::No;
                    at += 3;
                }
                Hidden::InComment if rest[0] == b'<' && self.is_word(at + 1, b"script") => {
                    hidden = Hidden::InScript;
                    at += 1;
                }
                Hidden::InScript if rest.starts_with(b"</") && self.is_word(at + 2, b"script") => {
                    hidden = Hidden::InComment;
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    fn with_references(&mut self, start: usize, end: usize) -> Span {
        let mut pending = Pending::new(start, self.side.len());
        let mut at = start;
        while let Some(found) = memchr3(b'&', b'&', 0, &self.bytes[at..end]) {
            at += found;
            if self.bytes[at] == 0 {
                self.replace_null(at, &mut pending);
                at += 1;
            } else {
                at = self.reference(at, Place::Text, &mut pending);
            }
        }
        self.finish(pending, end)
    }
}
