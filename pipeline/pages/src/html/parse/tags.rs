//! Reads tags and their attributes (WHATWG HTML, 13.2.5.8 and 13.2.5.32 to 13.2.5.40).

use memchr::memchr3;

use crate::html::parse::entities::Place;
use crate::html::parse::names::{Key, Name};
use crate::html::parse::tokenizer::{Pending, Tag, Tokenizer};
use crate::html::tree::arena::{Attribute, Prefix, Span};

/// Ends a name in a tag.
const ENDS_NAME: u8 = 1;
/// Ends a name of an attribute only.
const EQUALS: u8 = 2;
/// Makes a name differ from how it is spelled: capitals and U+0000.
const CHANGES: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' | b'/' | b'>' => ENDS_NAME,
            b'=' => EQUALS,
            b'A'..=b'Z' | 0 => CHANGES,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\x0c' | b'\r')
}

/// FNV-1a.
fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Tokenizer<'_> {
    /// The tag whose name begins here; `None` if the page ends inside of it.
    pub(super) fn tag(&mut self, name_start: usize) -> Option<Tag> {
        self.attributes.clear();
        let (mut at, mut key, mut seen) = (name_start, Key::default(), 0);
        while let Some(byte) = self.bytes.get(at)
            && CLASSES[*byte as usize] & ENDS_NAME == 0
        {
            seen |= CLASSES[*byte as usize];
            key = key.with(byte.to_ascii_lowercase());
            at += 1;
        }
        let text = self.name_span(name_start, at, seen);
        let length = at - name_start;
        let name = Name::find(key, length, |name| self.text(text) == name);
        let digest = if name == Name::Other { digest(self.text(text)) } else { 0 };
        let self_closing = self.attributes_from(at)?;
        Some(Tag { name, text, digest, self_closing })
    }

    /// A name in lower case.
    #[inline]
    fn name_span(&mut self, start: usize, end: usize, seen: u8) -> Span {
        if seen & CHANGES == 0 {
            return Span::between(start, end);
        }
        let before = self.side.len();
        let characters = self.page.get(start..end).unwrap_or_default().chars();
        self.side.extend(characters.map(|character| match character {
            '\0' => char::REPLACEMENT_CHARACTER,
            other => other.to_ascii_lowercase(),
        }));
        Span::between(self.bytes.len() + before, self.bytes.len() + self.side.len())
    }

    /// Reads the rest of a tag; the answer is whether it closes itself.
    #[inline]
    fn attributes_from(&mut self, mut at: usize) -> Option<bool> {
        loop {
            match *self.bytes.get(at)? {
                b'>' => {
                    self.at = at + 1;
                    return Some(false);
                }
                b'/' if self.bytes.get(at + 1) == Some(&b'>') => {
                    self.at = at + 2;
                    return Some(true);
                }
                b'/' => at += 1,
                byte if is_space(byte) => at += 1,
                _ => at = self.attribute(at)?,
            }
        }
    }

    /// Reads an attribute; the answer is the next byte.
    fn attribute(&mut self, start: usize) -> Option<usize> {
        let mut at = start + 1;
        let mut seen = CLASSES[*self.bytes.get(start)? as usize];
        while let Some(byte) = self.bytes.get(at)
            && CLASSES[*byte as usize] & (ENDS_NAME | EQUALS) == 0
        {
            seen |= CLASSES[*byte as usize];
            at += 1;
        }
        let name = self.name_span(start, at, seen);
        while is_space(*self.bytes.get(at)?) {
            at += 1;
        }
        let mut value = Span::default();
        if self.bytes[at] == b'=' {
            at += 1;
            while is_space(*self.bytes.get(at)?) {
                at += 1;
            }
            match self.bytes[at] {
                quote @ (b'"' | b'\'') => (value, at) = self.quoted_value(at + 1, quote)?,
                b'>' => {}
                _ => (value, at) = self.bare_value(at)?,
            }
        }
        self.keep(name, value)?;
        Some(at)
    }

    #[inline]
    fn keep(&mut self, name: Span, value: Span) -> Option<()> {
        if self.attributes.len() >= self.most_attributes {
            self.has_too_many_attributes = true;
            return None;
        }
        self.attributes.push(Attribute { name, value, prefix: Prefix::None });
        Some(())
    }

    #[inline]
    fn quoted_value(&mut self, start: usize, quote: u8) -> Option<(Span, usize)> {
        let mut pending = Pending::new(start, self.side.len());
        let mut at = start;
        loop {
            at += memchr3(quote, b'&', 0, self.bytes.get(at..)?)?;
            match self.bytes[at] {
                b'&' => at = self.reference(at, Place::Attribute, &mut pending),
                0 => {
                    self.replace_null(at, &mut pending);
                    at += 1;
                }
                _ => return Some((self.finish(pending, at), at + 1)),
            }
        }
    }

    fn bare_value(&mut self, start: usize) -> Option<(Span, usize)> {
        let mut pending = Pending::new(start, self.side.len());
        let mut at = start;
        loop {
            match *self.bytes.get(at)? {
                b'&' => at = self.reference(at, Place::Attribute, &mut pending),
                0 => {
                    self.replace_null(at, &mut pending);
                    at += 1;
                }
                byte if byte == b'>' || is_space(byte) => return Some((self.finish(pending, at), at)),
                _ => at += 1,
            }
        }
    }
}
