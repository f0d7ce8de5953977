//! What must hold for every registered objective.

use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;

use super::testing::{END, END_OF_IDS, FIRST_IMAGE_TOKEN, OneCharacterEach, SPECIALS, stream};
use super::*;

// Each registered objective as its example says, and settings that reach further into the same objectives.
fn objectives() -> Vec<ObjectiveConfig> {
    ObjectiveConfig::examples().into_iter().chain(causal_maskings()).chain(others()).collect()
}

fn build(settings: &ObjectiveConfig) -> Arc<dyn Objective> {
    settings.build_with_text(&SPECIALS, &(Arc::new(OneCharacterEach) as Arc<dyn TextTokens>))
}

fn others() -> impl Iterator<Item = ObjectiveConfig> {
    [
        ObjectiveConfig::Fim(Fim { rate: 1.0, spm: Spm::Variant1, loss_on_sentinels: false, ..Fim::example() }),
        ObjectiveConfig::Fim(Fim { rate: 1.0, fragment_token: Some(7), ..Fim::example() }),
        ObjectiveConfig::Fim(Fim { rate: 1.0, level: Level::Context, ..Fim::example() }),
        ObjectiveConfig::Fim(Fim { rate: 1.0, cuts: Cuts::Characters, ..Fim::example() }),
        ObjectiveConfig::Fim(Fim { cuts: Cuts::Characters, level: Level::Context, ..Fim::example() }),
        ObjectiveConfig::PrefixLm(PrefixLm { suffix_share: Some(0.25) }),
        ObjectiveConfig::Mlm(Mlm { rule: MlmRule::HuggingFace, probability: 0.5, ..Mlm::example() }),
        ObjectiveConfig::Mlm(Mlm { whole_words: true, ..Mlm::example() }),
        ObjectiveConfig::Mlm(Mlm { next_sentence: true, ..Mlm::example() }),
        ObjectiveConfig::Mlm(Mlm { next_sentence: true, whole_words: true, short_seq_prob: 0.5, ..Mlm::example() }),
        ObjectiveConfig::HybridCausalMasked(HybridCausalMasked { masked_share: 0.5, ..HybridCausalMasked::example() }),
        ObjectiveConfig::BidirectionalCausal(BidirectionalCausal { branches: Branches::Both, ..Default::default() }),
        ObjectiveConfig::MaskedDiffusion(MaskedDiffusion { rate: DiffusionRate::Coupled, ..Default::default() }),
        ObjectiveConfig::MaskedDiffusion(MaskedDiffusion {
            rate: DiffusionRate::Coupled,
            max_tokens: NonZeroU32::new(40),
            random_length_share: Some(0.5),
        }),
        ObjectiveConfig::ContextPermutation(ContextPermutation {
            headings: vec![vec![1], vec![2]],
            ..Default::default()
        }),
        ObjectiveConfig::BlankInfilling(BlankInfilling { sentence_share: 0.4, end_share: 0.4, ..Default::default() }),
        ObjectiveConfig::BlankInfilling(BlankInfilling {
            sentence_share: 0.3,
            end_share: 0.3,
            block_mask_prob: 0.3,
            max_source_tokens: NonZeroU32::new(50),
            short_seq_prob: 0.5,
            ..Default::default()
        }),
        ObjectiveConfig::ContextPermutation(ContextPermutation { order: PassageOrder::Gold, ..Default::default() }),
        ObjectiveConfig::ContextPermutation(ContextPermutation { bidirectional_context: true, ..Default::default() }),
        ObjectiveConfig::ContextPermutation(ContextPermutation {
            order: PassageOrder::RmFirst,
            headings: vec![vec![1], vec![2]],
            ..Default::default()
        }),
        ObjectiveConfig::SpanCorruption(SpanCorruption { noise_density: 0.5, mean_span_length: 8.0, max_tokens: None }),
    ]
    .into_iter()
}

fn causal_maskings() -> impl Iterator<Item = ObjectiveConfig> {
    let many = CausalMasking { lambda: 5.0, ..CausalMasking::example() };
    let variant = |variant| CausalMasking { variant, ..many.clone() };
    let short = |variant, over_length| CausalMasking {
        variant,
        max_tokens: NonZeroU32::new(50),
        over_length: Some(over_length),
        ..many.clone()
    };
    let size_hints = Some(SizeHints::default());
    [
        CausalMasking { image_spans: ImageSpans::Whole, ..many.clone() },
        CausalMasking { min_spans: Some(0), ..many.clone() },
        CausalMasking { num_spans: NumSpans::Fixed, size_hints, ..many.clone() },
        variant(Variant::Fairseq),
        CausalMasking { lambda: 2.0, ..variant(Variant::Incoder) },
        variant(Variant::Metaseq),
        CausalMasking { spans_across: Some(SpansAcross::Clip), ..variant(Variant::Metaseq) },
        variant(Variant::Cm3leon),
        CausalMasking { full_document_rotation: 0.5, ..variant(Variant::Cm3leon) },
        CausalMasking { retrieved_loss_weight: 0.1, ..variant(Variant::Cm3leon) },
        CausalMasking { retrieved_loss_weight: 0.5, size_hints: Some(SizeHints::default()), ..many.clone() },
        CausalMasking { retrieved_loss_weight: 0.1, ..short(Variant::Fairseq, OverLength::DropEnd) },
        short(Variant::Paper, OverLength::DropEnd),
        short(Variant::Paper, OverLength::ShortenText),
        short(Variant::Fairseq, OverLength::DropEnd),
        short(Variant::Cm3leon, OverLength::ShortenText),
    ]
    .into_iter()
    .map(ObjectiveConfig::CausalMasking)
}

// Runs of text and images of up to 19 tokens each, between nothing and some 200 tokens in all, and three passages.
fn document(number: u32) -> TokenDocument {
    let mut random = KeyedRandom::new(11, "document", &number.to_le_bytes(), 0);
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
    let third = document.tokens.len() as u32 / 3;
    if third > 0 {
        let passage = |index, gold_step| Passage { tokens: index * third..(index + 1) * third, gold_step };
        document.passages = vec![passage(0, Some(1)), passage(1, None), passage(2, Some(0))];
        document.retrieved = vec![0..third];
    }
    document
}

fn for_each_example(check: impl Fn(&TokenDocument, &Example, &dyn Objective)) {
    for objective in objectives() {
        let objective = build(&objective);
        for number in 0..1000 {
            let document = document(number);
            for example in objective.apply(&document, &mut stream(number)) {
                check(&document, &example, objective.as_ref());
            }
        }
    }
}

fn tokens_at(tokens: &[TokenId], runs: &[Range<u32>]) -> Vec<TokenId> {
    runs.iter().flat_map(|run| &tokens[run.start as usize..run.end as usize]).copied().collect()
}

#[test]
fn inverting_an_example_gives_the_tokens_that_it_says_are_in_it() {
    for_each_example(|document, example, objective| {
        assert_eq!(objective.invert(example), Ok(document.tokens_of(&example.source)), "{example:?}");
    });
}

#[test]
fn source_ranges_are_in_order_apart_and_none_is_empty() {
    for_each_example(|document, example, _| {
        let source = &example.source;
        assert!(source.iter().all(|range| range.start < range.end), "{source:?}");
        assert!(source.windows(2).all(|pair| pair[0].end < pair[1].start), "{source:?}");
        assert!(source.last().is_none_or(|last| last.end as usize <= document.tokens.len()), "{source:?}");
    });
}

#[test]
fn an_example_without_its_end_is_refused() {
    for_each_example(|_, example, objective| {
        if example.input_ids.last() == Some(&END) && example.predicts == Predicts::Next {
            let mut cut = example.clone();
            cut.input_ids.pop();
            cut.labels.pop();
            assert!(objective.invert(&cut).is_err(), "{example:?}");
        }
    });
}

#[test]
fn every_id_is_in_the_vocabulary() {
    for_each_example(|_, example, _| {
        assert!(example.input_ids.iter().all(|id| (0..END_OF_IDS).contains(id)), "{example:?}");
        assert!(example.labels.iter().all(|id| *id == NO_LOSS || (0..END_OF_IDS).contains(id)), "{example:?}");
    });
}

#[test]
fn every_token_has_a_label_and_each_extra_row_is_as_long() {
    for_each_example(|_, example, _| {
        let length = example.input_ids.len();
        assert_eq!(example.labels.len(), length);
        let columns = [&example.position_ids, &example.block_position_ids, &example.token_type_ids];
        for extra in columns.map(Vec::len).into_iter().chain([example.loss_weights.len()]) {
            assert!(extra == 0 || extra == length, "{example:?}");
        }
        assert!(example.prefix_len as usize <= length);
        assert!(!example.objective.is_empty());
    });
}

#[test]
fn a_causal_model_learns_what_stands_there() {
    for_each_example(|_, example, _| {
        if example.predicts == Predicts::Next && example.prefix_len == 0 {
            let mut pairs = example.input_ids.iter().zip(&example.labels);
            assert!(pairs.all(|(id, label)| *label == NO_LOSS || id == label), "{example:?}");
        }
    });
}

#[test]
fn nothing_is_learnt_from_a_prefix_that_shows_it() {
    for_each_example(|_, example, _| {
        let prefix = example.prefix_len as usize;
        let shown = example.input_ids[..prefix].iter().zip(&example.labels[..prefix]);
        // A bidirectional model learns a token that it sees only where it may have been replaced.
        let is_partial = prefix < example.input_ids.len();
        assert!(!is_partial || shown.into_iter().all(|(_, label)| *label == NO_LOSS), "{example:?}");
    });
}

#[test]
fn loss_weights_are_zero_where_nothing_is_learnt_and_positive_elsewhere() {
    for_each_example(|_, example, _| {
        let mut pairs = example.loss_weights.iter().zip(&example.labels);
        assert!(pairs.all(|(weight, label)| (*label == NO_LOSS) == (*weight == 0.0) && *weight >= 0.0), "{example:?}");
    });
}

#[test]
fn image_runs_hold_image_tokens_and_all_of_them() {
    for_each_example(|_, example, _| {
        let is_hidden = |id: TokenId| id < FIRST_IMAGE_TOKEN;
        let in_runs = tokens_at(&example.input_ids, &example.images);
        let image_tokens: Vec<_> = example.input_ids.iter().copied().filter(|&id| !is_hidden(id)).collect();
        let shown: Vec<_> = in_runs.into_iter().filter(|&id| !is_hidden(id)).collect();
        assert_eq!(shown, image_tokens);
        assert!(example.images.iter().all(|run| run.start < run.end), "{:?}", example.images);
        assert!(example.images.windows(2).all(|pair| pair[0].end <= pair[1].start), "{:?}", example.images);
    });
}

#[test]
fn each_image_run_says_where_its_tokens_stood_in_the_document() {
    for_each_example(|document, example, _| {
        assert_eq!(example.images.len(), example.image_sources.len(), "{}", example.objective);
        for (run, source) in example.images.iter().zip(&example.image_sources) {
            let before = &document.tokens[*source as usize..(*source + run.end - run.start) as usize];
            // What is hidden is a label: of its own position, or where spans are written out one by one, of the one before.
            let shift = usize::from(!example.block_position_ids.is_empty());
            let is_it = |(position, token): (usize, &TokenId)| {
                let hidden = position.checked_sub(shift).map(|position| example.labels[position]);
                example.input_ids[position] == *token || hidden == Some(*token)
            };
            let mut of_run = (run.start as usize..run.end as usize).zip(before);
            assert!(of_run.all(is_it), "{} at {source}: {example:?}", example.objective);
            let within = |image: &Range<u32>| image.start <= *source && source + run.end - run.start <= image.end;
            assert!(document.images.iter().any(within), "{} at {source}", example.objective);
        }
    });
}

#[test]
fn the_same_document_and_key_give_the_same_examples() {
    for objective in objectives() {
        let objective = build(&objective);
        let examples = [(); 2].map(|()| objective.apply(&document(5), &mut stream(5)));
        assert_eq!(examples[0], examples[1]);
    }
}

// Two views of one document, which the caller keys, differ wherever the objective draws at all.
#[test]
fn two_views_differ_and_each_can_be_made_alone() {
    for settings in objectives() {
        let objective = build(&settings);
        let views = |view| -> Vec<_> {
            let random = |number: u32| KeyedRandom::new(11, "objective", &number.to_le_bytes(), view);
            (0..100).map(|number| objective.apply(&document(number), &mut random(number))).collect()
        };
        let draws = match &settings {
            ObjectiveConfig::LeftToRight(_) => false,
            ObjectiveConfig::PrefixLm(settings) => settings.suffix_share.is_none(),
            ObjectiveConfig::ContextPermutation(settings) => settings.order == PassageOrder::Uniform,
            _ => true,
        };
        assert_eq!(views(0) != views(1), draws, "{settings:?}");
        let alone = KeyedRandom::new(11, "objective", &7_u32.to_le_bytes(), 1);
        assert_eq!(views(1)[7], objective.apply(&document(7), &mut { alone }));
    }
}

#[test]
fn settings_survive_a_job_file_and_refuse_unknown_keys() {
    for settings in objectives() {
        let table = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<ObjectiveConfig>(&table).unwrap(), settings);
        let mut value = serde_json::to_value(&settings).unwrap();
        let of_objective = value.as_object_mut().unwrap().values_mut().next().unwrap();
        of_objective.as_object_mut().unwrap().insert("unknown_key".to_owned(), 1.into());
        let refused = serde_json::from_value::<ObjectiveConfig>(value);
        assert!(refused.unwrap_err().to_string().contains("unknown field `unknown_key`"));
    }
}

#[test]
fn examples_have_nothing_to_complain_of() {
    for settings in ObjectiveConfig::examples() {
        assert_eq!(settings.check(SPECIALS.num_sentinels), Vec::<String>::new());
    }
}

#[test]
fn settings_tell_the_columns_of_their_examples_and_no_others() {
    for settings in objectives() {
        let objective = build(&settings);
        let examples = (0..200).flat_map(|number| objective.apply(&document(number), &mut stream(number)));
        let used = examples.map(|example| TokenColumns {
            position_ids: !example.position_ids.is_empty(),
            block_position_ids: !example.block_position_ids.is_empty(),
            loss_weights: !example.loss_weights.is_empty(),
            token_type_ids: !example.token_type_ids.is_empty(),
        });
        assert_eq!(used.fold(TokenColumns::default(), TokenColumns::or), settings.token_columns(), "{settings:?}");
    }
}

fn mixture_of(objective: ObjectiveConfig) -> ObjectiveConfig {
    ObjectiveConfig::Mixture(Mixture { parts: vec![Part { weight: 1.0, objective }] })
}

#[test]
fn objectives_that_are_published_for_blocks_say_so_and_no_others() {
    for settings in objectives() {
        let expected = match &settings {
            ObjectiveConfig::CausalMasking(settings) => {
                matches!(settings.variant, Variant::Metaseq | Variant::Cm3leon)
            }
            ObjectiveConfig::Fim(settings) => settings.level == Level::Context,
            ObjectiveConfig::Mlm(settings) => settings.next_sentence,
            _ => false,
        };
        assert_eq!(settings.takes_blocks(), expected, "{settings:?}");
        assert_eq!(mixture_of(settings).takes_blocks(), expected);
    }
}

#[test]
fn text_makes_a_difference_to_objectives_that_say_so_and_to_no_others() {
    for settings in objectives().into_iter().flat_map(|settings| [settings.clone(), mixture_of(settings)]) {
        let examples = |objective: Arc<dyn Objective>| -> Vec<_> {
            (0..50).map(|number| objective.apply(&document(number), &mut stream(number))).collect()
        };
        let (without, with) = (examples(settings.build(&SPECIALS)), examples(build(&settings)));
        assert_eq!(without != with, settings.reads_text(), "{settings:?}");
    }
}

#[test]
fn a_mixture_is_as_its_parts_are() {
    let compat = CausalMasking { reference_compat: true, ..CausalMasking::example() };
    let parts = [ObjectiveConfig::CausalMasking(compat), ObjectiveConfig::MaskedDiffusion(MaskedDiffusion::example())];
    let parts = parts.map(|objective| Part { weight: 1.0, objective }).into();
    let mixture = ObjectiveConfig::Mixture(Mixture { parts });
    assert!(mixture.token_columns().loss_weights && !mixture.is_invertible());
    assert!(ObjectiveConfig::examples().iter().all(ObjectiveConfig::is_invertible));
}
