//! Moves spans of a document to its end, and back.

use std::ops::Range;

use super::super::{NotInvertible, Specials, TokenDocument, TokenId};

/// The tokens with each span replaced by its sentinel, then each sentinel with its span and an end-of-span token.
///
/// `spans` are in order, without overlap, none empty, and no more than there are sentinels. No end-of-document token is
/// added, but the result has room for one.
pub fn relocate(tokens: &[TokenId], spans: &[Range<u32>], specials: &Specials) -> Vec<TokenId> {
    let mut relocated = Vec::with_capacity(tokens.len() + 3 * spans.len() + 1);
    let mut after_last = 0;
    for (sentinel, span) in (0..).zip(spans) {
        relocated.extend_from_slice(&tokens[after_last..span.start as usize]);
        relocated.push(specials.sentinel(sentinel));
        after_last = span.end as usize;
    }
    relocated.extend_from_slice(&tokens[after_last..]);
    for (sentinel, span) in (0..).zip(spans) {
        relocated.push(specials.sentinel(sentinel));
        relocated.extend_from_slice(&tokens[span.start as usize..span.end as usize]);
        relocated.push(specials.end_of_span);
    }
    relocated
}

/// Where the document's image tokens stand after [`relocate`], in order; an image that a span cuts gives several runs.
pub(super) fn images(document: &TokenDocument, spans: &[Range<u32>]) -> Vec<Range<u32>> {
    if spans.is_empty() || document.images.is_empty() {
        return document.images.clone();
    }
    let pieces = pieces(document.tokens.len() as u32, spans);
    let mut runs = Vec::with_capacity(document.images.len() + 2 * spans.len());
    for image in &document.images {
        let first = pieces.partition_point(|piece| piece.from.end <= image.start);
        for piece in pieces[first..].iter().take_while(|piece| piece.from.start < image.end) {
            let start = image.start.max(piece.from.start);
            let end = image.end.min(piece.from.end);
            if start == end {
                continue; // nothing stands between adjacent spans
            }
            runs.push(start - piece.from.start + piece.to..end - piece.from.start + piece.to);
        }
    }
    runs.sort_unstable_by_key(|run| run.start);
    runs
}

// A stretch of the document that stays in one piece, and where its first token goes.
struct Piece {
    from: Range<u32>,
    to: u32,
}

// The whole document, in its own order.
fn pieces(num_tokens: u32, spans: &[Range<u32>]) -> Vec<Piece> {
    let masked: u32 = spans.iter().map(|span| span.end - span.start).sum();
    let mut text_to = 0;
    let mut span_to = num_tokens - masked + spans.len() as u32 + 1; // behind all text, the sentinels in it, and the first span's
    let mut after_last = 0;
    let mut pieces = Vec::with_capacity(2 * spans.len() + 1);
    for span in spans {
        pieces.push(Piece { from: after_last..span.start, to: text_to });
        pieces.push(Piece { from: span.clone(), to: span_to });
        text_to += span.start - after_last + 1;
        span_to += span.end - span.start + 2;
        after_last = span.end;
    }
    pieces.push(Piece { from: after_last..num_tokens, to: text_to });
    pieces
}

/// The tokens that [`relocate`] was given.
pub(super) fn restore(relocated: &[TokenId], specials: &Specials) -> Result<Vec<TokenId>, NotInvertible> {
    let (sentinels, spans_start) = sentinels_in_text(relocated, specials)?;
    let spans = spans_at_end(relocated, spans_start, sentinels.len(), specials)?;
    let mut tokens = Vec::with_capacity(relocated.len());
    let mut after_last = 0;
    for (sentinel, span) in sentinels.into_iter().zip(spans) {
        tokens.extend_from_slice(&relocated[after_last..sentinel]);
        tokens.extend_from_slice(&relocated[span]);
        after_last = sentinel + 1;
    }
    tokens.extend_from_slice(&relocated[after_last..spans_start]);
    Ok(tokens)
}

// Where each sentinel stands in the text, and where the text ends: at the second stand of the first sentinel.
fn sentinels_in_text(relocated: &[TokenId], specials: &Specials) -> Result<(Vec<usize>, usize), NotInvertible> {
    let mut sentinels = Vec::new();
    for (position, &token) in relocated.iter().enumerate() {
        if !specials.contain(token) {
            continue;
        }
        match specials.sentinel_index(token) {
            Some(index) if index as usize == sentinels.len() => sentinels.push(position),
            Some(0) => return Ok((sentinels, position)),
            _ => return Err(NotInvertible::Misplaced { position, token }),
        }
    }
    match sentinels.len() {
        0 => Ok((sentinels, relocated.len())),
        expected => Err(NotInvertible::MissingSpan { expected, found: 0 }),
    }
}

fn spans_at_end(
    relocated: &[TokenId],
    spans_start: usize,
    expected: usize,
    specials: &Specials,
) -> Result<Vec<Range<usize>>, NotInvertible> {
    let mut spans = Vec::with_capacity(expected);
    let mut open = None;
    for (position, &token) in relocated.iter().enumerate().skip(spans_start) {
        let next_sentinel = spans.len() < expected && token == specials.sentinel(spans.len() as u32);
        match open {
            None if next_sentinel => open = Some(position + 1),
            Some(start) if token == specials.end_of_span => {
                spans.push(start..position);
                open = None;
            }
            Some(_) if !specials.contain(token) => {}
            _ => return Err(NotInvertible::Misplaced { position, token }),
        }
    }
    if spans.len() < expected {
        return Err(NotInvertible::MissingSpan { expected, found: spans.len() });
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    const E: TokenId = 92;
    const S0: TokenId = 93;
    const S1: TokenId = 94;
    const SPECIALS: Specials =
        Specials { pad: 90, end_of_document: 91, end_of_span: E, first_sentinel: S0, num_sentinels: 16 };

    fn check(spans: &[Range<u32>], expected: &[TokenId]) {
        let tokens: Vec<_> = (10..20).collect();
        let relocated = relocate(&tokens, spans, &SPECIALS);
        assert_eq!(relocated, expected);
        assert_eq!(restore(&relocated, &SPECIALS), Ok(tokens));
    }

    fn check_images(images: &[Range<u32>], spans: &[Range<u32>], expected: &[Range<u32>]) {
        let document = TokenDocument { tokens: (10..20).collect(), images: images.to_vec() };
        assert_eq!(super::images(&document, spans), expected);
    }

    #[test]
    fn two_spans_move_in_their_order() {
        check(&[2..5, 7..8], &[10, 11, S0, 15, 16, S1, 18, 19, S0, 12, 13, 14, E, S1, 17, E]);
    }

    #[test]
    fn adjacent_spans_leave_two_sentinels_side_by_side() {
        check(&[2..5, 5..8], &[10, 11, S0, S1, 18, 19, S0, 12, 13, 14, E, S1, 15, 16, 17, E]);
    }

    #[test]
    fn a_whole_document_leaves_its_sentinel() {
        check(&[0..10], &[S0, S0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, E]);
    }

    #[test]
    fn no_span_leaves_the_document() {
        check(&[], &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    }

    #[test]
    fn an_empty_span_loses_nothing() {
        // None is ever chosen; the published code overwrites token 13 with the sentinel of this one.
        check(&[3..3, 6..8], &[10, 11, 12, S0, 13, 14, 15, S1, 18, 19, S0, E, S1, 16, 17, E]);
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

    #[test]
    fn a_span_that_never_comes_is_missing() {
        let expected = Err(NotInvertible::MissingSpan { expected: 2, found: 1 });
        assert_eq!(restore(&[10, S0, S1, S0, 11, E], &SPECIALS), expected);
    }

    #[test]
    fn a_span_without_its_end_is_missing() {
        let expected = Err(NotInvertible::MissingSpan { expected: 1, found: 0 });
        assert_eq!(restore(&[S0, S0, 11], &SPECIALS), expected);
    }

    #[test]
    fn text_between_spans_is_misplaced() {
        let expected = Err(NotInvertible::Misplaced { position: 4, token: 12 });
        assert_eq!(restore(&[S0, S0, 11, E, 12], &SPECIALS), expected);
    }

    #[test]
    fn sentinels_out_of_order_are_misplaced() {
        let expected = Err(NotInvertible::Misplaced { position: 0, token: S1 });
        assert_eq!(restore(&[S1, S0, S0, 11, E, S1, 12, E], &SPECIALS), expected);
    }
}
