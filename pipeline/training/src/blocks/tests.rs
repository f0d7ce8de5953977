//! What holds for blocks, and for objectives that take them.

use std::num::NonZeroU64;

use super::*;
use crate::objectives::{CausalMasking, Fim, Level, NO_LOSS, ObjectiveConfig, ObjectiveSettings, Variant};
use crate::packing::{OneDocument, PackingSettings, RowLength};
use crate::retrieval::in_front;

const END: TokenId = 1000;
const IMAGE_LENGTH: u64 = 9;

fn specials() -> Specials {
    Specials { end_of_document: END, ..Specials::consecutive(1100, 512) }
}

fn key(number: u32) -> [u8; 16] {
    u128::from(number).to_le_bytes()
}

// Up to some hundred tokens, with images between.
fn document(number: u32) -> TokenDocument {
    let mut random = KeyedRandom::new(3, "blocks", &number.to_le_bytes(), 0);
    let mut below = |bound| random.below(NonZeroU64::new(bound).unwrap());
    let mut document = TokenDocument::default();
    for _ in 0..below(8) {
        document.tokens.extend((0..below(20)).map(|_| below(900) as TokenId));
        let start = document.tokens.len() as u32;
        document.tokens.extend((0..IMAGE_LENGTH).map(|_| 900 + below(50) as TokenId));
        document.images.push(start..start + IMAGE_LENGTH as u32);
    }
    document
}

fn blocks(length: u32, images: ImagesAtCuts, numbers: Range<u32>) -> (Vec<Block>, FillReport) {
    let mut builder = BlockBuilder::new(NonZeroU32::new(length).unwrap(), images, &specials());
    let mut blocks = Vec::new();
    numbers.for_each(|number| builder.push(key(number), &document(number), &mut blocks));
    builder.finish(&mut blocks);
    (blocks, builder.report())
}

const WAYS: [ImagesAtCuts; 3] = [ImagesAtCuts::Cut, ImagesAtCuts::KeepWhole, ImagesAtCuts::DropRest];

#[test]
fn documents_go_on_in_the_next_block_and_each_has_its_end() {
    let text = |first: TokenId, length: i32| TokenDocument {
        tokens: (first..first + length).collect(),
        ..TokenDocument::default()
    };
    let mut builder = BlockBuilder::new(NonZeroU32::new(4).unwrap(), ImagesAtCuts::Cut, &specials());
    let mut blocks = Vec::new();
    builder.push(key(1), &text(10, 2), &mut blocks);
    builder.push(key(2), &text(20, 8), &mut blocks);
    builder.finish(&mut blocks);
    let tokens: Vec<_> = blocks.iter().map(|block| block.document.tokens.as_slice()).collect();
    assert_eq!(tokens, [&[10, 11, END, 20][..], &[21, 22, 23, 24], &[25, 26, 27, END]]);
    let numbers: Vec<_> = blocks.iter().map(|block| (block.key(), block.number)).collect();
    assert_eq!(numbers, [(key(1), 0), (key(2), 0), (key(2), 1)]);
    assert_eq!(blocks[0].document_of(3), Some((key(2), 0)));
    assert_eq!(blocks[2].document_of(3), Some((key(2), 8)));
    assert_eq!(blocks[2].document_of(4), None);
}

#[test]
fn every_token_of_every_document_is_in_one_block_or_counted_as_dropped() {
    for images in WAYS {
        let (blocks, report) = blocks(50, images, 0..300);
        let with_end = |number| document(number).tokens.into_iter().chain([END]).collect::<Vec<_>>();
        let (mut next, mut num_dropped) = (vec![0; 300], 0);
        for block in &blocks {
            assert!(block.document.tokens.len() <= 50);
            assert_eq!(block.parts.last().map(|part| part.tokens.end), Some(block.document.tokens.len() as u32));
            for part in &block.parts {
                let number = u128::from_le_bytes(part.document) as usize;
                let tokens = &block.document.tokens[part.tokens.start as usize..part.tokens.end as usize];
                let start = part.document_offset as usize;
                assert_eq!(tokens, &with_end(number as u32)[start..start + tokens.len()]);
                num_dropped += start - next[number];
                next[number] = start + tokens.len();
            }
        }
        (0..300).for_each(|number| num_dropped += with_end(number as u32).len() - next[number]);
        assert_eq!(num_dropped as u64, report.dropped_tokens, "{images:?}");
        let num_short = blocks.iter().filter(|block| block.document.tokens.len() < 50).count();
        assert!(images == ImagesAtCuts::KeepWhole || num_short <= 1, "{num_short}");
    }
}

#[test]
fn images_stand_where_their_tokens_are_and_are_whole_if_they_are_to_be() {
    for images in WAYS {
        for block in blocks(50, images, 0..300).0 {
            let tokens = &block.document.tokens;
            let is_image = |at: usize| (900..1000).contains(&tokens[at]);
            let in_runs: Vec<usize> =
                block.document.images.iter().flat_map(|run| run.start as usize..run.end as usize).collect();
            assert_eq!(in_runs, (0..tokens.len()).filter(|&at| is_image(at)).collect::<Vec<_>>());
            let whole = block.document.images.iter().all(|run| run.len() == IMAGE_LENGTH as usize);
            assert!(whole || images != ImagesAtCuts::KeepWhole);
            // No block goes on with an image whose rest is dropped.
            let begins_inside = is_image(0) && block.parts[0].document_offset > 0 && block.document.images[0].len() < 9;
            assert!(!begins_inside || images == ImagesAtCuts::Cut);
        }
    }
}

#[test]
fn no_two_blocks_have_the_same_draws_and_each_can_be_drawn_again() {
    let (all, _) = blocks(20, ImagesAtCuts::Cut, 0..300);
    let mut draws: Vec<_> = all.iter().map(|block| block.random(7, "objective", 0).uniform().to_bits()).collect();
    draws.sort_unstable();
    assert!(draws.windows(2).all(|pair| pair[0] < pair[1]));
    let view = |view| all[5].random(7, "objective", view).uniform();
    assert!(view(0) != view(1) && view(1) == view(1));
}

fn objectives() -> Vec<ObjectiveConfig> {
    let masking = |variant| CausalMasking { variant, lambda: 2.0, ..CausalMasking::example() };
    vec![
        ObjectiveConfig::CausalMasking(masking(Variant::Metaseq)),
        ObjectiveConfig::CausalMasking(masking(Variant::Cm3leon)),
        ObjectiveConfig::Fim(Fim { level: Level::Context, ..Fim::example() }),
    ]
}

#[test]
fn examples_of_blocks_fill_rows_and_give_their_documents_back() {
    let specials = specials();
    let sequence_length = NonZeroU32::new(99).unwrap();
    let settings = OneDocument { sequence_length, row_length: RowLength::SequencePlusOne, ..OneDocument::example() };
    for objective in objectives() {
        assert!(objective.takes_blocks());
        let objective = objective.build(&specials);
        let (mut packer, mut rows) = (settings.build(&specials), Vec::new());
        let (blocks, _) = blocks(100, ImagesAtCuts::Cut, 0..300);
        for block in &blocks {
            for example in objective.apply(&block.document, &mut block.random(7, "objective", 0)) {
                let expected = block.document.tokens_of(&example.source);
                assert_eq!(objective.invert(&example), Ok(expected), "{example:?}");
                // A block of its own length loses no more than the tokens that the objective has added.
                assert_eq!(example.input_ids.len(), block.document.tokens.len());
                packer.push(block.key(), example, &mut rows);
            }
        }
        assert_eq!(rows.len(), blocks.len());
        assert!(rows.iter().all(|row| row.input_ids.len() == 100));
    }
}

#[test]
fn the_end_of_each_document_is_in_the_example_of_its_block_and_learnt() {
    let num_ends = |ids: &[TokenId]| ids.iter().filter(|&&id| id == END).count();
    for objective in objectives() {
        let objective = objective.build(&specials());
        let (blocks, _) = blocks(100, ImagesAtCuts::Cut, 0..300);
        let mut num_in_blocks = 0;
        for block in &blocks {
            num_in_blocks += num_ends(&block.document.tokens);
            for example in objective.apply(&block.document, &mut block.random(7, "objective", 0)) {
                let expected = num_ends(&block.document.tokens_of(&example.source));
                assert_eq!((num_ends(&example.input_ids), num_ends(&example.labels)), (expected, expected));
                assert!(
                    !example.labels.iter().zip(&example.input_ids).any(|(&label, &id)| id == END && label == NO_LOSS)
                );
            }
        }
        assert_eq!(num_in_blocks, 300);
    }
}

#[test]
fn what_was_retrieved_weighs_less_in_blocks_too_however_they_are_cut() {
    let settings = CausalMasking { variant: Variant::Cm3leon, retrieved_loss_weight: 0.1, ..CausalMasking::example() };
    let objective = settings.build(&specials());
    let text = |first: TokenId, length: i32| TokenDocument {
        tokens: (first..first + length).collect(),
        ..TokenDocument::default()
    };
    let mut builder = BlockBuilder::new(NonZeroU32::new(23).unwrap(), ImagesAtCuts::Cut, &specials());
    let mut blocks = Vec::new();
    for number in 0..100 {
        let joined = in_front(&[&text(10, 7), &text(20, 4)], &text(500, 9), &specials());
        builder.push(key(number), &joined, &mut blocks);
    }
    builder.finish(&mut blocks);
    let mut shares = (0, 0);
    for block in &blocks {
        for example in objective.apply(&block.document, &mut block.random(7, "objective", 0)) {
            for ((&id, &label), &weight) in example.input_ids.iter().zip(&example.labels).zip(&example.loss_weights) {
                let of_main = (500..600).contains(&id) || id == END;
                let of_retrieved = id < 100 || id == specials().break_;
                assert!(!of_main || weight == 1.0, "{example:?}");
                assert!(!of_retrieved || weight == 0.1, "{example:?}");
                assert_ne!(label, NO_LOSS);
                shares = (shares.0 + u32::from(of_main), shares.1 + u32::from(of_retrieved));
            }
        }
    }
    assert!(shares.0 > 500 && shares.1 > 500, "{shares:?}");
}

#[test]
fn the_break_behind_an_image_whose_rest_is_dropped_goes_with_it() {
    let break_ = specials().break_;
    let document = TokenDocument {
        tokens: vec![1, break_, 901, 902, 903, break_, 2, break_, 904, 905],
        images: vec![2..5, 8..10],
        ..TokenDocument::default()
    };
    let mut builder = BlockBuilder::new(NonZeroU32::new(4).unwrap(), ImagesAtCuts::DropRest, &specials());
    let mut blocks = Vec::new();
    builder.push(key(1), &document, &mut blocks);
    builder.push(key(2), &TokenDocument { tokens: vec![3], ..TokenDocument::default() }, &mut blocks);
    builder.finish(&mut blocks);
    let tokens: Vec<_> = blocks.iter().map(|block| block.document.tokens.as_slice()).collect();
    assert_eq!(tokens, [&[1, break_, 901, 902][..], &[2, break_, 904, 905], &[END, 3, END]]);
    assert_eq!(builder.report().dropped_tokens, 2);
    // Of the second image nothing was cut, but an image that is cut takes even its document's end along.
    let mut builder = BlockBuilder::new(NonZeroU32::new(3).unwrap(), ImagesAtCuts::DropRest, &specials());
    let end_of_document = TokenDocument { tokens: vec![2, break_, 904, 905], images: vec![2..4], ..Default::default() };
    let mut blocks = Vec::new();
    builder.push(key(1), &end_of_document, &mut blocks);
    builder.finish(&mut blocks);
    assert_eq!(blocks.iter().map(|block| block.document.tokens.as_slice()).collect::<Vec<_>>(), [&[2, break_, 904]]);
    assert_eq!(builder.report().dropped_tokens, 2);
}

#[test]
fn spans_of_a_block_reach_across_documents_unless_they_are_clipped() {
    let specials = specials();
    let across = |spans_across| {
        let settings = CausalMasking { variant: Variant::Metaseq, spans_across, ..CausalMasking::example() };
        let objective = settings.build(&specials);
        let (blocks, _) = blocks(300, ImagesAtCuts::Cut, 0..600);
        let examples =
            blocks.iter().flat_map(|block| objective.apply(&block.document, &mut block.random(7, "objective", 0)));
        let has_end_in_span = |ids: &[TokenId]| {
            let of_first: Vec<_> = (0..ids.len()).filter(|&at| ids[at] == specials.sentinel(0)).collect();
            // Within clipped spans a document's end can only be the first token, which it leads.
            of_first.len() == 2 && ids[of_first[1] + 1..].windows(2).any(|pair| pair[1] == END && pair[0] < END)
        };
        examples.filter(|example| has_end_in_span(&example.input_ids)).count()
    };
    assert!(across(None) > 20);
    assert_eq!(across(Some(crate::objectives::SpansAcross::Clip)), 0);
}
