//! Where the tokens of a document go when spans of it move to its end.

use std::ops::Range;

use super::super::pieces::Pieces;
use super::super::{Example, Specials, TokenDocument, TokenId};

/// One example in the making: the text with a sentinel for each span, then each sentinel with its span.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    text: Pieces,
    spans: Pieces,
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
            sentinels.push(index, &mut text);
            for _ in 0..hints.get(index as usize).copied().unwrap_or(0) {
                text.special_if(false, sentinels.specials.mask);
            }
            after_last = span.end;
        }
        text.tokens(after_last..num_tokens);
        Self { text, spans: sentinels.with_spans(spans) }
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
            sentinels.push(index, &mut text);
            after_last = span.end.max(span.start + 1);
        }
        text.tokens(after_last..num_tokens);
        Self { text, spans: sentinels.with_spans(spans) }
    }

    pub(super) fn len(&self) -> u32 {
        self.text.len() + self.spans.len()
    }

    /// Keeps the first `limit` tokens of the result: the end of the last span is lost.
    pub(super) fn drop_end(&mut self, limit: u32) {
        let num_text = self.text.len();
        self.spans.drop_end((num_text + self.spans.len()).saturating_sub(limit.max(num_text)));
        self.text.drop_end(num_text.saturating_sub(limit));
    }

    /// Drops tokens from the end of the text, never from a span, until `limit` tokens are left or the text has none.
    pub(super) fn shorten_text(&mut self, limit: u32) {
        let excess = self.len().saturating_sub(limit);
        self.text.drop_tokens(excess);
    }

    /// As [`Layout::shorten_text`], but as the published code does it: sentinels in the text are dropped like tokens.
    pub(super) fn shorten_text_as_reference(&mut self, limit: u32) {
        let excess = self.len().saturating_sub(limit);
        self.text.drop_end(excess);
    }

    /// Appends a token behind all spans.
    pub(super) fn end_in(&mut self, id: TokenId) {
        self.spans.special(id);
    }

    /// The example of these tokens.
    pub(super) fn place(self, document: &TokenDocument) -> Example {
        let mut pieces = self.text;
        pieces.append(self.spans);
        pieces.place(document)
    }
}

/// The sentinels of spans, which are learnt or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentinels<'a> {
    pub(super) specials: &'a Specials,
    pub(super) are_learnt: bool,
}

impl Sentinels<'_> {
    fn push(self, index: u32, pieces: &mut Pieces) {
        pieces.special_if(self.are_learnt, self.specials.sentinel(index));
    }

    // Room for what follows the text, too: it is moved there.
    fn room_for_text(self, spans: &[Range<u32>]) -> Pieces {
        Pieces::with_room(5 * spans.len() + 2)
    }

    fn with_spans(self, spans: &[Range<u32>]) -> Pieces {
        let mut pieces = Pieces::with_room(3 * spans.len() + 1);
        for (index, span) in (0..).zip(spans) {
            self.push(index, &mut pieces);
            pieces.tokens(span.clone());
            pieces.special(self.specials.end_of_span);
        }
        pieces
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
        let example = layout.clone().place(&text(10));
        assert_eq!(example.input_ids, expected);
        assert_eq!(example.source, source);
        assert_eq!(layout.len() as usize, expected.len());
    }

    fn check_images(images: &[Range<u32>], spans: &[Range<u32>], expected: &[Range<u32>]) {
        let document = TokenDocument { images: images.to_vec(), ..text(10) };
        assert_eq!(layout(spans).place(&document).images, expected);
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
