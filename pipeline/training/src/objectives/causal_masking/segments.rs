//! The stretches between boundary tokens of a block, to which spans can be clipped (metaseq, `adjust_spans`).

use std::ops::Range;

use super::super::TokenId;
use crate::random::KeyedRandom;

/// Which token bounds segments, and to which of the two it stands between it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundaries {
    pub(super) token: TokenId,
    /// Whether a boundary token is the first of the segment behind it; else it is in none, and neither is the block's
    /// first token.
    pub(super) lead: bool,
}

/// The segments of a block, in order, none empty, without the tokens in front of this one. Its two ends are boundaries, too.
pub(super) fn segments(tokens: &[TokenId], boundaries: Option<Boundaries>, first: u32) -> Vec<Range<u32>> {
    let Some(boundaries) = boundaries else {
        return Vec::new();
    };
    let num_tokens = tokens.len() as u32;
    let inner = (1..num_tokens).filter(|&position| tokens[position as usize] == boundaries.token);
    let ends: Vec<u32> = std::iter::once(0).chain(inner).chain([num_tokens]).collect();
    let left_out = u32::from(!boundaries.lead);
    let between = ends.windows(2).map(|pair| (pair[0] + left_out).max(first)..pair[1]);
    between.filter(|segment| segment.start < segment.end).collect()
}

/// Each span clipped to the segment that it overlaps most, the first of several such; a span in none is dropped.
pub(super) fn clip(spans: Vec<Range<u32>>, segments: &[Range<u32>]) -> Vec<Range<u32>> {
    let clipped = |span: &Range<u32>| {
        let common = |segment: &Range<u32>| span.start.max(segment.start)..span.end.min(segment.end);
        let lengths = segments.iter().map(common).filter(|common| common.start < common.end);
        // `max_by_key` takes the last of equals.
        lengths.rev().max_by_key(|common| common.end - common.start)
    };
    spans.iter().filter_map(clipped).collect()
}

/// As many whole segments as there are spans, with this chance; never all of several.
pub(super) fn whole(
    segments: &[Range<u32>],
    num_spans: u32,
    chance: f64,
    random: &mut KeyedRandom,
) -> Option<Vec<Range<u32>>> {
    if chance <= 0.0 || segments.is_empty() || !random.happens(chance) {
        return None;
    }
    let num_segments = segments.len() as u32;
    let enough = num_spans == 1 || num_spans < num_segments;
    let chosen = |index: u32| segments[index as usize].clone();
    enough.then(|| random.choose(num_spans, num_segments).into_iter().map(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: TokenId = 9;

    #[test]
    fn a_leading_boundary_is_in_the_segment_behind_it() {
        let tokens = [1, 2, B, 3, B, B, 4];
        assert_eq!(segments(&tokens, Some(Boundaries { token: B, lead: true }), 0), [0..2, 2..4, 4..5, 5..7]);
        assert_eq!(segments(&tokens, Some(Boundaries { token: B, lead: false }), 1), [1..2, 3..4, 6..7]);
    }

    #[test]
    fn what_stands_in_front_of_the_first_token_that_may_move_is_in_no_segment() {
        let tokens = [1, 2, B, 3, 4, 5];
        assert_eq!(segments(&tokens, Some(Boundaries { token: B, lead: false }), 2), [3..6]);
        assert_eq!(segments(&tokens, Some(Boundaries { token: B, lead: false }), 4), [4..6]);
    }

    #[test]
    fn a_span_is_clipped_to_the_segment_that_it_overlaps_most() {
        assert_eq!(clip(vec![3..9], &[0..4, 4..8, 8..12]), [4..8]);
    }

    #[test]
    fn the_first_of_two_that_it_overlaps_as_much_has_the_span() {
        assert_eq!(clip(vec![2..6], &[0..4, 4..8]), [2..4]);
    }

    #[test]
    fn a_span_between_segments_is_dropped() {
        assert_eq!(clip(vec![4..5, 6..7], &[0..4, 5..8]), [6..7]);
    }

    #[test]
    fn whole_segments_are_never_all_of_several() {
        let mut random = KeyedRandom::new(0, "segments", b"", 0);
        assert_eq!(whole(&[0..4, 4..8], 2, 1.0, &mut random), None);
        assert_eq!(whole(&[0..4], 1, 1.0, &mut random), Some(vec![0..4]));
        assert_eq!(whole(&[0..4, 5..8, 9..10], 2, 1.0, &mut random).map(|chosen| chosen.len()), Some(2));
    }

    #[test]
    fn whole_segments_come_with_their_chance() {
        let mut random = KeyedRandom::new(1, "segments", b"", 0);
        let hits = (0..100_000).filter(|_| whole(&[0..4, 5..8], 1, 0.25, &mut random).is_some()).count();
        super::super::super::testing::check_share(hits, 100_000, 0.25);
    }
}
