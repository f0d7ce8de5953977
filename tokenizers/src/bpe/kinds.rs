//! What the splitting patterns ask of a character: letter, number, mark, case, blank or newline.

use regex_syntax::hir::{Class, HirKind};

/// `\p{L}`.
pub(super) const LETTER: u8 = 1;
/// `\p{N}`.
pub(super) const NUMBER: u8 = 1 << 1;
/// `\s`.
pub(super) const SPACE: u8 = 1 << 2;
/// `[\r\n]`.
pub(super) const NEWLINE: u8 = 1 << 3;
/// `\p{M}`.
pub(super) const MARK: u8 = 1 << 4;
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`.
pub(super) const UPPER: u8 = 1 << 5;
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`.
pub(super) const LOWER: u8 = 1 << 6;

const CLASSES: [(&str, u8); 7] = [
    (r"\p{L}", LETTER),
    (r"\p{N}", NUMBER),
    (r"\s", SPACE),
    (r"[\r\n]", NEWLINE),
    (r"\p{M}", MARK),
    (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", UPPER),
    (r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", LOWER),
];
const CODE_POINTS: usize = 0x11_0000;
const BLOCK: usize = 256;

/// The kinds of every character, by the tables of the regex engine that the plain path uses, so that both always agree.
pub(super) struct Kinds {
    ascii: [u8; 128],
    // For each 256 code points, where their kinds begin in `kinds`: most blocks are like another.
    blocks: Vec<u16>,
    kinds: Vec<u8>,
}

impl Kinds {
    /// The table; none if the regex engine does not know a class.
    pub(super) fn new() -> Option<Self> {
        let flat = flat()?;
        let mut blocks: Vec<u16> = Vec::with_capacity(CODE_POINTS / BLOCK);
        let mut kinds: Vec<u8> = Vec::new();
        for block in flat.chunks(BLOCK) {
            let number = match kinds.chunks(BLOCK).position(|known| known == block) {
                Some(known) => known,
                None => {
                    kinds.extend_from_slice(block);
                    kinds.len() / BLOCK - 1
                }
            };
            blocks.push(u16::try_from(number).ok()?);
        }
        let ascii = flat.first_chunk().copied()?;
        Some(Self { ascii, blocks, kinds })
    }

    /// The kinds of an ASCII character.
    #[inline]
    pub(super) fn ascii(&self, byte: u8) -> u8 {
        self.ascii[usize::from(byte & 0x7f)]
    }

    /// The kinds of any code point.
    #[inline]
    pub(super) fn of(&self, code: u32) -> u8 {
        let block = self.blocks.get(code as usize / BLOCK).map_or(0, |&block| usize::from(block));
        self.kinds.get(block * BLOCK + code as usize % BLOCK).copied().unwrap_or(0)
    }
}

fn flat() -> Option<Vec<u8>> {
    let mut flat = vec![0_u8; CODE_POINTS];
    for (class, kind) in CLASSES {
        let HirKind::Class(Class::Unicode(class)) = regex_syntax::parse(class).ok()?.into_kind() else {
            return None;
        };
        for range in class.ranges() {
            let codes = flat.get_mut(range.start() as usize..=range.end() as usize)?;
            codes.iter_mut().for_each(|kinds| *kinds |= kind);
        }
    }
    Some(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_kinds_that_unicode_gives_them() {
        let kinds = Kinds::new().unwrap();
        for (character, expected) in [
            ('a', LETTER | LOWER),
            ('Q', LETTER | UPPER),
            ('ß', LETTER | LOWER),
            ('\u{1c5}', LETTER | UPPER),
            ('灯', LETTER | UPPER | LOWER),
            ('\u{301}', MARK | UPPER | LOWER),
            ('7', NUMBER),
            ('Ⅷ', NUMBER),
            ('½', NUMBER),
            (' ', SPACE),
            ('\u{3000}', SPACE),
            ('\u{85}', SPACE),
            ('\n', SPACE | NEWLINE),
            ('\u{2028}', SPACE),
            ('\u{200b}', 0),
            ('<', 0),
            ('\0', 0),
            ('\u{10ffff}', 0),
        ] {
            assert_eq!(kinds.of(character.into()), expected, "{character:?}");
            if character.is_ascii() {
                assert_eq!(kinds.ascii(character as u8), expected, "{character:?}");
            }
        }
    }
}
