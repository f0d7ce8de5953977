//! Ids in words: text decoded, images by their size, specials by name, and where each span went.

use std::collections::BTreeMap;
use std::fmt;

use pageloom_tokenizers::TokenId;
use pageloom_tokenizers::vocabulary::TokenKind;
use serde::Serialize;

use crate::specials::{Specials, specials};
use crate::step::Ids;

/// What turns ids back into words.
pub struct Words {
    /// What each id is, where there are any.
    pub ids: Option<Ids>,
    /// Columns and rows of an image's tokens.
    pub image_grid: [u16; 2],
}

#[derive(PartialEq, Clone, Copy)]
enum Group {
    Text,
    Image,
    Pad,
    Special,
}

impl Words {
    /// The ids in words: runs of text decoded, runs of image tokens counted, specials by name.
    pub fn of(&self, ids: &[TokenId]) -> String {
        let Some(Ids { text, vocabulary }) = &self.ids else { return format!("[{} tokens]", ids.len()) };
        let group = |id: &TokenId| match vocabulary.kind(*id) {
            Some(TokenKind::Text) => Group::Text,
            Some(TokenKind::Image(_)) => Group::Image,
            _ if vocabulary.special("<pad>") == Some(*id) => Group::Pad,
            _ => Group::Special,
        };
        let mut words = String::new();
        for run in ids.chunk_by(|one, other| group(one) == group(other) && group(one) != Group::Special) {
            match group(&run[0]) {
                Group::Text => words.push_str(&text.decode(run).unwrap_or_default()),
                Group::Image => words.push_str(&image_words(run.len(), self.image_grid)),
                Group::Pad => words.push_str(&format!("[padding {} tokens]", run.len())),
                Group::Special => words.push_str(vocabulary.token(run[0]).unwrap_or("<unknown>")),
            }
        }
        words
    }
}

impl Words {
    /// Spans whose place and whose tokens, up to their end, are among these ids, which begin at `start`.
    pub fn moved_spans(&self, ids: &[TokenId], start: usize) -> Vec<MovedSpan> {
        let spans = |of: &Ids| moved_spans(ids, start, &specials(&of.vocabulary));
        self.ids.as_ref().map(spans).unwrap_or_default()
    }
}

/// A whole image is named by its sides, a part of one by its tokens.
fn image_words(tokens: usize, [width, height]: [u16; 2]) -> String {
    if tokens == usize::from(width) * usize::from(height) {
        return format!("[image {width}x{height}]");
    }
    format!("[{tokens} tokens of an image]")
}

/// Where one span was, and where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MovedSpan {
    /// The number of its sentinel.
    pub sentinel: u32,
    /// Where its sentinel stands in its place.
    pub gap: usize,
    /// Where its tokens begin now.
    pub start: usize,
    /// Their number.
    pub length: usize,
}

impl fmt::Display for MovedSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sentinel, gap, start, length } = self;
        write!(formatter, "span {sentinel}: {length} tokens moved from {gap} to {start}")
    }
}

fn moved_spans(ids: &[TokenId], start: usize, specials: &Specials) -> Vec<MovedSpan> {
    let mut gaps = BTreeMap::new();
    let mut spans = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let Some(sentinel) = specials.sentinel_index(*id) else { continue };
        let Some(gap) = gaps.remove(&sentinel) else {
            gaps.insert(sentinel, index);
            continue;
        };
        let moved = &ids[index + 1..];
        if let Some(length) = moved.iter().position(|id| *id == specials.end_of_span) {
            spans.push(MovedSpan { sentinel, gap: start + gap, start: start + index + 1, length });
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_image_is_named_by_its_sides() {
        assert_eq!(image_words(256, [16, 16]), "[image 16x16]");
        assert_eq!(image_words(100, [16, 16]), "[100 tokens of an image]");
    }

    #[test]
    fn a_span_that_its_piece_cuts_is_not_shown() {
        let specials = Specials::consecutive(2, 2);
        let (end, [one, two]) = (specials.end_of_span, [0, 1].map(|index| specials.sentinel(index)));
        let ids = [0, one, 1, two, 0, one, 1, 1, end, two, 1, 0];
        let whole = MovedSpan { sentinel: 0, gap: 101, start: 106, length: 2 };
        assert_eq!(moved_spans(&ids, 100, &specials), [whole]);
    }
}
