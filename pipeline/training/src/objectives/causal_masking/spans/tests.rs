//! What the spans of documents are, and how often.

use super::super::super::Specials;
use super::super::super::testing::{SPECIALS, check_share};
use super::super::{CausalMasking, SpansAcross, Variant};
use super::*;

fn document(num_tokens: usize, images: &[Range<u32>]) -> TokenDocument {
    TokenDocument { tokens: vec![0; num_tokens], images: images.to_vec(), ..TokenDocument::default() }
}

fn choose_for(num_documents: u32, document: &TokenDocument, settings: &CausalMasking) -> Vec<Vec<Range<u32>>> {
    let rules = settings.rules(&Specials { num_sentinels: 512, ..SPECIALS });
    (0..num_documents)
        .map(|number| choose(document, &rules, &mut KeyedRandom::new(3, "spans", &number.to_le_bytes(), 0)))
        .collect()
}

// Shares of documents with 0, 1, … spans, and the share of tokens in them, in 100,000 documents of 1024 tokens.
fn check_distribution(variant: Variant, shares: &[f64], masked_share: Option<f64>) {
    let settings = CausalMasking { variant, ..CausalMasking::default() };
    let chosen = choose_for(100_000, &document(1024, &[]), &settings);
    for (num_spans, &expected) in shares.iter().enumerate() {
        let share = chosen.iter().filter(|of_one| of_one.len() == num_spans).count() as f64 / 100_000.0;
        // Four standard deviations are at most 0.0063; the tables are rounded to 0.001.
        assert!((share - expected).abs() < 0.0068, "{share} have {num_spans} spans, not {expected}");
    }
    let masked: u32 = chosen.iter().flatten().map(|span| span.end - span.start).sum();
    let masked = f64::from(masked) / 102_400_000.0;
    assert!(masked_share.is_none_or(|expected| (masked - expected).abs() < 0.005), "{masked}");
}

#[test]
fn paper_and_fairseq_mask_as_the_published_code() {
    let shares = [0.0, 0.818, 0.141, 0.033, 0.006];
    check_distribution(Variant::Paper, &shares, Some(0.372));
    check_distribution(Variant::Fairseq, &shares, Some(0.372));
}

#[test]
fn metaseq_masks_as_the_published_code() {
    check_distribution(Variant::Metaseq, &[0.368, 0.449, 0.141, 0.034, 0.006], Some(0.249));
}

#[test]
fn cm3leon_without_breaks_masks_as_metaseq() {
    check_distribution(Variant::Cm3leon, &[0.368, 0.449, 0.141, 0.034, 0.006], Some(0.249));
}

#[test]
fn incoder_draws_its_truncated_number_of_spans() {
    check_distribution(Variant::Incoder, &[0.0, 0.582, 0.291, 0.097, 0.024], None);
}

// Of means far above, the most that there may be is the likeliest.
#[test]
fn a_truncated_number_of_spans_is_near_the_end_that_its_mean_lies_beyond() {
    let settings = CausalMasking { variant: Variant::Incoder, lambda: 60.0, max_spans: Some(16), ..Default::default() };
    let rules = settings.rules(&SPECIALS);
    let mut random = KeyedRandom::new(3, "number", b"", 0);
    let drawn: Vec<u32> = (0..100_000).map(|_| num_spans(&rules, &mut random)).collect();
    // Each number is 60 / n times as likely as the one below.
    let mut weights = vec![1.0];
    (1..16).rev().for_each(|number| weights.push(weights[weights.len() - 1] * f64::from(number + 1) / 60.0));
    let all: f64 = weights.iter().sum();
    for (number, weight) in (1..=16).rev().zip(&weights).take(4) {
        check_share(drawn.iter().filter(|&&drawn| drawn == number).count(), 100_000, weight / all);
    }
    assert!(drawn.iter().all(|number| (1..=16).contains(number)));
    for (lambda, expected) in [(0.0, 2), (1000.0, 5)] {
        let limits = CausalMasking { lambda, min_spans: Some(2), max_spans: Some(5), ..settings.clone() };
        let number = num_spans(&limits.rules(&SPECIALS), &mut random);
        assert!(lambda > 0.0 && (4..=5).contains(&number) || number == expected, "{number}");
    }
}

#[test]
fn spans_of_incoder_are_as_long_as_two_that_do_not_overlap() {
    // Two spans that are apart take up two of the four gaps' worth between four uniform ends of five.
    let settings =
        CausalMasking { variant: Variant::Incoder, lambda: 2.0, num_spans: NumSpans::Fixed, ..Default::default() };
    let chosen = choose_for(100_000, &document(1024, &[]), &settings);
    assert!(chosen.iter().all(|spans| spans.len() == 2));
    let masked: u32 = chosen.iter().flatten().map(|span| span.end - span.start).sum();
    // The standard deviation of one document's share is 0.2.
    assert!((f64::from(masked) / 102_400_000.0 - 0.4).abs() < 0.003, "{masked}");
}

#[test]
fn span_lengths_have_the_published_median_and_mean() {
    let settings = CausalMasking { variant: Variant::Metaseq, ..CausalMasking::default() };
    let chosen = choose_for(100_000, &document(2049, &[]), &settings);
    let mut lengths: Vec<_> = chosen.iter().flatten().map(|span| span.end - span.start).collect();
    lengths.sort_unstable();
    let mean = lengths.iter().map(|&length| f64::from(length)).sum::<f64>() / lengths.len() as f64;
    assert!(lengths[lengths.len() / 2].abs_diff(480) < 10, "{}", lengths[lengths.len() / 2]);
    assert!((mean - 592.0).abs() < 8.0, "{mean}");
}

fn fixed(variant: Variant, num_spans: u32) -> CausalMasking {
    CausalMasking { variant, num_spans: NumSpans::Fixed, lambda: f64::from(num_spans), ..CausalMasking::default() }
}

#[test]
fn as_many_spans_as_published_are_accepted_of_those_that_are_asked_for() {
    for (asked, expected) in [(2, 1.63), (3, 2.28), (4, 2.88), (5, 3.4)] {
        let chosen = choose_for(100_000, &document(1024, &[]), &fixed(Variant::Paper, asked));
        let mean = chosen.iter().map(Vec::len).sum::<usize>() as f64 / 100_000.0;
        // Four standard deviations are at most 0.013; the table is rounded to 0.01, the last to 0.1.
        let rounding = if asked == 5 { 0.05 } else { 0.005 };
        assert!((mean - expected).abs() < 0.013 + rounding, "{mean} of {asked}, not {expected}");
    }
}

#[test]
fn a_set_of_incoder_has_no_overlap_as_often_as_published() {
    let document = document(1 << 20, &[]);
    for (num_spans, expected) in [(2, 1.0 / 3.0), (3, 1.0 / 15.0), (4, 0.0095)] {
        let rules = fixed(Variant::Incoder, num_spans).rules(&SPECIALS);
        let mut random = KeyedRandom::new(3, "sets", &num_spans.to_le_bytes(), 0);
        let is_apart = |_: &u32| spans_apart(&document, num_spans, &rules, &mut random).is_some();
        check_share((0..200_000).filter(is_apart).count(), 200_000, expected);
    }
}

#[test]
fn a_document_that_metaseq_masks_has_as_many_tokens_in_spans_as_published() {
    let settings = CausalMasking { variant: Variant::Metaseq, ..CausalMasking::default() };
    let chosen = choose_for(100_000, &document(1024, &[]), &settings);
    let masked = chosen.iter().filter(|spans| !spans.is_empty());
    let num_tokens: u32 = masked.clone().flatten().map(|span| span.end - span.start).sum();
    let share = f64::from(num_tokens) / (1024.0 * masked.count() as f64);
    assert!((share - 0.395).abs() < 0.005, "{share}");
}

// The share of documents that keep an empty span, where the reference is followed.
#[test]
fn the_reference_has_empty_spans_as_often_as_published() {
    let settings = CausalMasking { reference_compat: true, ..CausalMasking::default() };
    let chosen = choose_for(100_000, &document(257, &[]), &settings);
    let with_empty = chosen.iter().filter(|spans| spans.iter().any(|span| span.is_empty())).count();
    assert!((100..1000).contains(&with_empty), "{with_empty} of 100,000, published is 0.005");
}

#[test]
fn a_fixed_number_is_the_same_for_all() {
    let settings = CausalMasking { num_spans: NumSpans::Fixed, ..CausalMasking::default() };
    assert!(choose_for(1000, &document(100, &[]), &settings).iter().all(|spans| spans.len() == 1));
}

#[test]
fn each_whole_document_is_as_likely() {
    let mut blocks = document(99, &[]);
    blocks.tokens[33] = SPECIALS.break_;
    blocks.tokens[66] = SPECIALS.break_;
    let settings = CausalMasking {
        variant: Variant::Cm3leon,
        num_spans: NumSpans::Fixed,
        full_document_rotation: 1.0,
        ..CausalMasking::default()
    };
    let chosen = choose_for(100_000, &blocks, &settings);
    let middle = chosen.iter().filter(|spans| spans[..] == [34..66]).count();
    check_share(middle, 100_000, 1.0 / 3.0);
}

#[test]
fn no_span_of_cm3leon_holds_a_break_or_the_first_token() {
    let mut blocks = document(99, &[]);
    for position in [20, 21, 70] {
        blocks.tokens[position] = SPECIALS.break_;
    }
    let settings = CausalMasking { variant: Variant::Cm3leon, lambda: 3.0, ..CausalMasking::default() };
    for span in choose_for(10_000, &blocks, &settings).iter().flatten() {
        assert!(span.start > 0 && !blocks.tokens[span.start as usize..span.end as usize].contains(&SPECIALS.break_));
    }
}

// MT19937 seeded as `np.random.seed` does it, and two numbers as `np.random.uniform(size=2)` makes them.
fn numpy_uniform_pair(seed: u32) -> [f64; 2] {
    let mut state = [seed; 624];
    for index in 1..624 {
        let last = state[index - 1];
        state[index] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(index as u32);
    }
    for index in 0..624 {
        let bits = (state[index] & 0x8000_0000) | (state[(index + 1) % 624] & 0x7fff_ffff);
        let twist = if bits & 1 == 1 { 0x9908_b0df } else { 0 };
        state[index] = state[(index + 397) % 624] ^ (bits >> 1) ^ twist;
    }
    let mut words = state.into_iter().map(|mut word| {
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    });
    let mut word = |shift: u32| f64::from(words.next().unwrap() >> shift);
    [(); 2].map(|()| (word(5) * 67_108_864.0 + word(6)) / 9_007_199_254_740_992.0)
}

#[test]
fn a_single_span_is_that_of_the_numpy_draws_of_the_published_code() {
    let close = |pair: [f64; 2], expected: [f64; 2]| pair.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-8);
    let pairs = [0, 1, 42].map(numpy_uniform_pair);
    // What NumPy prints for these seeds.
    assert!(close(pairs[0], [0.5488135, 0.71518937]), "{pairs:?}");
    assert!(close(pairs[1], [0.417022005, 0.720324493]), "{pairs:?}");
    assert!(close(pairs[2], [0.37454012, 0.95071431]), "{pairs:?}");
    let spans = pairs.map(|[first, second]| ordered_span(first, second, 1000.0));
    assert_eq!(spans, [548..715, 417..720, 374..951]);
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

// An image that a block begins with keeps its first token in `cm3leon`, and so all of them.
#[test]
fn no_whole_image_is_cut_at_the_start_of_a_block() {
    let mut block = document(40, &[0..4, 20..24]);
    block.tokens[4] = SPECIALS.break_;
    let settings = CausalMasking {
        variant: Variant::Cm3leon,
        lambda: 3.0,
        image_spans: ImageSpans::Whole,
        ..CausalMasking::default()
    };
    let ways = [
        settings.clone(),
        CausalMasking { spans_across: Some(SpansAcross::Allow), ..settings.clone() },
        CausalMasking { full_document_rotation: 1.0, num_spans: NumSpans::Fixed, lambda: 1.0, ..settings },
    ];
    for settings in ways {
        let chosen = choose_for(1000, &block, &settings);
        assert!(chosen.iter().any(|spans| !spans.is_empty()));
        for span in chosen.iter().flatten() {
            let is_cut = |image: &Range<u32>, end| image.start < end && end < image.end;
            let cut = block.images.iter().any(|image| is_cut(image, span.start) || is_cut(image, span.end));
            assert!(!cut && span.start >= 4, "{span:?}");
        }
    }
}
