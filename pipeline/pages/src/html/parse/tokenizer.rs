//! Cuts a page into tokens (WHATWG HTML, 13.2.5), each a whole run of bytes at a time.

use memchr::memchr3;

use crate::html::parse::doctype::Doctype;
use crate::html::parse::entities::{Place, resolve};
use crate::html::parse::names::Name;
use crate::html::tree::arena::{Attribute, Span, text_of};

/// A token. What it is made of stands in the page or behind it, in the tokenizer's `side`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Text of at least one character.
    Text(Span),
    /// U+0000 where it is up to the tree what becomes of it.
    Null,
    /// A start tag; the tokenizer holds its attributes.
    Start(Tag),
    /// An end tag.
    End(Tag),
    /// A comment's text.
    Comment(Span),
    /// A document type, which the tokenizer holds.
    Doctype,
    /// The page's end.
    Eof,
}

/// A tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub name: Name,
    /// The name in lower case.
    pub text: Span,
    /// A digest of a name that no rule mentions, so that it is seldom compared letter by letter.
    pub digest: u32,
    pub self_closing: bool,
}

/// How text is read; the last start tag decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Markup and references.
    Data,
    /// References, up to the element's end tag.
    Rcdata,
    /// Nothing but text, up to the element's end tag.
    Rawtext,
    /// The same, but for what comments hide.
    Script,
    /// Nothing but text, up to the end of the page.
    Plaintext,
    /// Nothing but text, up to `]]>`.
    Cdata,
}

/// A page that is being read.
pub struct Tokenizer<'p> {
    pub(super) page: &'p str,
    pub(super) bytes: &'p [u8],
    /// The next byte.
    pub(super) at: usize,
    /// Text that doesn't stand in the page like that.
    pub side: String,
    /// What the last reference stood for.
    resolved: String,
    /// How text is read.
    pub content: Content,
    /// The attributes of the last tag.
    pub attributes: Vec<Attribute>,
    /// The last document type.
    pub doctype: Doctype,
    /// The name of the last start tag.
    pub last_start: Span,
    /// Whether `<![CDATA[` begins what it says; the tree knows.
    pub allows_cdata: bool,
    /// How many attributes a tag may have.
    pub most_attributes: usize,
    /// Whether a tag had more: the page ends there.
    pub has_too_many_attributes: bool,
}

impl<'p> Tokenizer<'p> {
    /// A page at its beginning. Its lines end in line feeds alone.
    pub fn new(page: &'p str, most_attributes: usize) -> Self {
        Self {
            page,
            bytes: page.as_bytes(),
            at: 0,
            side: String::new(),
            resolved: String::new(),
            content: Content::Data,
            attributes: Vec::new(),
            doctype: Doctype::default(),
            last_start: Span::default(),
            allows_cdata: false,
            most_attributes,
            has_too_many_attributes: false,
        }
    }

    /// The text of a span.
    #[inline]
    pub fn text(&self, span: Span) -> &str {
        text_of(self.page, &self.side, span)
    }

    /// The next token.
    #[inline]
    pub fn next(&mut self) -> Token {
        loop {
            let token = match self.content {
                Content::Data => self.next_in_data(),
                Content::Cdata => self.next_in_cdata(),
                _ => self.next_in_raw_text(),
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    #[inline]
    fn next_in_data(&mut self) -> Option<Token> {
        match self.bytes.get(self.at) {
            None => Some(Token::Eof),
            Some(0) => {
                self.at += 1;
                Some(Token::Null)
            }
            Some(b'<') if self.is_markup(self.at) => self.markup(),
            Some(_) => Some(Token::Text(self.text_run())),
        }
    }

    /// Whether a `<` begins markup rather than being a character.
    #[inline]
    fn is_markup(&self, at: usize) -> bool {
        match self.bytes.get(at + 1) {
            Some(b'/') => at + 2 < self.bytes.len(),
            Some(next) => next.is_ascii_alphabetic() || *next == b'!' || *next == b'?',
            None => false,
        }
    }

    /// What begins with `<` here, if it is a token.
    #[inline]
    fn markup(&mut self) -> Option<Token> {
        let next = self.at + 1;
        match self.bytes.get(next)? {
            b'!' => self.declaration(next + 1),
            b'?' => Some(self.bogus_comment(next)),
            b'/' => match self.bytes.get(next + 1)? {
                b'>' => {
                    self.at = next + 2;
                    None
                }
                byte if byte.is_ascii_alphabetic() => Some(self.tag(next + 1).map_or(Token::Eof, Token::End)),
                _ => Some(self.bogus_comment(next + 1)),
            },
            _ => Some(match self.tag(next) {
                Some(tag) => {
                    self.last_start = tag.text;
                    Token::Start(tag)
                }
                None => Token::Eof,
            }),
        }
    }

    /// Text up to the next markup or U+0000. It may begin with any character but that.
    fn text_run(&mut self) -> Span {
        let start = self.at;
        let mut pending = Pending::new(start, self.side.len());
        let mut at = start;
        let end = loop {
            let Some(found) = memchr3(b'<', b'&', 0, &self.bytes[at..]) else { break self.bytes.len() };
            at += found;
            match self.bytes[at] {
                b'<' if !self.is_markup(at) => at += 1,
                b'&' => at = self.reference(at, Place::Text, &mut pending),
                _ => break at,
            }
        };
        self.at = end;
        self.finish(pending, end)
    }

    /// Reads a reference, if this is one; the answer is the next byte.
    pub(super) fn reference(&mut self, at: usize, place: Place, pending: &mut Pending) -> usize {
        self.resolved.clear();
        let Some(length) = resolve(&self.bytes[at + 1..], place, &mut self.resolved) else { return at + 1 };
        self.side.push_str(self.page.get(pending.copied..at).unwrap_or_default());
        self.side.push_str(&self.resolved);
        pending.copied = at + 1 + length;
        pending.copied
    }

    /// Puts U+FFFD in the place of U+0000.
    pub(super) fn replace_null(&mut self, at: usize, pending: &mut Pending) {
        self.side.push_str(self.page.get(pending.copied..at).unwrap_or_default());
        self.side.push(char::REPLACEMENT_CHARACTER);
        pending.copied = at + 1;
    }

    /// The whole of a text that ends here.
    #[inline]
    pub(super) fn finish(&mut self, pending: Pending, end: usize) -> Span {
        if pending.copied == pending.start {
            return Span::between(pending.start, end);
        }
        self.side.push_str(self.page.get(pending.copied..end).unwrap_or_default());
        let behind_page = self.bytes.len();
        Span::between(behind_page + pending.side, behind_page + self.side.len())
    }
}

/// Text of which some may have had to be rewritten.
pub(super) struct Pending {
    start: usize,
    /// Up to here the page is copied.
    copied: usize,
    /// Where the copy begins.
    side: usize,
}

impl Pending {
    pub fn new(start: usize, side: usize) -> Self {
        Self { start, copied: start, side }
    }
}
