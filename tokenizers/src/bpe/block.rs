//! Reads 64 bytes of text at once, as one bit a byte for each thing that GPT-2's pattern asks of them.

use wide::u8x16;

use super::kinds::{LETTER, NUMBER, SPACE};
use super::reader::Text;

/// So many bytes are read at once.
pub(super) const BLOCK_BYTES: usize = u64::BITS as usize;

/// What the bytes of a block are, the first in the lowest bit; each byte of a character is what the character is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// `\p{L}`.
    pub(super) letters: u64,
    /// `\p{N}`.
    pub(super) numbers: u64,
    /// `\s`.
    pub(super) blanks: u64,
    /// `[^\s\p{L}\p{N}]`.
    pub(super) others: u64,
    /// The space.
    pub(super) spaces: u64,
    /// The apostrophe.
    pub(super) apostrophes: u64,
    /// Whether there is a blank of more than one byte.
    pub(super) wide_blanks: bool,
}

impl Block {
    /// The block that begins there, which must be inside the text. Behind the end of the text are no bytes of any kind.
    #[inline]
    pub(super) fn read(text: Text<'_>, start: usize) -> Self {
        let (bytes, count) = text.padded(start);
        let (mut block, mut wide) = (Self::default(), 0);
        let (lanes, _) = bytes.as_chunks();
        for (lane, sixteen) in lanes.iter().enumerate() {
            let bytes = u8x16::new(*sixteen);
            let put = |bits: &mut u64, are: u8x16| *bits |= u64::from(are.to_bitmask()) << (16 * lane);
            let spaces = bytes.simd_eq(u8x16::splat(b' '));
            put(&mut block.letters, within(bytes | u8x16::splat(0x20), b'a', b'z'));
            put(&mut block.numbers, within(bytes, b'0', b'9'));
            put(&mut block.blanks, spaces | within(bytes, b'\t', b'\r'));
            put(&mut block.spaces, spaces);
            put(&mut block.apostrophes, bytes.simd_eq(u8x16::splat(b'\'')));
            put(&mut wide, bytes);
        }
        if wide != 0 {
            block.add_wide(text, start, wide);
        }
        block.others = !(block.letters | block.numbers | block.blanks) & (u64::MAX >> (BLOCK_BYTES - count));
        block
    }

    #[inline(never)]
    fn add_wide(&mut self, text: Text<'_>, start: usize, mut wide: u64) {
        while wide != 0 {
            let first = wide.trailing_zeros() as usize;
            // Only at the start of a block can this be the inside of a character.
            let begin = text.character_start(start + first);
            let character = text.at(begin);
            let end = (begin + character.bytes - start).min(BLOCK_BYTES);
            let bytes = (u64::MAX >> (BLOCK_BYTES - (end - first))) << first;
            wide &= !bytes;
            let if_is = |kind: u8| if character.is(kind) { bytes } else { 0 };
            self.letters |= if_is(LETTER);
            self.numbers |= if_is(NUMBER);
            self.blanks |= if_is(SPACE);
            self.wide_blanks |= character.is(SPACE);
        }
    }
}

// Which bytes are `first`, `last` or between them.
#[inline]
fn within(bytes: u8x16, first: u8, last: u8) -> u8x16 {
    let from_first = bytes - u8x16::splat(first);
    from_first.min(u8x16::splat(last - first)).simd_eq(from_first)
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Kinds;
    use super::*;

    // The same, character by character.
    fn slowly(text: &str, start: usize, kinds: &Kinds) -> Block {
        let mut block = Block::default();
        for (at, character) in text.char_indices() {
            let is = kinds.of(character.into());
            for at in (at..at + character.len_utf8()).filter(|at| (start..start + BLOCK_BYTES).contains(at)) {
                let bit = 1 << (at - start);
                let kind = match () {
                    () if is & LETTER != 0 => &mut block.letters,
                    () if is & NUMBER != 0 => &mut block.numbers,
                    () if is & SPACE != 0 => &mut block.blanks,
                    () => &mut block.others,
                };
                *kind |= bit;
                block.spaces |= if character == ' ' { bit } else { 0 };
                block.apostrophes |= if character == '\'' { bit } else { 0 };
                block.wide_blanks |= is & SPACE != 0 && !character.is_ascii();
            }
        }
        block
    }

    #[test]
    fn every_ascii_byte_has_its_kinds() {
        let kinds = Kinds::new().unwrap();
        let ascii: String = ('\0'..='\x7f').collect();
        for start in [0, 1, 64, 65, 127] {
            assert_eq!(Block::read(Text::new(&ascii, &kinds), start), slowly(&ascii, start, &kinds), "{start}");
        }
    }

    #[test]
    fn all_bytes_of_a_wide_character_are_what_it_is() {
        let kinds = Kinds::new().unwrap();
        let text = "aé灯\u{10400}½Ⅷ\u{1d7d8}’🎉\u{a0}\u{3000} '".repeat(5);
        for start in 0..text.len() {
            assert_eq!(Block::read(Text::new(&text, &kinds), start), slowly(&text, start, &kinds), "{start}");
        }
    }
}
