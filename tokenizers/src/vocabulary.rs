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
    /// Nothing: it makes the vocabulary's size a multiple.
    Unused,
}

/// Why a text tokenizer, settings and codebook make no vocabulary.
#[derive(Debug, Error)]
pub enum VocabularyError {
    /// Ids must be consecutive, so that nothing of ours lands in a gap that the tokenizer fills later.
    #[error("the text tokenizer has no token {id}, although its ids reach up to {last}")]
    Gap {
        /// The first id that is missing.
        id: u32,
        /// The highest id there is.
        last: u32,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    size: u32,
    text_tokenizer_blake3: String,
    ranges: Vec<NamedRange>,
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
        let text_tokens = text_tokens(text)?;
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
        let taken = tokens[counts[0] as usize..].iter().find(|token| text.id_of(token).is_some());
        if let Some(token) = taken {
            return Err(VocabularyError::NameTaken { token: token.clone() });
        }
        Ok(Self { size: size as u32, text_tokenizer_blake3: text.digest().to_owned(), ranges, tokens })
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

    /// How many of the ids, from 0 on, are the text tokenizer's own.
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

// The text tokenizer's tokens by id.
fn text_tokens(text: &TextTokenizer) -> Result<Vec<String>, VocabularyError> {
    let mut by_id = text.tokens();
    by_id.sort_unstable_by_key(|(id, _)| *id);
    let last = by_id.last().map_or(0, |(id, _)| *id);
    match (0..).zip(&by_id).find(|(expected, (id, _))| expected != id) {
        Some((id, _)) => Err(VocabularyError::Gap { id, last }),
        None => Ok(by_id.into_iter().map(|(_, token)| token).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tokens: &[(&str, u32)]) -> TextTokenizer {
        let vocab: serde_json::Map<_, _> =
            tokens.iter().map(|(token, id)| ((*token).to_owned(), (*id).into())).collect();
        let file = serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": vocab, "merges": []}});
        TextTokenizer::load_bytes(file.to_string().as_bytes()).unwrap()
    }

    fn vocabulary(num_sentinels: u32, pad_to_multiple_of: u32) -> Result<Vocabulary, VocabularyError> {
        let settings = VocabularySettings { num_sentinels, pad_to_multiple_of };
        Vocabulary::new(&text(&[("a", 0), ("b", 1)]), &settings, 3)
    }

    #[test]
    fn ids_follow_one_another_in_the_order_of_kinds() {
        use TokenKind::{EndOfDocument, EndOfSpan, Image, Pad, Sentinel, Text, Unused};
        let expected = [
            (Text, "a"),
            (Text, "b"),
            (Pad, "<pad>"),
            (EndOfDocument, "<eod>"),
            (EndOfSpan, "<eoss>"),
            (Sentinel(0), "<sentinel:0>"),
            (Sentinel(1), "<sentinel:1>"),
            (Image(0), "<image:0>"),
            (Image(1), "<image:1>"),
            (Image(2), "<image:2>"),
            (Unused, "<unused:0>"),
            (Unused, "<unused:1>"),
        ];
        let vocabulary = vocabulary(2, 4).unwrap();
        let ids: Vec<_> = (0..12).filter_map(|id| vocabulary.kind(id).zip(vocabulary.token(id))).collect();
        assert_eq!(ids, expected);
        assert_eq!((vocabulary.size(), vocabulary.kind(12), vocabulary.kind(-100)), (12, None, None));
    }

    #[test]
    fn specials_are_where_the_ranges_say() {
        let expected = Specials { pad: 2, end_of_document: 3, end_of_span: 4, first_sentinel: 5, num_sentinels: 2 };
        assert_eq!(vocabulary(2, 1).unwrap().specials(), expected);
    }

    #[test]
    fn image_codes_and_ids_are_each_others_inverse() {
        let vocabulary = vocabulary(2, 4).unwrap();
        assert_eq!([0, 2, 3].map(|code| vocabulary.image_token(code)), [Some(7), Some(9), None]);
        assert_eq!([6, 7, 9, 10, -100].map(|id| vocabulary.image_code(id)), [None, Some(0), Some(2), None, None]);
    }

    #[test]
    fn only_sentinels_have_an_index() {
        let specials = vocabulary(2, 4).unwrap().specials();
        assert_eq!([4, 5, 6, 7, -100].map(|id| specials.sentinel_index(id)), [None, Some(0), Some(1), None, None]);
    }

    #[test]
    fn a_written_vocabulary_is_read_back() {
        let vocabulary = vocabulary(2, 4).unwrap();
        let json = serde_json::to_string(&vocabulary).unwrap();
        assert_eq!(Vocabulary::from_json(&json).unwrap(), vocabulary);
    }

    #[test]
    fn a_changed_vocabulary_is_refused() {
        let json = serde_json::to_string(&vocabulary(2, 4).unwrap()).unwrap();
        for (written, changed) in
            [(r#""size":12"#, r#""size":13"#), ("eoss\",", "eos\","), (r#""first":5"#, r#""first":6"#)]
        {
            assert!(json.contains(written), "{json}");
            assert!(Vocabulary::from_json(&json.replace(written, changed)).is_err(), "{changed}");
        }
    }

    #[test]
    fn a_gap_in_the_text_tokenizer_is_refused() {
        let settings = VocabularySettings::default();
        let error = Vocabulary::new(&text(&[("a", 0), ("b", 2)]), &settings, 3).unwrap_err();
        assert!(matches!(error, VocabularyError::Gap { id: 1, last: 2 }), "{error}");
    }

    #[test]
    fn a_text_token_with_a_name_of_ours_is_refused() {
        let settings = VocabularySettings::default();
        let error = Vocabulary::new(&text(&[("a", 0), ("<sentinel:7>", 1)]), &settings, 3).unwrap_err();
        assert!(matches!(&error, VocabularyError::NameTaken { token } if token == "<sentinel:7>"), "{error}");
    }

    #[test]
    fn more_ids_than_32_bits_are_refused() {
        assert!(matches!(vocabulary(u32::MAX, 1), Err(VocabularyError::TooLarge { .. })));
        assert!(matches!(vocabulary(2, u32::MAX), Err(VocabularyError::TooLarge { .. })));
        assert!(matches!(vocabulary(2, 0), Err(VocabularyError::MultipleOfZero)));
    }
}
