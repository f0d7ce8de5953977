//! What holds for single documents and blocks.

use super::super::NO_LOSS;
use super::super::testing::{END, S0, SPECIALS, example_of, examples_of, text};
use super::*;

const E: TokenId = SPECIALS.end_of_span;

fn variant(variant: Variant) -> CausalMasking {
    CausalMasking { variant, num_spans: NumSpans::Fixed, ..CausalMasking::default() }
}

#[test]
fn an_empty_document_is_its_end() {
    assert_eq!(example_of(&CausalMasking::default(), &text(0), 0).input_ids, [END]);
}

#[test]
fn the_only_token_moves_behind_its_sentinel() {
    assert_eq!(example_of(&CausalMasking::default(), &text(1), 0).input_ids, [S0, S0, 10, E, END]);
}

#[test]
fn a_sentinel_is_not_learnt_in_either_place() {
    let labels = example_of(&CausalMasking::default(), &text(1), 0).labels;
    assert_eq!(labels, [NO_LOSS, NO_LOSS, 10, E, END]);
}

#[test]
fn a_sentinel_is_learnt_on_demand() {
    let settings = CausalMasking { loss_on_sentinels: Some(true), ..CausalMasking::default() };
    assert_eq!(example_of(&settings, &text(1), 0).labels, [S0, S0, 10, E, END]);
}

#[test]
fn a_size_hint_is_never_learnt() {
    let size_hints = Some(SizeHints { share: 1.0, epsilon: 0.0 });
    let settings = CausalMasking { size_hints, loss_on_sentinels: Some(true), ..CausalMasking::default() };
    let example = example_of(&settings, &text(1), 0);
    assert_eq!(example.input_ids, [S0, SPECIALS.mask, S0, 10, E, END]);
    assert_eq!(example.labels, [S0, NO_LOSS, S0, 10, E, END]);
}

#[test]
fn size_hints_are_near_the_length_and_for_a_share_of_spans() {
    let hints = SizeHints::default();
    let mut random = KeyedRandom::new(0, "hints", b"", 0);
    let drawn: Vec<f64> = hints.draw(&vec![0..200; 100_000], &mut random).into_iter().map(f64::from).collect();
    let given: Vec<_> = drawn.iter().filter(|&&hint| hint > 0.0).collect();
    super::super::testing::check_share(given.len(), 100_000, 0.8);
    // Rounding down takes half a token; four standard deviations of the mean of 80,000 are 0.28.
    let mean = given.iter().copied().sum::<f64>() / given.len() as f64;
    assert!((mean - 199.5).abs() < 0.28, "{mean}");
}

#[test]
fn a_block_has_no_end_of_its_own_and_keeps_its_length() {
    for settings in [variant(Variant::Metaseq), variant(Variant::Cm3leon)] {
        for number in 0..200 {
            let example = example_of(&settings, &text(60), number);
            assert_eq!(example.input_ids.len(), 60);
            assert!(!example.input_ids.contains(&END));
        }
    }
}

#[test]
fn a_block_of_metaseq_loses_the_end_of_its_span_and_one_of_cm3leon_the_end_of_its_text() {
    let example = example_of(&variant(Variant::Metaseq), &text(60), 3);
    let span = example.input_ids.iter().rposition(|&id| id == S0).unwrap();
    assert!(!example.input_ids[span..].contains(&E), "{example:?}");
    let example = example_of(&variant(Variant::Cm3leon), &text(60), 3);
    assert_eq!(example.input_ids.last(), Some(&E));
    assert_eq!(example.num_source_tokens(), 57);
}

// A block in front of an image that is kept whole, and the last of all, are shorter than a row.
#[test]
fn a_block_loses_nothing_as_long_as_its_row_has_room() {
    for (row_length, max_tokens, expected) in [(63, None, 63), (100, None, 63), (61, None, 61), (100, Some(50), 50)] {
        let block = TokenDocument { row_length: NonZeroU32::new(row_length), ..text(60) };
        let settings = CausalMasking { max_tokens: max_tokens.and_then(NonZeroU32::new), ..variant(Variant::Metaseq) };
        let example = example_of(&settings, &block, 3);
        assert_eq!(example.input_ids.len(), expected);
        assert_eq!(example.input_ids.last() == Some(&E), expected == 63);
    }
}

#[test]
fn no_block_outgrows_its_row_for_any_max_tokens() {
    let block = TokenDocument { row_length: NonZeroU32::new(60), ..text(60) };
    let settings = CausalMasking { max_tokens: NonZeroU32::new(100), ..variant(Variant::Metaseq) };
    assert_eq!(example_of(&settings, &block, 3).input_ids.len(), 60);
}

#[test]
fn a_block_keeps_the_ends_of_its_documents() {
    let mut block = text(60);
    block.tokens[30] = END;
    let objective = variant(Variant::Metaseq).build(&SPECIALS);
    let example = objective.apply(&block, &mut KeyedRandom::new(0, "block", b"", 0)).swap_remove(0);
    assert_eq!(objective.invert(&example), Ok(block.tokens_of(&example.source)));
}

#[test]
fn fairseq_masks_a_long_document_in_pieces() {
    let settings = CausalMasking { max_tokens: NonZeroU32::new(20), ..variant(Variant::Fairseq) };
    let examples = examples_of(&settings, &text(45), 0);
    assert_eq!(examples.iter().map(|example| example.branch).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(examples.iter().all(|example| example.input_ids.len() <= 20));
    // As in the published code, a piece is cut behind its last token, and only a document has an end.
    let ends: Vec<_> = examples.iter().map(|example| example.input_ids.iter().position(|&id| id == END)).collect();
    assert_eq!(ends, [None, None, Some(examples[2].input_ids.len() - 1)]);
    assert_eq!([0, 1].map(|piece: usize| examples[piece].input_ids.len()), [20, 20]);
    assert!(examples[2].source.iter().all(|range| range.start >= 40 && range.end <= 45), "{:?}", examples[2].source);
}

#[test]
fn the_reference_loses_the_token_under_an_empty_span() {
    let settings = CausalMasking { reference_compat: true, lambda: 6.0, ..variant(Variant::Paper) };
    let objective = settings.build(&SPECIALS);
    let example = |number: u32| {
        let mut random = KeyedRandom::new(0, "reference", &number.to_le_bytes(), 0);
        objective.apply(&text(20), &mut random).swap_remove(0)
    };
    let lost = (0..1000).filter(|&number| example(number).num_source_tokens() < 20).count();
    assert!(lost > 100, "{lost}");
}

#[test]
fn every_problem_is_named_at_once() {
    let settings = CausalMasking {
        lambda: f64::NAN,
        min_spans: Some(40),
        max_spans: Some(20),
        full_document_rotation: 2.0,
        ..CausalMasking::default()
    };
    let problems = settings.check(16);
    let begins = [
        "lambda is NaN",
        "min_spans is 40",
        "max_spans is 20, but each span needs its own sentinel",
        "2 is no share",
        "full_document_rotation does nothing",
    ];
    assert_eq!(problems.len(), begins.len());
    assert!(problems.iter().zip(begins).all(|(problem, begin)| problem.starts_with(begin)), "{problems:?}");
}

#[test]
fn spans_never_outnumber_the_sentinels() {
    let few = Specials { num_sentinels: 1, ..SPECIALS };
    let settings = CausalMasking { lambda: 9.0, ..CausalMasking::default() };
    let example = settings.build(&few).apply(&text(50), &mut KeyedRandom::new(0, "test", b"", 0)).swap_remove(0);
    assert!(example.input_ids.iter().all(|&id| id <= S0));
}

#[test]
fn every_setting_has_a_default() {
    assert_eq!(toml::from_str::<CausalMasking>("").unwrap(), CausalMasking::default());
}

#[test]
fn spans_asked_for_are_never_clamped_in_silence() {
    let asked = CausalMasking { max_spans: Some(40), min_spans: Some(20), ..CausalMasking::default() };
    assert_eq!(asked.check(64), Vec::<String>::new());
    let rules = asked.rules(&Specials { num_sentinels: 64, ..SPECIALS });
    assert_eq!((rules.min_spans, rules.max_spans), (20, 40));
    assert_eq!(asked.check(30).len(), 1);
    assert_eq!(CausalMasking { num_sentinels: Some(39), ..asked }.check(64).len(), 1);
    assert_eq!(CausalMasking { num_sentinels: Some(0), ..CausalMasking::default() }.check(64).len(), 1);
}

#[test]
fn the_spread_of_size_hints_is_a_share() {
    for (epsilon, problems) in [(0.0, 0), (1.0, 0), (-0.1, 1), (f64::NAN, 1)] {
        let size_hints = Some(SizeHints { epsilon, ..SizeHints::default() });
        assert_eq!(CausalMasking { size_hints, ..CausalMasking::default() }.check(16).len(), problems);
    }
}

#[test]
fn a_weight_of_what_was_retrieved_is_a_share_above_nothing() {
    for (retrieved_loss_weight, problems) in [(0.1, 0), (1.0, 0), (0.0, 1), (1.1, 1), (f64::NAN, 1)] {
        let settings = CausalMasking { retrieved_loss_weight, ..CausalMasking::default() };
        assert_eq!(settings.check(16).len(), problems);
    }
}
