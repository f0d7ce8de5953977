//! Where the tokens of a document go when spans of it move to its end.

use std::ops::Range;

use super::super::pieces::Pieces;
use super::super::{Example, Specials, TokenDocument, TokenId};

/// One example in the making: the text with a sentinel for each span, then each sentinel with its span.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pieces: Pieces,
    // How many of them are the text.
    num_of_text: usize,
}

impl Layout {
    /// All of a document of `num_tokens`, from `spans` that are in order, without overlap, and no more than sentinels.
    ///
    /// The sentinel of span `i` is followed by `hints[i]` mask tokens where it stands in the text. They never are learnt,
    /// for they can't be known.
    pub(super) fn new(num_tokens: u32, spans: &[Range<u32>], hints: &[u32], sentinels: Sentinels) -> Self {
        let mut text = sentinels.room_for_text(spans);
        let mut after_last = 0;
        for (index, span) in (0..).zip(spans) {
            text.tokens(after_last..span.start);
            sentinels.push(index, span, &mut text);
            for _ in 0..hints.get(index as usize).copied().unwrap_or(0) {
                text.special_if(false, sentinels.specials.mask);
            }
            after_last = span.end;
        }
        text.tokens(after_last..num_tokens);
        sentinels.with_spans(text, spans)
    }

    /// What the published code makes of spans that may be empty: an empty one overwrites a token with its sentinel, or
    /// vanishes from the text where it lies within another span (`causal_masked_dataset.py`, `sentinel_masking`).
    pub(super) fn of_reference(num_tokens: u32, spans: &[Range<u32>], sentinels: Sentinels) -> Self {
        let mut text = sentinels.room_for_text(spans);
        let mut after_last = 0;
        for (index, span) in (0..).zip(spans) {
            if span.start < after_last || span.start >= num_tokens {
                continue;
            }
            text.tokens(after_last..span.start);
            sentinels.push(index, span, &mut text);
            after_last = span.end.max(span.start + 1);
        }
        text.tokens(after_last..num_tokens);
        sentinels.with_spans(text, spans)
    }

    pub(super) fn len(&self) -> u32 {
        self.pieces.len()
    }

    /// Keeps the first `limit` tokens of the result: the end of the last span is lost.
    pub(super) fn drop_end(&mut self, limit: u32) {
        self.pieces.drop_end(self.len().saturating_sub(limit));
    }

    /// Drops tokens from the end of the text, never from a span, until `limit` tokens are left or the text has none.
    pub(super) fn shorten_text(&mut self, limit: u32) {
        let excess = self.len().saturating_sub(limit);
        self.pieces.drop_tokens(self.num_of_text, excess);
    }

    /// As [`Layout::shorten_text`], but as the published code does it: sentinels in the text are dropped like tokens.
    pub(super) fn shorten_text_as_reference(&mut self, limit: u32) {
        let excess = self.len().saturating_sub(limit);
        let spans = self.pieces.split_off(self.num_of_text);
        self.pieces.drop_end(excess);
        self.num_of_text = self.pieces.num_pieces();
        self.pieces.append(spans);
    }

    /// Appends a token behind all spans.
    pub(super) fn end_in(&mut self, id: TokenId) {
        self.pieces.special(id);
    }

    /// The example of these tokens. What was retrieved for the document has loss of this weight.
    pub(super) fn place(self, document: &TokenDocument, retrieved_loss_weight: f32) -> Example {
        let mut example = self.pieces.place(document);
        if retrieved_loss_weight != 1.0 && !document.retrieved.is_empty() {
            example.loss_weights = self.pieces.weights(&document.retrieved, retrieved_loss_weight, &example.labels);
        }
        example
    }
}

/// The sentinels of spans, which are learnt or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentinels<'a> {
    pub(super) specials: &'a Specials,
    pub(super) are_learnt: bool,
}

impl Sentinels<'_> {
    fn push(self, index: u32, span: &Range<u32>, pieces: &mut Pieces) {
        pieces.special_at(span.start, self.are_learnt, self.specials.sentinel(index));
    }

    // Room for what follows the text, too.
    fn room_for_text(self, spans: &[Range<u32>]) -> Pieces {
        Pieces::with_room(5 * spans.len() + 2)
    }

    fn with_spans(self, text: Pieces, spans: &[Range<u32>]) -> Layout {
        let (num_of_text, mut pieces) = (text.num_pieces(), text);
        for (index, span) in (0..).zip(spans) {
            self.push(index, span, &mut pieces);
            pieces.tokens(span.clone());
            // An empty span, as the reference has, ends with the token that it stands before.
            pieces.special_at(span.start.max(span.end.saturating_sub(1)), true, self.specials.end_of_span);
        }
        Layout { pieces, num_of_text }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{S0, SPECIALS, text};
    use super::*;

    const E: TokenId = SPECIALS.end_of_span;
    const S1: TokenId = S0 + 1;
    const M: TokenId = SPECIALS.mask;
    const SENTINELS: Sentinels = Sentinels { specials: &SPECIALS, are_learnt: false };

    fn layout(spans: &[Range<u32>]) -> Layout {
        Layout::new(10, spans, &[], SENTINELS)
    }

    fn reference(spans: &[Range<u32>]) -> Layout {
        Layout::of_reference(10, spans, SENTINELS)
    }

    fn check(layout: &Layout, expected: &[TokenId], source: &[Range<u32>]) {
        let example = layout.clone().place(&text(10), 1.0);
        assert_eq!(example.input_ids, expected);
        assert_eq!(example.source, source);
        assert_eq!(layout.len() as usize, expected.len());
    }

    fn check_images(images: &[Range<u32>], spans: &[Range<u32>], expected: &[Range<u32>]) {
        let document = TokenDocument { images: images.to_vec(), ..text(10) };
        assert_eq!(layout(spans).place(&document, 1.0).images, expected);
    }

    #[test]
    fn two_spans_move_in_their_order() {
        let expected = [10, 11, S0, 15, 16, S1, 18, 19, S0, 12, 13, 14, E, S1, 17, E];
        check(&layout(&[2..5, 7..8]), &expected, &[0..10]);
        check(&reference(&[2..5, 7..8]), &expected, &[0..10]);
    }

    #[test]
    fn adjacent_spans_leave_two_sentinels_side_by_side() {
        let expected = [10, 11, S0, S1, 18, 19, S0, 12, 13, 14, E, S1, 15, 16, 17, E];
        check(&layout(&[2..5, 5..8]), &expected, &[0..10]);
        check(&reference(&[2..5, 5..8]), &expected, &[0..10]);
    }

    #[test]
    fn a_whole_document_leaves_its_sentinel() {
        let expected = [S0, S0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, E];
        check(&layout(&[0..10]), &expected, &[0..10]);
        check(&reference(&[0..10]), &expected, &[0..10]);
    }

    #[test]
    fn no_span_leaves_the_document() {
        check(&layout(&[]), &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19], &[0..10]);
    }

    #[test]
    fn an_empty_span_loses_nothing_of_ours_and_a_token_of_the_reference() {
        let spans = [3..3, 6..8];
        check(&layout(&spans), &[10, 11, 12, S0, 13, 14, 15, S1, 18, 19, S0, E, S1, 16, 17, E], &[0..10]);
        check(&reference(&spans), &[10, 11, 12, S0, 14, 15, S1, 18, 19, S0, E, S1, 16, 17, E], &[0..3, 4..10]);
    }

    #[test]
    fn an_empty_span_within_another_leaves_no_sentinel_in_the_text_of_the_reference() {
        check(&reference(&[2..8, 5..5]), &[10, 11, S0, 18, 19, S0, 12, 13, 14, 15, 16, 17, E, S1, E], &[0..10]);
    }

    #[test]
    fn size_hints_follow_the_sentinel_in_the_text() {
        let layout = Layout::new(10, &[2..5, 7..8], &[3, 0], SENTINELS);
        let expected = [10, 11, S0, M, M, M, 15, 16, S1, 18, 19, S0, 12, 13, 14, E, S1, 17, E];
        check(&layout, &expected, &[0..10]);
    }

    #[test]
    fn what_is_dropped_at_the_end_is_of_the_last_spans() {
        let mut layout = layout(&[2..5, 7..9]);
        layout.drop_end(14);
        check(&layout, &[10, 11, S0, 15, 16, S1, 19, S0, 12, 13, 14, E, S1, 17], &[0..8, 9..10]);
        layout.drop_end(4);
        check(&layout, &[10, 11, S0, 15], &[0..2, 5..6]);
    }

    #[test]
    fn a_shortened_text_keeps_its_sentinels_and_all_spans() {
        let mut layout = layout(&[2..5, 7..9]);
        layout.shorten_text(14);
        check(&layout, &[10, 11, S0, 15, S1, S0, 12, 13, 14, E, S1, 17, 18, E], &[0..6, 7..9]);
    }

    #[test]
    fn a_text_shortened_as_the_reference_does_may_lose_a_sentinel() {
        let mut layout = layout(&[2..5, 7..9]);
        layout.shorten_text_as_reference(14);
        check(&layout, &[10, 11, S0, 15, 16, S0, 12, 13, 14, E, S1, 17, 18, E], &[0..9]);
    }

    #[test]
    fn retrieved_tokens_weigh_less_wherever_they_stand_and_so_does_what_was_added_for_them() {
        // 10 11 S0 15 16 S1 18 19 S0 12 13 14 E S1 17 E, of which 12 to 16 were retrieved.
        let document = TokenDocument { retrieved: vec![2..5, 5..7], ..text(10) };
        let learnt = Sentinels { are_learnt: true, ..SENTINELS };
        let weights = |sentinels| Layout::new(10, &[2..5, 7..8], &[], sentinels).place(&document, 0.25).loss_weights;
        let (w, n) = (0.25, 0.0);
        assert_eq!(weights(learnt), [1.0, 1.0, w, w, w, 1.0, 1.0, 1.0, w, w, w, w, w, 1.0, 1.0, 1.0]);
        assert_eq!(weights(SENTINELS), [1.0, 1.0, n, w, w, n, 1.0, 1.0, n, w, w, w, w, n, 1.0, 1.0]);
    }

    #[test]
    fn a_span_across_what_was_retrieved_ends_with_the_weight_of_its_last_token() {
        let document = TokenDocument { retrieved: vec![0..3], ..text(4) };
        let example = Layout::new(4, &[2..4], &[], SENTINELS).place(&document, 0.25);
        assert_eq!(example.loss_weights, [0.25, 0.25, 0.0, 0.0, 0.25, 1.0, 1.0]);
        assert_eq!(Layout::new(4, &[2..4], &[], SENTINELS).place(&document, 1.0).loss_weights, [0.0; 0]);
    }

    #[test]
    fn an_image_moves_with_its_span() {
        // 10 11 S0 15 16 17 18 19 S0 12 13 14 E
        check_images(&[3..5, 6..8], &[2..5], &[4..6, 10..12]);
    }

    #[test]
    fn a_cut_image_is_two_runs() {
        // 10 11 S0 15 16 17 18 19 S0 12 13 14 E
        check_images(&[1..3], &[2..5], &[1..2, 9..10]);
    }

    #[test]
    fn an_image_cut_by_adjacent_spans_leaves_no_empty_run() {
        // 10 11 S0 S1 18 19 S0 12 13 14 E S1 15 16 17 E
        check_images(&[3..7], &[2..5, 5..8], &[8..10, 12..14]);
    }

    #[test]
    fn an_image_around_two_spans_is_five_runs() {
        // 10 11 S0 15 16 S1 18 19 S0 12 13 14 E S1 17 E
        check_images(&[0..10], &[2..5, 7..8], &[0..2, 3..5, 6..8, 9..12, 14..15]);
    }
}
