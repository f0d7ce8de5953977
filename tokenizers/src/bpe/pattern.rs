//! Splits text into the words that the known regexes of byte-level tokenizers find, without a regex engine.

use super::block::{BLOCK_BYTES, Block};
use super::kinds::{LETTER, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER};
use super::reader::{Case, Character, Text};

/// A way to split text into words that covers all of it: there is no text between two words.
pub(super) trait Words {
    /// Where the word ends that begins at `start`, which must be inside the text.
    fn word_end(&self, text: Text<'_>, start: usize) -> usize;

    /// Calls `word` with the start and the end of each word of the text in order.
    #[inline]
    fn each_word(&self, text: Text<'_>, mut word: impl FnMut(usize, usize)) {
        let mut start = 0;
        while start < text.len() {
            let end = self.word_end(text, start);
            word(start, end);
            start = end;
        }
    }
}

/// The regexes that can be done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// GPT-2 and everything that uses `ByteLevel`'s own regex.
    Gpt2(Gpt2),
    /// GPT-3.5, GPT-4, Llama 3, Qwen.
    Cl100k(Cl100k),
    /// GPT-4o, Llama 4, Mistral's Tekken.
    O200k(O200k),
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gpt2;

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cl100k {
    /// `LETTER`, and `MARK` where words may hold marks.
    letters: u8,
    max_digits: usize,
}

/// Like `Cl100k`, but a word ends where its case changes from lower to upper, and takes its contraction with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct O200k {
    contractions: bool,
    max_digits: usize,
}

impl Pattern {
    /// What `ByteLevel` splits by where it isn't told otherwise.
    pub(super) const BYTE_LEVEL: Self = Self::Gpt2(Gpt2);

    /// The pattern that splits as this regex does; none if it is not one of the known ones, letter by letter.
    pub(super) fn of_regex(regex: &str) -> Option<Self> {
        let cl100k = |letters, max_digits| Self::Cl100k(Cl100k { letters, max_digits });
        let o200k = |contractions, max_digits| Self::O200k(O200k { contractions, max_digits });
        Some(match regex {
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
            | r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+" => Self::Gpt2(Gpt2),
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" => {
                cl100k(LETTER, 3)
            }
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" => {
                cl100k(LETTER, 1)
            }
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" => {
                cl100k(LETTER | MARK, 1)
            }
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+" => {
                o200k(true, 3)
            }
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+" => {
                o200k(false, 1)
            }
            _ => return None,
        })
    }
}

impl Words for Gpt2 {
    #[inline]
    fn word_end(&self, text: Text<'_>, start: usize) -> usize {
        if text.byte(start) == Some(b'\'')
            && let Some(end) = text.contraction(start, Case::Sensitive)
        {
            return end;
        }
        let mut first = text.at(start);
        let mut after = start + first.bytes;
        if text.byte(start) == Some(b' ') {
            let second = text.at(after);
            if second.bytes == 0 || second.is(SPACE) {
                return text.blanks_end(start);
            }
            (first, after) = (second, after + second.bytes);
        }
        if first.is(LETTER) {
            text.letters_end(after, LETTER)
        } else if first.is(NUMBER) {
            text.run_end(after, NUMBER)
        } else if first.is(SPACE) {
            text.blanks_end(start)
        } else {
            text.others_end(after, LETTER)
        }
    }

    // Where words begin is found for all bytes of a block at once, which leaves the processor little to guess.
    #[inline]
    fn each_word(&self, text: Text<'_>, mut word: impl FnMut(usize, usize)) {
        let mut before = Block::default();
        let mut start = 0;
        for base in (0..text.len()).step_by(BLOCK_BYTES) {
            let block = Block::read(text, base);
            let end = text.len().min(base + BLOCK_BYTES);
            if let Some(begins) = begins(text, base, &before, &block) {
                let mut begins = begins & behind(start, base);
                while begins != 0 {
                    let next = base + begins.trailing_zeros() as usize;
                    word(start, next);
                    start = next;
                    begins &= begins - 1;
                }
            } else {
                while start < end {
                    let next = self.word_end(text, start);
                    word(start, next);
                    start = next;
                }
            }
            before = block;
        }
        if start < text.len() {
            word(start, text.len());
        }
    }
}

// Where GPT-2's words begin in the block at `base`, a bit for each; none where the block alone does not tell.
#[inline]
fn begins(text: Text<'_>, base: usize, before: &Block, block: &Block) -> Option<u64> {
    if block.wide_blanks {
        return None;
    }
    let last = BLOCK_BYTES - 1;
    let shifted = |before: u64, now: u64| now << 1 | before >> last;
    let after_blank = shifted(before.blanks, block.blanks);
    let bytes = block.letters | block.numbers | block.blanks | block.others;
    // The last of several blanks is left to the word behind them; at the end of the text there is none.
    let at_next = text.at(base + BLOCK_BYTES);
    let blank_follows = at_next.bytes == 0 || at_next.is(SPACE);
    let before_blank = (block.blanks | !bytes) >> 1 | u64::from(blank_follows) << last;
    let goes_on = block.letters & shifted(before.letters, block.letters)
        | block.numbers & shifted(before.numbers, block.numbers)
        | block.others & shifted(before.others, block.others)
        | !block.blanks & shifted(before.spaces, block.spaces)
        | block.blanks & after_blank & before_blank;
    let mut begins = bytes & !goes_on;
    let mut contractions = block.apostrophes & begins & (block.letters >> 1 | 1 << last);
    while contractions != 0 {
        let start = contractions.trailing_zeros() as usize;
        if let Some(end) = text.contraction(base + start, Case::Sensitive) {
            let end = end - base;
            if end > last {
                return None;
            }
            begins &= !behind(start, 0) | u64::MAX << end;
            begins |= bytes & 1 << end;
        }
        contractions &= contractions - 1;
    }
    Some(begins)
}

// The bytes of the block at `base` that are behind `start`.
#[inline]
fn behind(start: usize, base: usize) -> u64 {
    match start.checked_sub(base) {
        None => u64::MAX,
        Some(start) => u64::MAX.checked_shl(start as u32 + 1).unwrap_or(0),
    }
}

impl Words for Cl100k {
    #[inline]
    fn word_end(&self, text: Text<'_>, start: usize) -> usize {
        let first = text.at(start);
        let after = start + first.bytes;
        if first.is(self.letters) {
            return text.letters_end(after, self.letters);
        }
        if first.is(NUMBER) {
            return text.digits_end(start, self.max_digits);
        }
        if first.is(NEWLINE) {
            return text.newlines_or_blanks_end(start);
        }
        if text.byte(start) == Some(b'\'')
            && let Some(end) = text.contraction(start, Case::Insensitive)
        {
            return end;
        }
        let second = text.at(after);
        if second.is(self.letters) {
            return text.letters_end(after + second.bytes, self.letters);
        }
        text.others_or_blanks_end(start, [first, second], self.letters, b'\n')
    }
}

impl Words for O200k {
    #[inline]
    fn word_end(&self, text: Text<'_>, start: usize) -> usize {
        let first = text.at(start);
        if let Some(end) = self.letters_end(text, start, first) {
            return match text.byte(end) {
                Some(b'\'') if self.contractions => text.contraction(end, Case::Insensitive).unwrap_or(end),
                _ => end,
            };
        }
        if first.is(NUMBER) {
            return text.digits_end(start, self.max_digits);
        }
        if first.is(NEWLINE) {
            return text.newlines_or_blanks_end(start);
        }
        text.others_or_blanks_end(start, [first, text.at(start + first.bytes)], LETTER, b'/')
    }
}

impl O200k {
    // The first two alternatives, each with and without the one character that may stand before the letters.
    #[inline]
    fn letters_end(&self, text: Text<'_>, start: usize, first: Character) -> Option<usize> {
        let behind_first = (!first.is(LETTER | NUMBER | NEWLINE)).then_some(start + first.bytes);
        let at_first = first.is(UPPER | LOWER).then_some(start);
        let begins = [behind_first, at_first];
        let lower = begins.into_iter().flatten().find_map(|begin| text.upper_then_lower(begin));
        lower.or_else(|| begins.into_iter().flatten().find_map(|begin| text.upper(begin)))
    }
}
