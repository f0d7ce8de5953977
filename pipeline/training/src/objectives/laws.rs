//! What must hold for every registered objective.

use std::num::NonZeroU64;
use std::ops::Range;

use super::*;

const SPECIALS: Specials =
    Specials { pad: 500, end_of_document: 501, end_of_span: 502, first_sentinel: 503, num_sentinels: 16 };
const FIRST_IMAGE_TOKEN: TokenId = 519;

// Each registered objective as its example says, and settings that reach further into the same objective.
fn objectives() -> Vec<ObjectiveConfig> {
    let many_whole = CausalMasking { lambda: 5.0, image_spans: ImageSpans::Whole, ..CausalMasking::example() };
    let many_cut = CausalMasking { lambda: 5.0, min_spans: 0, ..CausalMasking::example() };
    let further = [many_whole, many_cut].map(ObjectiveConfig::CausalMasking);
    ObjectiveConfig::examples().into_iter().chain(further).collect()
}

fn stream(purpose: &str, number: u32) -> KeyedRandom {
    KeyedRandom::new(11, purpose, &number.to_le_bytes(), 0)
}

// Runs of text and images of up to 19 tokens each, between nothing and some 200 tokens in all.
fn document(number: u32) -> TokenDocument {
    let mut random = stream("document", number);
    let mut below = |bound| random.below(NonZeroU64::new(bound).unwrap()) as u32;
    let mut document = TokenDocument::default();
    for _ in 0..below(20) {
        let (is_image, length) = (below(3) == 0, below(20));
        let start = document.tokens.len() as u32;
        let first = if is_image { FIRST_IMAGE_TOKEN } else { 0 };
        document.tokens.extend((0..length).map(|_| first + below(400) as TokenId));
        if is_image && length > 0 {
            document.images.push(start..start + length);
        }
    }
    document
}

fn for_each_example(check: impl Fn(&TokenDocument, &Example, &dyn Objective)) {
    for objective in objectives() {
        let objective = objective.build(&SPECIALS);
        for number in 0..2000 {
            let document = document(number);
            let example = objective.apply(&document, &mut stream("objective", number));
            check(&document, &example, objective.as_ref());
        }
    }
}

fn tokens_at(tokens: &[TokenId], runs: &[Range<u32>]) -> Vec<TokenId> {
    runs.iter().flat_map(|run| &tokens[run.start as usize..run.end as usize]).copied().collect()
}

#[test]
fn inverting_an_example_gives_the_document() {
    for_each_example(|document, example, objective| {
        assert_eq!(objective.invert(&example.input_ids).as_ref(), Ok(&document.tokens));
    });
}

#[test]
fn an_example_without_its_end_is_refused() {
    for_each_example(|_, example, objective| {
        let refused = objective.invert(&example.input_ids[..example.input_ids.len() - 1]);
        assert_eq!(refused, Err(NotInvertible::NoEnd { end_of_document: SPECIALS.end_of_document }));
    });
}

#[test]
fn every_label_is_its_token_unless_that_is_a_sentinel() {
    for_each_example(|_, example, _| {
        let expected = example.input_ids.iter().map(|&id| if SPECIALS.is_sentinel(id) { NO_LOSS } else { id });
        assert!(expected.eq(example.labels.iter().copied()), "{example:?}");
    });
}

#[test]
fn image_runs_hold_all_image_tokens_and_nothing_else() {
    for_each_example(|_, example, _| {
        let image_tokens: Vec<_> = example.input_ids.iter().copied().filter(|&id| id >= FIRST_IMAGE_TOKEN).collect();
        assert_eq!(tokens_at(&example.input_ids, &example.images), image_tokens);
        assert!(example.images.iter().all(|run| run.start < run.end), "{:?}", example.images);
    });
}

#[test]
fn the_same_document_and_key_give_the_same_example() {
    for objective in objectives() {
        let objective = objective.build(&SPECIALS);
        let examples = [(); 2].map(|()| objective.apply(&document(5), &mut stream("objective", 5)));
        assert_eq!(examples[0], examples[1]);
    }
}

#[test]
fn settings_survive_a_job_file_and_refuse_unknown_keys() {
    for settings in objectives() {
        let table = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<ObjectiveConfig>(&table).unwrap(), settings);
        let refused = toml::from_str::<ObjectiveConfig>(&format!("{table}\nunknown_key = 1\n"));
        assert!(refused.unwrap_err().to_string().contains("unknown field `unknown_key`"));
    }
}

#[test]
fn examples_have_nothing_to_complain_of() {
    for settings in ObjectiveConfig::examples() {
        assert_eq!(settings.check(SPECIALS.num_sentinels), Vec::<String>::new());
    }
}
