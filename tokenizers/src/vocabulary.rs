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

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A piece of text.
    Text,
    /// The special token with this index among those that the vocabulary was made with.
    Special(u32),
    /// Stands for the span with this index.
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

// In the order of their ids; the special tokens, each a range of one, stand behind the first.
const FIRST_RANGE: &str = "text";
const LAST_RANGES: [&str; 3] = ["sentinel", "image", "unused"];

/// Every id of a job: the text tokenizer's own, then the special tokens by name, `<sentinel:i>`, `<image:i>`, `<unused:i>`,
/// in that order and without gaps.
///
/// Where the text tokenizer has a token of a special one's name, as many have a `<mask>`, ours is `<pageloom:mask>`: which
/// of the two is meant would not be clear otherwise.
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
    /// The vocabulary of this text tokenizer, of special tokens with these names, such as `<pad>`, and of an image tokenizer
    /// with this many codes.
    pub fn new(
        text: &TextTokenizer,
        settings: &VocabularySettings,
        specials: &[&str],
        codebook_size: u32,
    ) -> Result<Self, VocabularyError> {
        let (text_tokens, gaps) = text_tokens(text)?;
        let ours = specials.len() as u64 + u64::from(settings.num_sentinels) + u64::from(codebook_size);
        let used = text_tokens.len() as u64 + ours;
        let multiple = u64::from(settings.pad_to_multiple_of);
        if multiple == 0 {
            return Err(VocabularyError::MultipleOfZero);
        }
        let size = used.next_multiple_of(multiple);
        let too_large = |_| VocabularyError::TooLarge { size };
        TokenId::try_from(size).map_err(too_large)?;
        let unused = u32::try_from(size - used).map_err(too_large)?;

        let named = specials.iter().map(|name| (bare(name), 1));
        let last = LAST_RANGES.into_iter().zip([settings.num_sentinels, codebook_size, unused]);
        let num_text = text_tokens.len() as u32;
        let mut ranges = Vec::with_capacity(specials.len() + 4);
        let mut first = 0;
        for (name, count) in std::iter::once((FIRST_RANGE, num_text)).chain(named).chain(last) {
            ranges.push(NamedRange { name: name.to_owned(), first, count });
            first += count;
        }
        let (named, numbered) = ranges[1..].split_at(specials.len());
        let named = named.iter().map(|range| free_name(&range.name, text));
        let tokens: Vec<_> = text_tokens.into_iter().chain(named).chain(numbered.iter().flat_map(names)).collect();
        let names_of_gaps = gaps.iter().map(|&id| &tokens[id as usize]);
        let taken = tokens[num_text as usize..].iter().chain(names_of_gaps).find(|token| text.id_of(token).is_some());
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

    /// The id of the special token with this name, such as `<pad>`; none if the vocabulary was made without it.
    pub fn special(&self, name: &str) -> Option<TokenId> {
        let range = self.specials().iter().find(|range| range.name == bare(name))?;
        Some(range.first as TokenId)
    }

    /// The ids of the sentinels.
    pub fn sentinels(&self) -> Range<TokenId> {
        let ids = self.nth_last(2).ids();
        ids.start as TokenId..ids.end as TokenId
    }

    fn specials(&self) -> &[NamedRange] {
        &self.ranges[1..self.ranges.len() - LAST_RANGES.len()]
    }

    fn nth_last(&self, index: usize) -> &NamedRange {
        &self.ranges[self.ranges.len() - 1 - index]
    }

    /// The id of this code of the image tokenizer; none beyond its codebook.
    pub fn image_token(&self, code: u32) -> Option<TokenId> {
        let images = self.nth_last(1);
        (code < images.count).then(|| (images.first + code) as TokenId)
    }

    /// The image tokenizer's code that this id stands for; none if it is no image token.
    pub fn image_code(&self, id: TokenId) -> Option<u32> {
        let images = self.nth_last(1);
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
        Some(match self.ranges.len() - 1 - number {
            0 => TokenKind::Unused,
            1 => TokenKind::Image(index),
            2 => TokenKind::Sentinel(index),
            _ if number > 0 => TokenKind::Special(number as u32 - 1),
            _ if self.gaps.binary_search(&id).is_ok() => TokenKind::Unused,
            _ => TokenKind::Text,
        })
    }

    fn inconsistency(&self) -> Option<&'static str> {
        let names: Vec<&str> = self.ranges.iter().map(|range| range.name.as_str()).collect();
        if names.len() <= LAST_RANGES.len() || names[0] != FIRST_RANGE || !names.ends_with(&LAST_RANGES) {
            return Some("its ranges are not text, the special tokens, sentinel, image, unused");
        }
        if self.specials().iter().any(|range| range.count != 1) {
            return Some("a special token is one id");
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
    (0..range.count).map(|index| format!("<{}:{index}>", range.name)).collect()
}

/// A special token's name without its brackets.
fn bare(name: &str) -> &str {
    name.trim_start_matches('<').trim_end_matches('>')
}

/// A name in brackets that the text tokenizer does not have, unless it has both.
fn free_name(bare: &str, text: &TextTokenizer) -> String {
    let name = format!("<{bare}>");
    if text.id_of(&name).is_some() { format!("<pageloom:{bare}>") } else { name }
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
