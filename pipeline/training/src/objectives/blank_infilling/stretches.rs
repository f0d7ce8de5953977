//! What of a document goes into an example: all of it, a piece, or a stretch of one from sentence to sentence.

use std::num::NonZeroU32;
use std::ops::Range;

use super::super::TokenId;
use super::BlanksThenSpans;
use crate::random::KeyedRandom;

/// No stretch is drawn shorter than this.
pub(super) const SHORTEST_STRETCH: u32 = 32;

/// A stretch of a document, and whether its document ends with it.
pub(super) struct Stretch {
    pub(super) tokens: Range<u32>,
    pub(super) is_last: bool,
}

impl BlanksThenSpans {
    /// A document of so many tokens in pieces; there is always one.
    pub(super) fn pieces(&self, num_tokens: u32) -> Vec<Stretch> {
        let longest = self.settings.max_source_tokens.map_or(num_tokens.max(1), NonZeroU32::get);
        let piece = |number: u32| {
            let start = number * longest;
            let end = start.saturating_add(longest).min(num_tokens);
            Stretch { tokens: start..end, is_last: end == num_tokens }
        };
        (0..num_tokens.div_ceil(longest).max(1)).map(piece).collect()
    }

    /// What a piece of a document gives examples of.
    pub(super) fn stretches(&self, tokens: &[TokenId], piece: Stretch, random: &mut KeyedRandom) -> Vec<Stretch> {
        let settings = &self.settings;
        let Some(longest) = settings.max_source_tokens.filter(|_| settings.short_seq_prob > 0.0) else {
            return vec![piece];
        };
        if !random.happens(settings.short_seq_prob) {
            return vec![piece];
        }
        let length = random.within(SHORTEST_STRETCH, longest.get());
        let (start, end) = (piece.tokens.start, piece.tokens.end);
        if length >= end - start {
            return vec![piece];
        }
        let stretch = |_| {
            let first = start + random.within(0, end - start - length);
            let tokens = self.between_sentences(tokens, start, first..first + length);
            Stretch { is_last: piece.is_last && tokens.end == end, tokens }
        };
        (0..(end - start) / length).map(stretch).collect()
    }

    // The stretch with each end moved back to where a sentence ends, its first one no further than to `least`.
    fn between_sentences(&self, tokens: &[TokenId], least: u32, stretch: Range<u32>) -> Range<u32> {
        let length = stretch.end - stretch.start;
        let ends = |behind: u32| self.ends_sentence(tokens[behind as usize - 1]);
        let mut start = stretch.start;
        while start > least && !ends(start) {
            start -= 1;
        }
        let mut end = start + length;
        while end > start && !ends(end) {
            end -= 1;
        }
        if end - start < length / 2 { start..start + length } else { start..end }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Objective;
    use super::super::super::testing::{END, FULL_STOP, check_share, stream, text};
    use super::super::testing::of_pieces;
    use super::*;

    #[test]
    fn a_document_goes_in_pieces_of_its_tokens() {
        for num_tokens in [0, 1, 19, 20, 21, 40, 45] {
            let objective = of_pieces(20, 0.0);
            let examples = objective.apply(&text(num_tokens), &mut stream(3));
            assert_eq!(examples.len() as u32, num_tokens.div_ceil(20).max(1));
            let restored: Vec<_> = examples.iter().flat_map(|example| objective.invert(example).unwrap()).collect();
            assert_eq!(restored, text(num_tokens).tokens);
            let ends = examples.iter().map(|example| example.input_ids.contains(&END)).collect::<Vec<_>>();
            let (last, others) = ends.split_last().unwrap();
            assert!(*last && others.iter().all(|&has_end| !has_end), "{ends:?}");
        }
    }

    #[test]
    fn stretches_begin_and_end_with_sentences_unless_too_little_is_left() {
        let mut document = text(60);
        [9, 29, 49].into_iter().for_each(|position| document.tokens[position] = FULL_STOP);
        let objective = of_pieces(60, 1.0);
        let moved = |stretch| objective.between_sentences(&document.tokens, 0, stretch);
        assert_eq!(moved(12..52), 10..50);
        assert_eq!(moved(5..45), 0..30);
        assert_eq!(moved(10..50), 10..50);
        assert_eq!(moved(33..59), 30..50);
        assert_eq!(moved(50..60), 50..60);
        assert_eq!(objective.between_sentences(&document.tokens, 4, 5..45), 4..30);
    }

    #[test]
    fn short_stretches_come_with_their_chance_and_any_length_from_anywhere() {
        let objective = BlanksThenSpans { text: None, ..of_pieces(100, 0.2) };
        let tokens = text(100).tokens;
        let (mut num_short, mut num_of_32, mut num_at_start) = (0, 0, 0);
        for number in 0..100_000 {
            let piece = Stretch { tokens: 0..100, is_last: true };
            let stretches = objective.stretches(&tokens, piece, &mut stream(number));
            let first = stretches[0].tokens.clone();
            if first == (0..100) {
                continue;
            }
            // Without text no sentence ends, so the first end moves back to the start.
            assert!(stretches.iter().all(|stretch| stretch.tokens.len() == first.len() && stretch.tokens.start == 0));
            assert!((32..100).contains(&first.len()));
            assert_eq!(stretches.len(), 100 / first.len());
            num_short += 1;
            num_of_32 += usize::from(first.len() == 32);
        }
        check_share(num_short, 100_000, 0.2);
        check_share(num_of_32, num_short, 1.0 / 68.0);
        // Where each token ends a sentence, nothing moves: of 100 tokens a stretch of 32 begins in 68 places.
        let (objective, tokens) = (of_pieces(33, 1.0), vec![FULL_STOP; 100]);
        for number in 0..100_000 {
            let piece = Stretch { tokens: 0..100, is_last: true };
            let stretches = objective.stretches(&tokens, piece, &mut stream(number));
            assert_eq!(stretches.len(), 3);
            num_at_start += stretches.iter().filter(|stretch| stretch.tokens == (0..32)).count();
        }
        check_share(num_at_start, 300_000, 1.0 / 68.0);
    }
}
