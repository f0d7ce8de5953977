//! Reads text as characters with their kinds, and finds where a run of one kind ends.

use super::block::BLOCK_BYTES;
use super::kinds::{Kinds, LOWER, NEWLINE, NUMBER, SPACE, UPPER};

/// A text and the table of kinds.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    kinds: &'a Kinds,
}

/// A character's kinds and its length, which is 0 behind the end of the text.
#[derive(Clone, Copy)]
pub(super) struct Character {
    pub(super) kinds: u8,
    pub(super) bytes: usize,
}

/// Whether `'S` is as good as `'s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Sensitive,
    Insensitive,
}

impl Character {
    /// Whether it is any of these kinds.
    #[inline]
    pub(super) fn is(self, kinds: u8) -> bool {
        self.kinds & kinds != 0
    }

    // `[^\s\p{L}\p{N}]`, where letters may be marks too.
    #[inline]
    fn is_other(self, letters: u8) -> bool {
        self.bytes > 0 && !self.is(SPACE | NUMBER | letters)
    }
}

impl<'a> Text<'a> {
    /// This text, read with this table.
    pub(super) fn new(text: &'a str, kinds: &'a Kinds) -> Self {
        Self { bytes: text.as_bytes(), kinds }
    }

    /// How many bytes it has.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.bytes.len()
    }

    /// The bytes of a block with how many of them are of the text; behind its end they are 0.
    #[inline]
    pub(super) fn padded(self, start: usize) -> ([u8; BLOCK_BYTES], usize) {
        let rest = self.bytes.get(start..).unwrap_or_default();
        if let Some(block) = rest.first_chunk() {
            return (*block, BLOCK_BYTES);
        }
        let mut padded = [0; BLOCK_BYTES];
        padded[..rest.len()].copy_from_slice(rest);
        (padded, rest.len())
    }

    /// Where the character begins that the byte there is of.
    pub(super) fn character_start(self, mut position: usize) -> usize {
        while self.byte(position).is_some_and(|byte| byte & 0xc0 == 0x80) {
            position -= 1;
        }
        position
    }

    /// The byte there; none behind the end.
    #[inline]
    pub(super) fn byte(self, position: usize) -> Option<u8> {
        self.bytes.get(position).copied()
    }

    /// The character that begins there.
    #[inline]
    pub(super) fn at(self, position: usize) -> Character {
        match self.byte(position) {
            Some(byte) if byte.is_ascii() => Character { kinds: self.kinds.ascii(byte), bytes: 1 },
            Some(byte) => self.wide(position, byte),
            None => Character { kinds: 0, bytes: 0 },
        }
    }

    /// Where the letters end that go on at `position`.
    #[inline]
    pub(super) fn letters_end(self, position: usize, letters: u8) -> usize {
        let position = self.ascii_end(position, SMALL_AND_CAPITAL);
        if self.byte(position).is_none_or(|byte| byte.is_ascii()) {
            return position;
        }
        self.run_end(position, letters)
    }

    /// Where the characters of any of these kinds end.
    pub(super) fn run_end(self, mut position: usize, kinds: u8) -> usize {
        loop {
            let character = self.at(position);
            if !character.is(kinds) {
                return position;
            }
            position += character.bytes;
        }
    }

    /// Where the characters end that are neither letter, number nor blank.
    #[inline]
    pub(super) fn others_end(self, mut position: usize, letters: u8) -> usize {
        loop {
            let character = self.at(position);
            if !character.is_other(letters) {
                return position;
            }
            position += character.bytes;
        }
    }

    /// `\p{N}{1,max}`.
    #[inline]
    pub(super) fn digits_end(self, mut position: usize, max: usize) -> usize {
        for _ in 0..max {
            let character = self.at(position);
            if !character.is(NUMBER) {
                break;
            }
            position += character.bytes;
        }
        position
    }

    /// ` ?[^\s\p{L}\p{N}]+[\r\n]*` where `first` and `second` begin so, else as `newlines_or_blanks_end`. The byte `more`
    /// may stand among the newlines at the end.
    #[inline]
    pub(super) fn others_or_blanks_end(
        self,
        start: usize,
        [first, second]: [Character; 2],
        letters: u8,
        more: u8,
    ) -> usize {
        let mut end = start + first.bytes;
        if first.is(SPACE) {
            if self.byte(start) != Some(b' ') || !second.is_other(letters) {
                return self.newlines_or_blanks_end(start);
            }
            end += second.bytes;
        }
        end = self.others_end(end, letters);
        while self.byte(end).is_some_and(|byte| byte == b'\n' || byte == b'\r' || byte == more) {
            end += 1;
        }
        end
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`, at a blank.
    #[inline]
    pub(super) fn newlines_or_blanks_end(self, start: usize) -> usize {
        let (mut position, mut last, mut newlines_end) = (start, start, start);
        loop {
            let character = self.at(position);
            if !character.is(SPACE) {
                break;
            }
            last = position;
            position += character.bytes;
            if character.is(NEWLINE) {
                newlines_end = position;
            }
        }
        if newlines_end > start { newlines_end } else { self.before_last(start, last, position) }
    }

    /// `\s+(?!\S)|\s+`, at a blank.
    #[inline]
    pub(super) fn blanks_end(self, start: usize) -> usize {
        let (mut position, mut last) = (start, start);
        loop {
            let character = self.at(position);
            if !character.is(SPACE) {
                return self.before_last(start, last, position);
            }
            last = position;
            position += character.bytes;
        }
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`, at the apostrophe.
    #[inline]
    pub(super) fn contraction(self, start: usize, case: Case) -> Option<usize> {
        let letter = |offset: usize| match (self.byte(start + offset)?, case) {
            (byte, Case::Sensitive) => Some(byte),
            (byte, Case::Insensitive) => Some(byte.to_ascii_lowercase()),
        };
        let bytes = match (letter(1)?, letter(2)) {
            (b's' | b't' | b'm' | b'd', _) => 2,
            (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => 3,
            // The long s, `ſ`, is the one other letter whose case folds to a letter of these.
            (0xc5, Some(0xbf)) if case == Case::Insensitive => 3,
            _ => return None,
        };
        Some(start + bytes)
    }

    /// `[upper]*[lower]+`; none where there is no such thing.
    #[inline]
    pub(super) fn upper_then_lower(self, start: usize) -> Option<usize> {
        let (mut position, mut last_lower_end) = (self.ascii_end(start, CAPITAL), None);
        loop {
            let character = self.at(position);
            if !character.is(UPPER) {
                break;
            }
            position += character.bytes;
            if character.is(LOWER) {
                last_lower_end = Some(position);
            }
        }
        let end = self.lower_end(position);
        // With no lower letter behind them, the upper ones give back all behind the last that is both.
        if end > position { Some(end) } else { last_lower_end }
    }

    /// `[upper]+[lower]*`; none where there is no such thing.
    #[inline]
    pub(super) fn upper(self, start: usize) -> Option<usize> {
        let end = self.run_end(start, UPPER);
        (end > start).then(|| self.lower_end(end))
    }

    #[inline]
    fn lower_end(self, position: usize) -> usize {
        let position = self.ascii_end(position, SMALL);
        if self.byte(position).is_none_or(|byte| byte.is_ascii()) {
            return position;
        }
        self.run_end(position, LOWER)
    }

    // A blank before a word is left to the word.
    #[inline]
    fn before_last(self, start: usize, last: usize, end: usize) -> usize {
        if end < self.bytes.len() && last > start { last } else { end }
    }

    // Where the ASCII letters of this case end, eight bytes at a time.
    #[inline]
    fn ascii_end(self, mut position: usize, letters: AsciiLetters) -> usize {
        while let Some(eight) = self.bytes.get(position..).and_then(|rest| rest.first_chunk()) {
            let others = letters.others(u64::from_le_bytes(*eight));
            if others != 0 {
                return position + others.trailing_zeros() as usize / 8;
            }
            position += 8;
        }
        while self.byte(position).is_some_and(|byte| letters.others(u64::from(byte)) & 0x80 == 0) {
            position += 1;
        }
        position
    }

    #[inline(never)]
    fn wide(self, position: usize, lead: u8) -> Character {
        let low_bits = |offset: usize| u32::from(self.byte(position + offset).unwrap_or(0) & 0x3f);
        let joined =
            |lead: u8, rest: u32| (1..=rest).fold(u32::from(lead), |code, at| (code << 6) | low_bits(at as usize));
        let (code, bytes) = match lead {
            0xf0..=0xff => (joined(lead & 0x07, 3), 4),
            0xe0..=0xef => (joined(lead & 0x0f, 2), 3),
            _ => (joined(lead & 0x1f, 1), 2),
        };
        Character { kinds: self.kinds.of(code), bytes }
    }
}

/// Letters `first` to `first + 25`, told apart in eight bytes at once.
#[derive(Clone, Copy)]
struct AsciiLetters {
    // Set in each byte before the letters are compared, so that both cases are one.
    fold: u8,
    first: u8,
}

const SMALL_AND_CAPITAL: AsciiLetters = AsciiLetters { fold: 0x20, first: b'a' };
const SMALL: AsciiLetters = AsciiLetters { fold: 0, first: b'a' };
const CAPITAL: AsciiLetters = AsciiLetters { fold: 0, first: b'A' };

impl AsciiLetters {
    // The high bit of each byte that is not such a letter.
    #[inline]
    fn others(self, bytes: u64) -> u64 {
        const EACH: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x80 * EACH;
        // Without its high bit no byte can carry over into the next one.
        let low = (bytes | (u64::from(self.fold) * EACH)) & !HIGH;
        let from_first = low + u64::from(0x80 - self.first) * EACH;
        let behind_last = low + u64::from(0x80 - self.first - 26) * EACH;
        (bytes | !from_first | behind_last) & HIGH
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::LETTER;
    use super::*;

    #[test]
    fn letters_are_told_apart_in_every_byte() {
        for byte in 0..=255_u8 {
            for (letters, expected) in [
                (SMALL, byte.is_ascii_lowercase()),
                (CAPITAL, byte.is_ascii_uppercase()),
                (SMALL_AND_CAPITAL, byte.is_ascii_alphabetic()),
            ] {
                let others = letters.others(u64::from_le_bytes([byte; 8]));
                assert_eq!(others, if expected { 0 } else { 0x8080_8080_8080_8080 }, "{byte}");
            }
        }
    }

    #[test]
    fn a_long_run_of_letters_ends_at_the_first_other_byte() {
        let kinds = Kinds::new().unwrap();
        for length in 0..40 {
            for after in ["", "!", "ß!", " more letters"] {
                let text = format!("{}{after}", "x".repeat(length));
                let expected = length + if after.starts_with('ß') { 2 } else { 0 };
                assert_eq!(Text::new(&text, &kinds).letters_end(0, LETTER), expected, "{text}");
            }
        }
    }
}
