//! Replaces spans by masks and has them predicted behind the text, in random order (GLM, arXiv 2103.10360).

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pieces::Pieces;
use super::{
    Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Predicts, Specials, TokenColumns, TokenDocument,
    TokenId,
};
use crate::random::KeyedRandom;

/// Settings of `blank_infilling`: GLM's short spans (`[MASK]`), not its masked sentences or ends.
///
/// An example is `text with <mask> <eod>`, which is seen in both directions, then each span as
/// `<begin_of_piece> span`, whose labels are `span <end_of_piece>`, each at the position that predicts it.
/// `position_ids` count the text, in which spans have the position of their mask; `block_position_ids` are 0 in the
/// text and count each span from 1 (`blocklm_utils.py`, `ConstructBlockStrategy`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlankInfilling {
    /// So large a share of a document's tokens is in spans, rounded down.
    pub masked_share: f64,
    /// A span has Poisson(`mean_span_length`) tokens, from 1 to 39; the last is shortened to what is left.
    pub mean_span_length: f64,
}

const LONGEST_SPAN: u32 = 39;
const DRAWS_BEFORE_ONE: u32 = 1000;

impl Default for BlankInfilling {
    fn default() -> Self {
        Self { masked_share: 0.15, mean_span_length: 3.0 }
    }
}

impl ObjectiveSettings for BlankInfilling {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let mut problems = Vec::new();
        if !(0.0..=0.5).contains(&self.masked_share) {
            problems.push(format!("masked_share is {}, but spans are apart: at most 0.5", self.masked_share));
        }
        if !(self.mean_span_length > 0.0 && self.mean_span_length <= f64::from(LONGEST_SPAN)) {
            problems.push(format!("mean_span_length is {}, but a span has 1 to 39 tokens", self.mean_span_length));
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(BlanksThenSpans { settings: self.clone(), specials: *specials })
    }

    fn token_columns(&self) -> TokenColumns {
        TokenColumns { position_ids: true, block_position_ids: true, ..TokenColumns::default() }
    }
}

#[derive(Debug)]
struct BlanksThenSpans {
    settings: BlankInfilling,
    specials: Specials,
}

impl Objective for BlanksThenSpans {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let spans = self.settings.spans(document.tokens.len() as u32, random);
        let mut order: Vec<usize> = (0..spans.len()).collect();
        random.shuffle(&mut order);
        vec![self.example(document, &spans, &order)]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let specials = &self.specials;
        let (text, spans) = example.input_ids.split_at((example.prefix_len as usize).min(example.input_ids.len()));
        let text = super::example::without_end(text, specials.end_of_document)?;
        let mut tokens = Vec::with_capacity(example.input_ids.len());
        for (position, &id) in text.iter().enumerate() {
            if id == specials.mask {
                // A span's first token is the one that begins it, and all have the position of its mask.
                let has_position = |index: &usize| {
                    example.position_ids.get(text.len() + 1 + index).is_some_and(|&at| at as usize == position)
                };
                let span = (0..spans.len()).filter(has_position).map(|index| spans[index]);
                let before = tokens.len();
                tokens.extend(span.filter(|&id| id != specials.begin_of_piece));
                if tokens.len() == before {
                    return Err(NotInvertible::Hidden { position });
                }
            } else if specials.reserve(id) {
                return Err(NotInvertible::Misplaced { position, token: id });
            } else {
                tokens.push(id);
            }
        }
        Ok(tokens)
    }
}

impl BlankInfilling {
    // Spans in order, with at least one token between two; which gaps they stand in is as likely for each choice.
    fn spans(&self, num_tokens: u32, random: &mut KeyedRandom) -> Vec<Range<u32>> {
        let mut remaining = (f64::from(num_tokens) * self.masked_share) as u32;
        let num_seen = num_tokens - remaining;
        let mut lengths = Vec::new();
        while remaining > 0 {
            let length = self.span_length(random).min(remaining);
            lengths.push(length);
            remaining -= length;
        }
        // A span stands before one of the seen tokens or behind the last, and no two at the same place.
        let places = random.choose(lengths.len() as u32, num_seen + 1);
        let mut num_masked = 0;
        let span = |(place, length)| {
            let start = place + num_masked;
            num_masked += length;
            start..start + length
        };
        places.into_iter().zip(lengths).map(span).collect()
    }

    fn span_length(&self, random: &mut KeyedRandom) -> u32 {
        let mut draws = (0..DRAWS_BEFORE_ONE).map(|_| random.poisson(self.mean_span_length));
        draws.find(|length| (1..=LONGEST_SPAN).contains(length)).unwrap_or(1)
    }
}

impl BlanksThenSpans {
    fn example(&self, document: &TokenDocument, spans: &[Range<u32>], order: &[usize]) -> Example {
        let mut pieces = Pieces::default();
        let mut masks = Vec::with_capacity(spans.len());
        let mut after_last = 0;
        for span in spans {
            pieces.tokens(after_last..span.start);
            masks.push(pieces.len());
            pieces.special(self.specials.mask);
            after_last = span.end;
        }
        pieces.tokens(after_last..document.tokens.len() as u32);
        pieces.special(self.specials.end_of_document);
        let prefix_len = pieces.len();
        let mut position_ids: Vec<u32> = (0..prefix_len).collect();
        let mut block_position_ids = vec![0; prefix_len as usize];
        let mut labels = vec![NO_LOSS; prefix_len as usize];
        for &index in order {
            let span = spans[index].clone();
            let num_predicted = span.end - span.start + 1;
            position_ids.extend((0..num_predicted).map(|_| masks[index]));
            block_position_ids.extend(1..=num_predicted);
            labels.extend_from_slice(&document.tokens[span.start as usize..span.end as usize]);
            labels.push(self.specials.end_of_piece);
            pieces.special(self.specials.begin_of_piece);
            pieces.tokens(span);
        }
        let (predicts, objective) = (Predicts::Here, "blank_infilling");
        let example = pieces.place(document);
        Example { labels, prefix_len, position_ids, block_position_ids, predicts, objective, ..example }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{END, MASK, SPECIALS, check_share, stream, text};
    use super::*;

    #[test]
    fn spans_follow_the_text_in_their_drawn_order_at_the_positions_of_their_masks() {
        let objective = BlanksThenSpans { settings: BlankInfilling::default(), specials: SPECIALS };
        let example = objective.example(&text(6), &[1..3, 4..5], &[1, 0]);
        let (begin, end) = (SPECIALS.begin_of_piece, SPECIALS.end_of_piece);
        assert_eq!(example.input_ids, [10, MASK, 13, MASK, 15, END, begin, 14, begin, 11, 12]);
        assert_eq!(example.labels[..6], [NO_LOSS; 6]);
        assert_eq!(example.labels[6..], [14, end, 11, 12, end]);
        assert_eq!(example.position_ids, [0, 1, 2, 3, 4, 5, 3, 3, 1, 1, 1]);
        assert_eq!(example.block_position_ids, [0, 0, 0, 0, 0, 0, 1, 2, 1, 2, 3]);
        assert_eq!(example.prefix_len, 6);
        assert_eq!(objective.invert(&example), Ok(text(6).tokens));
    }

    #[test]
    fn a_share_is_masked_in_spans_apart_of_the_truncated_poisson_lengths() {
        let (mut num_spans, mut num_ones) = (0, 0);
        for number in 0..100_000 {
            let spans = BlankInfilling::default().spans(200, &mut stream(number));
            assert_eq!(spans.iter().map(|span| span.end - span.start).sum::<u32>(), 30);
            assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{spans:?}");
            num_spans += 1;
            num_ones += usize::from(BlankInfilling::default().span_length(&mut stream(number)) == 1);
        }
        let at_least_one = 1.0 - (-3.0_f64).exp();
        check_share(num_ones, num_spans, 3.0 * (-3.0_f64).exp() / at_least_one);
    }

    #[test]
    fn a_short_document_has_nothing_masked() {
        assert_eq!(BlankInfilling::default().spans(6, &mut stream(0)), []);
    }
}
