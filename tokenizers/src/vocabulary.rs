//! The one vocabulary: every id of a job, of text, specials and images, each with its meaning.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::TextTokenizer;

/// A token, as training files hold it.
pub type TokenId = i32;

/// What a job file says about the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VocabularySettings {
    /// As many spans as this can be masked in one document.
    pub num_sentinels: u32,
    /// Unused ids are added until the vocabulary's size is a multiple of this, as matrix units like it; 1 adds none.
    pub pad_to_multiple_of: u32,
}

impl Default for VocabularySettings {
    fn default() -> Self {
        Self { num_sentinels: 256, pad_to_multiple_of: 64 }
    }
}

/// The ids that neither text nor an image ever has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Specials {
    /// Fills up rows.
    pub pad: TokenId,
    /// Ends a document.
    pub end_of_document: TokenId,
    /// Ends a span that was moved behind its sentinel.
    pub end_of_span: TokenId,
    /// The first of `num_sentinels` consecutive ids.
    pub first_sentinel: TokenId,
    /// How many spans can be told apart in one document.
    pub num_sentinels: u32,
}

impl Specials {
    /// The sentinel of the span with this index, which must be below `num_sentinels`.
    pub fn sentinel(&self, index: u32) -> TokenId {
        debug_assert!(index < self.num_sentinels, "no sentinel {index}");
        self.first_sentinel + index as TokenId
    }

    /// Which span this sentinel stands for; none if it is no sentinel.
    pub fn sentinel_index(&self, id: TokenId) -> Option<u32> {
        self.is_sentinel(id).then(|| id.wrapping_sub(self.first_sentinel) as u32)
    }

    /// Whether this is a sentinel.
    pub fn is_sentinel(&self, id: TokenId) -> bool {
        // An id below the first wraps around to above any number of sentinels.
        (id.wrapping_sub(self.first_sentinel) as u32) < self.num_sentinels
    }

    /// Whether this is a sentinel or any of the other three.
    pub fn contain(&self, id: TokenId) -> bool {
        [self.pad, self.end_of_document, self.end_of_span].contains(&id) || self.is_sentinel(id)
    }
}

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A piece of text.
    Text,
    /// Fills up a row.
    Pad,
    /// Ends a document.
    EndOfDocument,
    /// Ends a moved span.
    EndOfSpan,
    /// Stands for the moved span with this index.
    Sentinel(u32),
    /// The image tokenizer's code.
    Image(u32),
    /// Nothing: it makes the vocabulary's size a multiple, or the text tokenizer leaves it out.
    Unused,
}

/// Why a text tokenizer, settings and codebook make no vocabulary.
#[derive(Debug, Error)]
pub enum VocabularyError {
    /// A few ids may be left out, but not so many that most of the vocabulary would be nothing.
    #[error("the text tokenizer's ids reach up to {last}, but it has {tokens} tokens: too many ids are left out")]
    Sparse {
        /// How many tokens there are.
        tokens: usize,
        /// The highest id there is.
        last: u32,
    },
    /// An id stands for one token.
    #[error("the text tokenizer has two tokens with id {id}: `{first}` and `{second}`")]
    SameId {
        /// The id.
        id: u32,
        /// One token.
        first: String,
        /// The other one.
        second: String,
    },
    /// Two ids with the same name could not be told apart in `vocabulary.json`.
    #[error("the text tokenizer has a token `{token}` of its own, a name that the vocabulary gives to another id")]
    NameTaken {
        /// The clashing name.
        token: String,
    },
    /// Training files hold 32-bit ids.
    #[error("{size} ids are more than a signed 32-bit id can name")]
    TooLarge {
        /// How many ids there would be.
        size: u64,
    },
    /// A size can't be a multiple of nothing.
    #[error("pad_to_multiple_of is 0: use 1 to add no unused ids")]
    MultipleOfZero,
    /// Not a `vocabulary.json`.
    #[error("not a vocabulary file: {0}")]
    Json(#[from] serde_json::Error),
    /// A `vocabulary.json` that no run has written.
    #[error("not a vocabulary file: {0}")]
    Inconsistent(&'static str),
}

// In the order of their ids.
const RANGE_NAMES: [&str; 7] = ["text", "pad", "eod", "eoss", "sentinel", "image", "unused"];

/// Every id of a job: the text tokenizer's own, then `<pad>`, `<eod>`, `<eoss>`, `<sentinel:i>`, `<image:i>`, `<unused:i>`,
/// in that order and without gaps.
///
/// Ids that the text tokenizer leaves out, as GPT-4's does, stay unused and are called `<gap:id>`: nothing of ours lands on
/// an id that it may fill later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    size: u32,
    text_tokenizer_blake3: String,
    ranges: Vec<NamedRange>,
    // The unused ids among the text tokens, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<u32>,
    tokens: Vec<String>,
}

/// Consecutive ids of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedRange {
    name: String,
    first: u32,
    count: u32,
}

impl Vocabulary {
    /// The vocabulary of this text tokenizer, and of an image tokenizer with this many codes.
    pub fn new(
        text: &TextTokenizer,
        settings: &VocabularySettings,
        codebook_size: u32,
    ) -> Result<Self, VocabularyError> {
        let (text_tokens, gaps) = text_tokens(text)?;
        let used = text_tokens.len() as u64 + 3 + u64::from(settings.num_sentinels) + u64::from(codebook_size);
        let multiple = u64::from(settings.pad_to_multiple_of);
        if multiple == 0 {
            return Err(VocabularyError::MultipleOfZero);
        }
        let size = used.next_multiple_of(multiple);
        let too_large = |_| VocabularyError::TooLarge { size };
        TokenId::try_from(size).map_err(too_large)?;
        let unused = u32::try_from(size - used).map_err(too_large)?;

        let counts = [text_tokens.len() as u32, 1, 1, 1, settings.num_sentinels, codebook_size, unused];
        let mut ranges = Vec::with_capacity(counts.len());
        let mut first = 0;
        for (name, count) in RANGE_NAMES.into_iter().zip(counts) {
            ranges.push(NamedRange { name: name.to_owned(), first, count });
            first += count;
        }
        let ours = ranges[1..].iter().flat_map(names);
        let tokens: Vec<_> = text_tokens.into_iter().chain(ours).collect();
        let names_of_gaps = gaps.iter().map(|&id| &tokens[id as usize]);
        let taken = tokens[counts[0] as usize..].iter().chain(names_of_gaps).find(|token| text.id_of(token).is_some());
        if let Some(token) = taken {
            return Err(VocabularyError::NameTaken { token: token.clone() });
        }
        Ok(Self { size: size as u32, text_tokenizer_blake3: text.digest().to_owned(), ranges, gaps, tokens })
    }

    /// The vocabulary that a run wrote as `vocabulary.json`.
    pub fn from_json(json: &str) -> Result<Self, VocabularyError> {
        let vocabulary: Self = serde_json::from_str(json)?;
        vocabulary.inconsistency().map_or(Ok(()), |what| Err(VocabularyError::Inconsistent(what)))?;
        Ok(vocabulary)
    }

    /// The ids with a meaning of their own.
    pub fn specials(&self) -> Specials {
        let first = |range: usize| self.ranges[range].first as TokenId;
        Specials {
            pad: first(1),
            end_of_document: first(2),
            end_of_span: first(3),
            first_sentinel: first(4),
            num_sentinels: self.ranges[4].count,
        }
    }

    /// The id of this code of the image tokenizer; none beyond its codebook.
    pub fn image_token(&self, code: u32) -> Option<TokenId> {
        let images = &self.ranges[5];
        (code < images.count).then(|| (images.first + code) as TokenId)
    }

    /// The image tokenizer's code that this id stands for; none if it is no image token.
    pub fn image_code(&self, id: TokenId) -> Option<u32> {
        let images = &self.ranges[5];
        u32::try_from(id).ok()?.checked_sub(images.first).filter(|&code| code < images.count)
    }

    /// How many ids there are, unused ones included.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How many of the ids, from 0 on, are the text tokenizer's own, those that it leaves out included.
    pub fn num_text_tokens(&self) -> u32 {
        self.ranges[0].count
    }

    /// The blake3 digest, in hexadecimal, of the tokenizer file that the text tokens are from.
    pub fn text_tokenizer_digest(&self) -> &str {
        &self.text_tokenizer_blake3
    }

    /// The name of this id: for text as the tokenizer file spells it, which for a byte-level tokenizer is not the text itself.
    pub fn token(&self, id: TokenId) -> Option<&str> {
        self.tokens.get(usize::try_from(id).ok()?).map(String::as_str)
    }

    /// What this id stands for; none beyond the vocabulary.
    pub fn kind(&self, id: TokenId) -> Option<TokenKind> {
        let id = u32::try_from(id).ok()?;
        let (number, range) = self.ranges.iter().enumerate().find(|(_, range)| range.ids().contains(&id))?;
        let index = id - range.first;
        Some(match number {
            0 if self.gaps.binary_search(&id).is_ok() => TokenKind::Unused,
            0 => TokenKind::Text,
            1 => TokenKind::Pad,
            2 => TokenKind::EndOfDocument,
            3 => TokenKind::EndOfSpan,
            4 => TokenKind::Sentinel(index),
            5 => TokenKind::Image(index),
            _ => TokenKind::Unused,
        })
    }

    fn inconsistency(&self) -> Option<&'static str> {
        if !self.ranges.iter().map(|range| range.name.as_str()).eq(RANGE_NAMES) {
            return Some("its ranges are not text, pad, eod, eoss, sentinel, image, unused");
        }
        if self.ranges[1..4].iter().any(|range| range.count != 1) {
            return Some("pad, eod and eoss are one id each");
        }
        let mut next = 0_u64;
        for range in &self.ranges {
            if u64::from(range.first) != next {
                return Some("its ranges do not follow one another");
            }
            next += u64::from(range.count);
        }
        if next != u64::from(self.size) || self.tokens.len() as u64 != next || TokenId::try_from(next).is_err() {
            return Some("its size, its ranges and its tokens differ in number");
        }
        if self.gaps.iter().any(|gap| self.tokens.get(*gap as usize) != Some(&name_of_gap(*gap))) {
            return Some("its gaps are not called so");
        }
        if !self.gaps.is_sorted() || self.gaps.last().is_some_and(|gap| !self.ranges[0].ids().contains(gap)) {
            return Some("its gaps are not among the text tokens, in order");
        }
        None
    }
}

impl NamedRange {
    fn ids(&self) -> Range<u32> {
        self.first..self.first + self.count
    }
}

fn names(range: &NamedRange) -> Vec<String> {
    match range.name.as_str() {
        single @ ("pad" | "eod" | "eoss") => vec![format!("<{single}>")],
        several => (0..range.count).map(|index| format!("<{several}:{index}>")).collect(),
    }
}

fn name_of_gap(id: u32) -> String {
    format!("<gap:{id}>")
}

// The text tokenizer's tokens by id, and the ids without one, which have a name too.
fn text_tokens(text: &TextTokenizer) -> Result<(Vec<String>, Vec<u32>), VocabularyError> {
    let mut by_id = text.tokens();
    by_id.sort_unstable();
    let last = by_id.last().map_or(0, |(id, _)| *id);
    if last as usize > 2 * by_id.len() {
        return Err(VocabularyError::Sparse { tokens: by_id.len(), last });
    }
    let (mut tokens, mut gaps) = (Vec::with_capacity(by_id.len()), Vec::new());
    for (id, token) in by_id {
        while (tokens.len() as u64) < u64::from(id) {
            let gap = tokens.len() as u32;
            gaps.push(gap);
            tokens.push(name_of_gap(gap));
        }
        if let Some(first) = tokens.get(id as usize) {
            return Err(VocabularyError::SameId { id, first: first.clone(), second: token });
        }
        tokens.push(token);
    }
    Ok((tokens, gaps))
}

#[cfg(test)]
mod tests;
