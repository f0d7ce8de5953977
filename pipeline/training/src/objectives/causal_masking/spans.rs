//! Chooses which spans of a document are masked.

use std::ops::Range;

use super::super::TokenDocument;
use super::{CausalMasking, ImageSpans};
use crate::random::KeyedRandom;

// One draw in a few hundred is empty in a document of 256 tokens, three in eight in one of two.
const DRAWS_BEFORE_DROPPING: u32 = 17;

/// Spans of the document in order, without overlap, none empty; at most `max_spans`.
pub(super) fn choose(document: &TokenDocument, settings: &CausalMasking, random: &mut KeyedRandom) -> Vec<Range<u32>> {
    let num_spans = random.poisson(settings.lambda).max(settings.min_spans).min(settings.max_spans);
    if document.tokens.is_empty() || num_spans == 0 {
        return Vec::new();
    }
    let place = if num_spans == 1 { ordered_span } else { either_way_span };
    let num_candidates = u64::from(num_spans).pow(2);
    let candidates: Vec<_> =
        (0..num_candidates).filter_map(|_| candidate(document, settings.image_spans, place, random)).collect();
    accept(&candidates, num_spans as usize)
}

type Place = fn(f64, f64, f64) -> Range<u32>;

// A span that isn't empty, moved out of images that it would cut unless that is wanted; none where only empty ones come up.
fn candidate(
    document: &TokenDocument,
    image_spans: ImageSpans,
    place: Place,
    random: &mut KeyedRandom,
) -> Option<Range<u32>> {
    let num_tokens = document.tokens.len() as f64;
    for _ in 0..DRAWS_BEFORE_DROPPING {
        let (first, second) = (random.uniform(), random.uniform());
        let span = place(first, second, num_tokens);
        if !span.is_empty() {
            return Some(match image_spans {
                ImageSpans::Cut => span,
                ImageSpans::Whole => around_images(span, &document.images),
            });
        }
    }
    None
}

// A single span: the smaller draw is rounded down and the larger one half up, as in the published code.
fn ordered_span(first: f64, second: f64, num_tokens: f64) -> Range<u32> {
    (first.min(second) * num_tokens) as u32..(first.max(second) * num_tokens + 0.5) as u32
}

// One of several spans: rounded before being ordered, as in the published code.
fn either_way_span(first: f64, second: f64, num_tokens: f64) -> Range<u32> {
    let (first, second) = ((first * num_tokens) as u32, (second * num_tokens + 0.5) as u32);
    first.min(second)..first.max(second)
}

// The span with an end that would cut an image moved outwards to that image's end.
fn around_images(span: Range<u32>, images: &[Range<u32>]) -> Range<u32> {
    let cut_at = |position: u32| {
        let image = images.get(images.partition_point(|image| image.end <= position))?;
        (image.start < position).then_some(image)
    };
    let start = cut_at(span.start).map_or(span.start, |image| image.start);
    let end = cut_at(span.end).map_or(span.end, |image| image.end);
    start..end
}

// The last candidate, then each one before it that overlaps none accepted, up to `most`; in document order.
fn accept(candidates: &[Range<u32>], most: usize) -> Vec<Range<u32>> {
    let mut accepted: Vec<Range<u32>> = Vec::with_capacity(most);
    for candidate in candidates.iter().rev() {
        if accepted.len() == most {
            break;
        }
        let overlaps = |span: &Range<u32>| span.start.max(candidate.start) < span.end.min(candidate.end);
        if !accepted.iter().any(overlaps) {
            accepted.push(candidate.clone());
        }
    }
    accepted.sort_unstable_by_key(|span| span.start);
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(num_tokens: usize, images: &[Range<u32>]) -> TokenDocument {
        TokenDocument { tokens: vec![0; num_tokens], images: images.to_vec() }
    }

    fn choose_for(num_documents: u32, document: &TokenDocument, settings: &CausalMasking) -> Vec<Vec<Range<u32>>> {
        (0..num_documents)
            .map(|number| choose(document, settings, &mut KeyedRandom::new(3, "spans", &number.to_le_bytes(), 0)))
            .collect()
    }

    #[test]
    fn numbers_of_spans_and_their_share_are_those_of_the_published_code() {
        let chosen = choose_for(100_000, &document(1024, &[]), &CausalMasking::default());
        let share = |spans: usize| chosen.iter().filter(|of_one| of_one.len() == spans).count() as f64 / 100_000.0;
        // Four standard deviations are at most 0.005.
        for (spans, expected) in [(0, 0.0), (1, 0.818), (2, 0.141), (3, 0.033), (4, 0.006)] {
            assert!((share(spans) - expected).abs() < 0.005, "{} for {spans} spans", share(spans));
        }
        let masked: u32 = chosen.iter().flatten().map(|span| span.end - span.start).sum();
        let masked_share = f64::from(masked) / 102_400_000.0;
        assert!((masked_share - 0.372).abs() < 0.005, "{masked_share}");
    }

    #[test]
    fn spans_are_ordered_apart_and_never_empty() {
        let settings = CausalMasking { lambda: 4.0, ..CausalMasking::default() };
        for num_tokens in 0..40 {
            for spans in choose_for(200, &document(num_tokens, &[]), &settings) {
                assert!(spans.iter().all(|span| span.start < span.end), "{spans:?}");
                assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start), "{spans:?}");
                assert!(spans.last().is_none_or(|last| last.end as usize <= num_tokens), "{spans:?}");
            }
        }
    }

    #[test]
    fn a_document_of_two_tokens_has_a_span() {
        assert!(choose_for(1000, &document(2, &[]), &CausalMasking::default()).iter().all(|spans| !spans.is_empty()));
    }

    #[test]
    fn a_single_span_is_rounded_down_and_half_up() {
        assert_eq!(ordered_span(0.59, 0.29, 10.0), 2..6);
        assert_eq!(ordered_span(0.24, 0.25, 10.0), 2..3);
    }

    #[test]
    fn one_of_several_is_rounded_before_it_is_ordered() {
        assert_eq!(either_way_span(0.59, 0.29, 10.0), 3..5);
    }

    #[test]
    fn acceptance_goes_backwards_and_lets_spans_touch() {
        assert_eq!(accept(&[8..9, 0..3, 2..4, 4..6], 2), [2..4, 4..6]);
    }

    #[test]
    fn too_few_candidates_that_fit_are_fewer_spans() {
        assert_eq!(accept(&[0..3, 2..4, 3..6, 1..5], 2), [1..5]);
    }

    #[test]
    fn a_span_moves_to_the_ends_of_the_images_that_it_would_cut() {
        let images = [2..6, 8..12];
        for (span, expected) in [(3..4, 2..6), (4..9, 2..12), (2..6, 2..6), (6..8, 6..8), (0..1, 0..1), (5..7, 2..7)] {
            assert_eq!(around_images(span, &images), expected);
        }
    }

    #[test]
    fn whole_images_are_never_cut() {
        let images = [10..26, 26..42, 60..76];
        let settings = CausalMasking { lambda: 3.0, image_spans: ImageSpans::Whole, ..CausalMasking::default() };
        for spans in choose_for(1000, &document(100, &images), &settings) {
            for end in spans.iter().flat_map(|span| [span.start, span.end]) {
                assert!(!images.iter().any(|image| image.start < end && end < image.end), "{spans:?}");
            }
            assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start), "{spans:?}");
        }
    }
}
