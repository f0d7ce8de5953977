//! Finds added tokens in text, as the Hugging Face crate does with special ones told to be text.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

/// The added tokens of one kind: those looked for before the text is normalised, or those after.
pub(super) struct AddedTokens {
    searcher: AhoCorasick,
    // The ids of the patterns; none for specials, which are found so that no other token begins inside one.
    ids: Vec<Option<u32>>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// No added token, and never empty.
    Text(Range<usize>),
    /// The added token with this id.
    Token(u32),
}

impl AddedTokens {
    /// The searcher for these spellings; none if it can't be built.
    pub(super) fn new(tokens: Vec<(String, Option<u32>)>) -> Option<Self> {
        let (spellings, ids): (Vec<_>, Vec<_>) = tokens.into_iter().unzip();
        let searcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(spellings).ok()?;
        Some(Self { searcher, ids })
    }

    /// The parts of this text in order.
    pub(super) fn split(&self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut start = 0;
        for found in self.searcher.find_iter(text) {
            let Some(id) = self.ids.get(found.pattern().as_usize()).copied().flatten() else { continue };
            if start < found.start() {
                parts.push(Part::Text(start..found.start()));
            }
            parts.push(Part::Token(id));
            start = found.end();
        }
        if start < text.len() {
            parts.push(Part::Text(start..text.len()));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_the_leftmost_tokens_is_found() {
        let added = AddedTokens::new(vec![("<a".into(), Some(1)), ("<a>".into(), Some(2)), ("a>b".into(), Some(3))]);
        let parts = added.unwrap().split("x<a>b<a");
        assert_eq!(parts, [Part::Text(0..1), Part::Token(2), Part::Text(4..5), Part::Token(1)]);
    }

    #[test]
    fn a_special_is_text_and_no_token_begins_inside_it() {
        let added = AddedTokens::new(vec![("<eod>".into(), None), ("d>".into(), Some(1))]).unwrap();
        assert_eq!(added.split("<eod>d>"), [Part::Text(0..5), Part::Token(1)]);
    }
}
