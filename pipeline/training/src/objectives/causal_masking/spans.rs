//! Chooses which spans of a document are masked.

use std::ops::Range;

use super::super::TokenDocument;
use super::variants::{Rules, SpanPlacement};
use super::{ImageSpans, NumSpans, segments};
use crate::random::KeyedRandom;

// One draw in a few hundred is empty in a document of 256 tokens, three in eight in one of two.
const DRAWS_BEFORE_DROPPING: u32 = 17;

// Four spans are apart in about one set of 105, six in one of 10,000.
const SETS_BEFORE_ONE_FEWER: u32 = 1000;

/// Spans of the document in order, without overlap; at most `max_spans`; none empty unless the reference is followed.
pub(super) fn choose(document: &TokenDocument, rules: &Rules, random: &mut KeyedRandom) -> Vec<Range<u32>> {
    let num_spans = num_spans(rules, random);
    if document.tokens.is_empty() || num_spans == 0 {
        return Vec::new();
    }
    let segments = segments::segments(&document.tokens, rules.segments, first_to_move(document, rules));
    if let Some(whole) = segments::whole(&segments, num_spans, rules.full_segments, random) {
        return whole;
    }
    let spans = match rules.placement {
        SpanPlacement::AcceptFitting => accept_fitting(document, num_spans, rules, random),
        SpanPlacement::RedrawAll => redraw_all(document, num_spans, rules, random),
    };
    match rules.segments {
        None => spans,
        Some(_) => segments::clip(spans, &segments),
    }
}

fn num_spans(rules: &Rules, random: &mut KeyedRandom) -> u32 {
    match (rules.num_spans, rules.placement) {
        (NumSpans::Fixed, _) => (rules.lambda as u32).clamp(rules.min_spans, rules.max_spans),
        (NumSpans::Poisson, SpanPlacement::AcceptFitting) => {
            random.poisson(rules.lambda).max(rules.min_spans).min(rules.max_spans)
        }
        // A truncated distribution is not a clamped one: what lies outside is drawn again.
        (NumSpans::Poisson, SpanPlacement::RedrawAll) => rules.min_spans + random.weighted(&rules.truncated) as u32,
    }
}

// As many as fit of n * n candidates.
fn accept_fitting(
    document: &TokenDocument,
    num_spans: u32,
    rules: &Rules,
    random: &mut KeyedRandom,
) -> Vec<Range<u32>> {
    if num_spans == 1 {
        return candidate(document, num_spans, rules, random).into_iter().collect();
    }
    let num_candidates = u64::from(num_spans).pow(2);
    let candidates: Vec<_> =
        (0..num_candidates).filter_map(|_| candidate(document, num_spans, rules, random)).collect();
    accept(&candidates, num_spans as usize)
}

// All spans anew until none overlaps another; with one fewer where that never comes.
fn redraw_all(document: &TokenDocument, num_spans: u32, rules: &Rules, random: &mut KeyedRandom) -> Vec<Range<u32>> {
    for num_spans in (1..=num_spans).rev() {
        for _ in 0..SETS_BEFORE_ONE_FEWER {
            if let Some(spans) = spans_apart(document, num_spans, rules, random) {
                return spans;
            }
        }
    }
    Vec::new()
}

// One set of spans, given up at the first that overlaps another or cannot but be empty.
fn spans_apart(
    document: &TokenDocument,
    num_spans: u32,
    rules: &Rules,
    random: &mut KeyedRandom,
) -> Option<Vec<Range<u32>>> {
    let mut spans: Vec<Range<u32>> = Vec::with_capacity(num_spans as usize);
    for _ in 0..num_spans {
        let next = candidate(document, num_spans, rules, random)?;
        if spans.iter().any(|span| overlap(span, &next)) {
            return None;
        }
        spans.push(next);
    }
    spans.sort_unstable_by_key(|span| span.start);
    Some(spans)
}

// A span, moved out of images that it would cut unless that is wanted; none where only empty ones come up.
fn candidate(document: &TokenDocument, num_spans: u32, rules: &Rules, random: &mut KeyedRandom) -> Option<Range<u32>> {
    let num_tokens = document.tokens.len() as f64;
    let place = if num_spans == 1 { ordered_span } else { either_way_span };
    for _ in 0..DRAWS_BEFORE_DROPPING {
        let (first, second) = (random.uniform(), random.uniform());
        let mut span = place(first, second, num_tokens);
        if rules.image_spans == ImageSpans::Whole && span.start < span.end {
            span = around_images(span, &document.images);
        }
        if num_spans == 1 || !rules.as_reference {
            span.start = span.start.max(first_to_move(document, rules));
        }
        if span.start < span.end {
            return Some(span);
        }
        if rules.as_reference {
            // The published code masks nothing where a single span is empty, but lets one of several be so.
            return (num_spans > 1).then_some(span);
        }
    }
    None
}

// Which token is the first that a span may begin with: not one of an image that keeps its first token, and its others.
fn first_to_move(document: &TokenDocument, rules: &Rules) -> u32 {
    let kept_image = document.images.first().filter(|image| rules.image_spans == ImageSpans::Whole && image.start == 0);
    match rules.keeps_first_token {
        true => kept_image.map_or(1, |image| image.end),
        false => 0,
    }
}

// A single span: the smaller draw is rounded down and the larger one half up, as in the published code.
pub(super) fn ordered_span(first: f64, second: f64, num_tokens: f64) -> Range<u32> {
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
        if !accepted.iter().any(|span| overlap(span, candidate)) {
            accepted.push(candidate.clone());
        }
    }
    accepted.sort_by_key(|span| span.start);
    accepted
}

fn overlap(one: &Range<u32>, other: &Range<u32>) -> bool {
    one.start.max(other.start) < one.end.min(other.end)
}

#[cfg(test)]
mod tests;
