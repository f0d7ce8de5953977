//! What must hold for every registered packing.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;

use super::*;
use crate::image_runs::ImageRun;
use crate::objectives::{
    Biphasic, CausalMasking, Fim, Mixture, NO_LOSS, ObjectiveSettings, Part, TokenDocument, TokenId, Variant,
};
use crate::random::KeyedRandom;
use crate::specials::Specials;

const PAD: TokenId = -7;
const LONGEST_IMAGE: u64 = 12;

// Each registered packing, with rows short enough that many are made; an image fits into a row but for the last.
fn packings() -> Vec<PackingConfig> {
    let of = |length: u32| NonZeroU32::new(length).unwrap();
    let short = |image_spans, length| {
        let sequence_length = of(length);
        PackingConfig::ConcatAndSplit(ConcatAndSplit { sequence_length, image_spans, ..ConcatAndSplit::example() })
    };
    let best_fit = |image_spans, long_examples, length| {
        let (sequence_length, window_tokens) = (of(length), NonZeroU64::new(900).unwrap());
        let rest = BestFit::example();
        PackingConfig::BestFit(BestFit { sequence_length, image_spans, long_examples, window_tokens, ..rest })
    };
    let one_document = |long_examples| {
        let (sequence_length, row_length) = (of(16), RowLength::SequencePlusOne);
        let rest = OneDocument::example();
        PackingConfig::OneDocument(OneDocument { sequence_length, row_length, long_examples, ..rest })
    };
    let shorter = [
        short(ImagesAtCuts::KeepWhole, 16),
        short(ImagesAtCuts::KeepWhole, LONGEST_IMAGE as u32),
        short(ImagesAtCuts::DropRest, 16),
        short(ImagesAtCuts::Cut, 16),
        short(ImagesAtCuts::KeepWhole, 5),
        best_fit(ImagesAtCuts::KeepWhole, LongExamples::Split, 40),
        best_fit(ImagesAtCuts::Cut, LongExamples::DropEnd, 40),
        best_fit(ImagesAtCuts::DropRest, LongExamples::Split, 40),
        one_document(LongExamples::Split),
        one_document(LongExamples::DropEnd),
    ];
    PackingConfig::examples().into_iter().chain(shorter).collect()
}

// No example has one of them but padding.
fn specials() -> Specials {
    Specials { pad: PAD, ..Specials::consecutive(1 << 20, 16) }
}

fn key(number: u32) -> [u8; 16] {
    u128::from(number).to_le_bytes()
}

// 300 examples of up to some 100 tokens, all different, some without loss, with images in between.
fn examples() -> Vec<Example> {
    let mut random = KeyedRandom::new(5, "packing", b"", 0);
    let mut below = |bound| random.below(NonZeroU64::new(bound).unwrap());
    let mut next_token = 0;
    let mut example = || {
        let mut example = Example::default();
        for _ in 0..below(12) {
            let start = example.input_ids.len() as u32;
            let (is_image, length) = (below(2) == 0, below(LONGEST_IMAGE) + 1);
            for _ in 0..length {
                example.input_ids.push(next_token);
                example.labels.push(if next_token % 5 == 0 { NO_LOSS } else { next_token });
                next_token += 1;
            }
            if is_image {
                example.images.push(start..start + length as u32);
            }
        }
        example
    };
    (0..300).map(|_| example()).collect()
}

fn pack(packing: &PackingConfig) -> (Vec<PackedRow>, FillReport) {
    let mut packer = packing.build(&specials());
    let mut rows = Vec::new();
    for (number, example) in (0..).zip(examples()) {
        packer.push(key(number), example, &mut rows);
    }
    packer.finish(&mut rows);
    (rows, packer.report())
}

#[test]
fn every_row_is_exactly_as_long_as_promised() {
    for packing in packings() {
        for row in pack(&packing).0 {
            let length = packing.row_length().map_or(row.input_ids.len(), |length| length as usize);
            assert_eq!((row.input_ids.len(), row.labels.len()), (length, length));
            assert_eq!(row.segments.iter().map(|segment| segment.length as usize).sum::<usize>(), length);
            assert!(row.segments.iter().all(|segment| segment.length > 0), "{:?}", row.segments);
        }
    }
}

// Tokens of all examples are numbered, so a token's number says which image it is of.
#[test]
fn a_row_tells_all_image_tokens_by_their_image_and_their_place_in_it() {
    for packing in packings() {
        let (mut packer, mut rows) = (packing.build(&specials()), Vec::new());
        let (mut image_of, mut num_images) = (BTreeMap::new(), 0_u8);
        for (number, mut example) in (0..).zip(examples().into_iter().take(40)) {
            let of_image = |tokens: &Range<u32>| {
                num_images = num_images.wrapping_add(1);
                let ids = &example.input_ids[tokens.start as usize..tokens.end as usize];
                image_of.extend((0..).zip(ids).map(|(offset, id)| (*id, (num_images, offset))));
                ImageRun { image: [num_images; 16], tokens: tokens.clone(), offset: 0 }
            };
            example.shown = Some(example.images.iter().map(of_image).collect());
            packer.push(key(number), example, &mut rows);
        }
        packer.finish(&mut rows);
        for row in rows {
            let (mut start, mut told) = (0, BTreeMap::new());
            for segment in &row.segments {
                for run in &segment.images {
                    let ids = &row.input_ids[start + run.tokens.start as usize..start + run.tokens.end as usize];
                    told.extend((run.offset..).zip(ids).map(|(offset, id)| (*id, (run.image[0], offset))));
                }
                start += segment.length as usize;
            }
            let expected = row.input_ids.iter().filter_map(|id| Some((*id, *image_of.get(id)?)));
            assert_eq!(told, expected.collect(), "{packing:?}");
        }
    }
}

#[test]
fn every_token_is_in_one_row_with_its_label_or_counted_as_dropped() {
    for packing in packings() {
        let (rows, report) = pack(&packing);
        let mut pieces: BTreeMap<_, (Vec<TokenId>, Vec<TokenId>)> = BTreeMap::new();
        for row in rows {
            let mut start = 0;
            for segment in &row.segments {
                let end = start + segment.length as usize;
                let piece = (row.input_ids[start..end].to_vec(), row.labels[start..end].to_vec());
                match segment.document {
                    Some(document) => assert_eq!(pieces.insert((document, segment.document_offset), piece), None),
                    None => assert!(piece.0.iter().all(|&id| id == PAD) && piece.1.iter().all(|&id| id == NO_LOSS)),
                }
                start = end;
            }
        }
        let mut num_dropped = 0;
        for (number, example) in (0..).zip(examples()) {
            let mut next = 0;
            for ((_, offset), (ids, labels)) in pieces.range((key(number), 0)..=(key(number), u32::MAX)) {
                let (start, end) = (*offset as usize, *offset as usize + ids.len());
                assert!(start >= next);
                num_dropped += start - next;
                assert_eq!((&example.input_ids[start..end], &example.labels[start..end]), (&ids[..], &labels[..]));
                next = end;
            }
            num_dropped += example.input_ids.len() - next;
        }
        assert_eq!(num_dropped as u64, report.dropped_tokens, "{packing:?}");
    }
}

// Two views of documents in pieces, in phases or moved, by one of three objectives.
fn examples_of_a_mixture() -> Vec<([u8; 16], Example)> {
    let pieces =
        CausalMasking { variant: Variant::Fairseq, max_tokens: NonZeroU32::new(9), ..CausalMasking::example() };
    let objectives = [
        ObjectiveConfig::CausalMasking(pieces),
        ObjectiveConfig::Biphasic(Biphasic::example()),
        ObjectiveConfig::Fim(Fim::example()),
    ];
    let parts = objectives.map(|objective| Part { weight: 1.0, objective });
    let mixture = Mixture { parts: parts.into() }.build(&specials());
    let of_document = |(number, example): (u32, Example)| {
        let document = TokenDocument { tokens: example.input_ids, images: example.images, ..TokenDocument::default() };
        let of_view = |view| {
            let examples = mixture.apply(&document, &mut KeyedRandom::new(5, "objective", &key(number), view));
            examples.into_iter().map(move |example| (key(number), Example { view, ..example }))
        };
        [0, 1].into_iter().flat_map(of_view).collect::<Vec<_>>()
    };
    (0..).zip(examples()).flat_map(of_document).collect()
}

#[test]
fn every_token_of_a_row_is_at_the_place_in_its_example_that_the_row_says() {
    let all = examples_of_a_mixture();
    let name = |key: [u8; 16], view: u32, part: u32, branch: u32| (key, view, part, branch);
    let named = all.iter().map(|(key, example)| (name(*key, example.view, example.part, example.branch), example));
    let by_name: BTreeMap<_, _> = named.collect();
    assert_eq!(by_name.len(), all.len(), "two examples have one name");
    for packing in packings() {
        let (mut packer, mut rows) = (packing.build(&specials()), Vec::new());
        all.iter().for_each(|(key, example)| packer.push(*key, example.clone(), &mut rows));
        packer.finish(&mut rows);
        for row in rows {
            let mut start = 0;
            for segment in &row.segments {
                let end = start + segment.length as usize;
                if let Some(document) = segment.document {
                    let example = by_name[&name(document, segment.view, segment.part, segment.branch)];
                    let tokens = segment.tokens().start as usize..segment.tokens().end as usize;
                    assert_eq!(row.input_ids[start..end], example.input_ids[tokens.clone()]);
                    assert_eq!(row.labels[start..end], example.labels[tokens]);
                    assert_eq!((&segment.source, segment.objective), (&example.source, example.objective));
                }
                start = end;
            }
        }
    }
}

// Every third document by another objective, which is for the first phase alone.
fn in_phases() -> ObjectiveConfig {
    let parts = [
        (2.0, ObjectiveConfig::Biphasic(Biphasic::example())),
        (1.0, ObjectiveConfig::CausalMasking(CausalMasking::example())),
    ];
    ObjectiveConfig::Mixture(Mixture { parts: parts.map(|(weight, objective)| Part { weight, objective }).into() })
}

// A document of these tokens, with a break behind each image that no other follows at once.
fn closed(example: Example) -> TokenDocument {
    let Example { input_ids: mut tokens, images, .. } = example;
    for image in &images {
        let position = image.end as usize;
        if position < tokens.len() && !images.iter().any(|other| other.start == image.end) {
            tokens[position] = specials().break_;
        }
    }
    TokenDocument { tokens, images, ..TokenDocument::default() }
}

fn pack_phases(packing: &PackingConfig, objective: &ObjectiveConfig) -> (Vec<PackedRow>, FillReport, usize) {
    let (mut packer, mut rows) = (packing.build_for(objective, &specials()), Vec::new());
    let (built, mut num_tokens) = (objective.build(&specials()), 0);
    for (number, example) in (0..).zip(examples()) {
        let document = closed(example);
        for example in built.apply(&document, &mut KeyedRandom::new(5, "objective", &key(number), 0)) {
            num_tokens += example.input_ids.len();
            packer.push(key(number), example, &mut rows);
        }
    }
    packer.finish(&mut rows);
    (rows, packer.report(), num_tokens)
}

#[test]
fn no_row_mixes_phases_and_each_says_its_own() {
    for packing in packings() {
        let objective = in_phases();
        let (rows, report, num_tokens) = pack_phases(&packing, &objective);
        for row in &rows {
            let of_examples = row.segments.iter().filter(|segment| segment.document.is_some());
            let mut phases = of_examples.map(|segment| objective.phase(segment.part, segment.branch));
            assert!(phases.all(|phase| phase == row.phase), "{packing:?}");
        }
        assert!([0, 1].iter().all(|phase| rows.iter().any(|row| row.phase == *phase)));
        assert_eq!(report.tokens + report.dropped_tokens, num_tokens as u64);
        let places: usize = rows.iter().map(|row| row.input_ids.len()).sum();
        assert_eq!((report.rows, report.tokens + report.padding_tokens), (rows.len() as u64, places as u64));
    }
}

#[test]
fn phases_of_one_text_are_the_same_packs_with_other_labels() {
    for packing in packings() {
        let (rows, ..) = pack_phases(&packing, &ObjectiveConfig::Biphasic(Biphasic::example()));
        let packs = |phase: u32| {
            let of_phase = rows.iter().filter(move |row| row.phase == phase);
            of_phase.map(|row| {
                let place = |segment: &Segment| (segment.document, segment.tokens(), segment.source.clone());
                row.segments.iter().map(place).collect::<Vec<_>>()
            })
        };
        assert!(packs(0).eq(packs(1)), "{packing:?}");
        assert!(packs(0).count() > 0 && packs(2).count() == 0);
    }
}

#[test]
fn an_objective_without_phases_has_one_packer() {
    for packing in packings() {
        let objective = ObjectiveConfig::CausalMasking(CausalMasking::example());
        assert!(pack_phases(&packing, &objective).0.iter().all(|row| row.phase == 0));
    }
}

#[test]
fn rows_of_phases_made_in_the_memory_of_others_are_the_same_rows() {
    for packing in packings() {
        let objective = in_phases();
        let built = objective.build(&specials());
        let of_document = |(number, example): (u32, Example)| {
            let document = closed(example);
            (key(number), built.apply(&document, &mut KeyedRandom::new(5, "objective", &key(number), 0)))
        };
        let all = pack_with_reuse(packing.build_for(&objective, &specials()), (0..).zip(examples()).map(of_document));
        assert_eq!(all, pack_phases(&packing, &objective).0, "{packing:?}");
    }
}

#[test]
fn the_report_adds_up() {
    for packing in packings() {
        let (rows, report) = pack(&packing);
        let all_tokens: usize = examples().iter().map(|example| example.input_ids.len()).sum();
        assert_eq!(report.tokens + report.dropped_tokens, all_tokens as u64, "{packing:?}");
        let places: usize = rows.iter().map(|row| row.input_ids.len()).sum();
        assert_eq!((report.rows, report.tokens + report.padding_tokens), (rows.len() as u64, places as u64));
        let mut kept: BTreeMap<[u8; 16], (u32, u32)> = BTreeMap::new();
        for segment in rows.iter().flat_map(|row| &row.segments) {
            if let Some(document) = segment.document {
                let (num_pieces, num_tokens) = kept.entry(document).or_default();
                *num_pieces += 1;
                *num_tokens += segment.length;
            }
        }
        let is_cut = |(number, example): &(u32, Example)| {
            let kept = kept.get(&key(*number)).copied().unwrap_or_default();
            kept.0 > 1 || (kept.1 as usize) < example.input_ids.len()
        };
        assert_eq!((0..).zip(examples()).filter(is_cut).count() as u64, report.cut_examples, "{packing:?}");
    }
}

#[test]
fn extra_columns_are_whole_and_say_what_the_examples_said() {
    let with_extras = |(number, example): (usize, Example)| {
        let length = example.input_ids.len() as u32;
        if number % 3 > 0 {
            return example;
        }
        let loss_weights = example.labels.iter().map(|&label| if label == NO_LOSS { 0.0 } else { 2.5 }).collect();
        let position_ids = (0..length).map(|index| index + 1000).collect();
        Example { prefix_len: length / 2, loss_weights, position_ids, objective: "test", ..example }
    };
    for packing in packings() {
        let (mut packer, mut rows) = (packing.build(&specials()), Vec::new());
        for (number, example) in examples().into_iter().enumerate() {
            packer.push(key(number as u32), with_extras((number, example)), &mut rows);
        }
        packer.finish(&mut rows);
        for row in rows {
            let mut start = 0;
            for segment in &row.segments {
                let end = start + segment.length as usize;
                let is_extra = segment.objective == "test";
                let first_position = if is_extra { segment.document_offset + 1000 } else { 0 };
                assert!(
                    row.position_ids.is_empty()
                        || row.position_ids[start] == first_position
                        || segment.document.is_none()
                );
                let weight = if is_extra { 2.5 } else { 1.0 };
                let expected = row.labels[start..end].iter().map(|&label| if label == NO_LOSS { 0.0 } else { weight });
                assert!(row.loss_weights.is_empty() || expected.eq(row.loss_weights[start..end].iter().copied()));
                assert!(!is_extra || row.loss_weights.len() == row.input_ids.len());
                start = end;
            }
        }
    }
}

#[test]
fn padding_stands_last_in_its_row() {
    for packing in packings() {
        for row in pack(&packing).0 {
            let last = row.segments.len() - 1;
            assert!(row.segments[..last].iter().all(|segment| segment.document.is_some()), "{:?}", row.segments);
            assert!(row.segments[0].document.is_some(), "a row of nothing but padding");
        }
    }
}

#[test]
fn images_cut_by_rows_are_counted() {
    for packing in packings() {
        let (rows, report) = pack(&packing);
        assert_eq!(images_that_straddle(&rows), report.cut_images, "{packing:?}");
    }
}

#[test]
fn no_image_is_cut_that_is_to_be_kept_whole_and_fits_a_row() {
    for packing in packings() {
        let image_spans = match &packing {
            PackingConfig::ConcatAndSplit(settings) => settings.image_spans,
            PackingConfig::BestFit(settings) => settings.image_spans,
            PackingConfig::OneDocument(settings) => settings.image_spans,
            PackingConfig::Passthrough(_) => ImagesAtCuts::KeepWhole,
        };
        let fits = packing.row_length().is_none_or(|length| u64::from(length) >= LONGEST_IMAGE);
        let num_cut = pack(&packing).1.cut_images;
        assert!(num_cut == 0 || image_spans != ImagesAtCuts::KeepWhole || !fits, "{packing:?}");
    }
}

// How many pieces end inside an image of their example.
fn images_that_straddle(rows: &[PackedRow]) -> u64 {
    let mut straddling = 0;
    for (number, example) in (0..).zip(examples()) {
        let of_example = |segment: &&Segment| segment.document == Some(key(number));
        for piece in rows.iter().flat_map(|row| &row.segments).filter(of_example) {
            let end = piece.document_offset + piece.length;
            straddling += example.images.iter().filter(|image| image.start < end && end < image.end).count() as u64;
        }
    }
    straddling
}

#[test]
fn rows_made_in_the_memory_of_others_are_the_same_rows() {
    let with_extras = |example: Example| {
        let position_ids = (0..example.input_ids.len() as u32).rev().collect();
        let loss_weights = vec![0.5; example.input_ids.len()];
        Example { position_ids, loss_weights, ..example }
    };
    for packing in packings() {
        let (mut packer, mut rows) = (packing.build(&specials()), Vec::new());
        // Rows with every column go first, so that what is left of them would show in those that follow.
        for (number, example) in (0..).zip(examples()) {
            packer.push(key(number), with_extras(example), &mut rows);
        }
        packer.finish(&mut rows);
        packer.reuse(&mut rows);
        let all = pack_with_reuse(packer, (0..).zip(examples()).map(|(number, example)| (key(number), vec![example])));
        assert_eq!(all, pack(&packing).0, "{packing:?}");
    }
}

// All rows of these documents' examples, each document's made in the memory of those before.
fn pack_with_reuse(
    mut packer: Box<dyn Packer>,
    documents: impl Iterator<Item = ([u8; 16], Vec<Example>)>,
) -> Vec<PackedRow> {
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for (key, examples) in documents {
        for example in examples {
            packer.push(key, example, &mut rows);
        }
        all.extend(rows.iter().cloned());
        packer.reuse(&mut rows);
        assert_eq!(rows, []);
    }
    packer.finish(&mut rows);
    all.append(&mut rows);
    all
}

#[test]
fn nothing_in_is_nothing_out() {
    for packing in packings() {
        let mut rows = Vec::new();
        packing.build(&specials()).finish(&mut rows);
        assert_eq!(rows, []);
    }
}

#[test]
fn settings_survive_a_job_file_and_refuse_unknown_keys() {
    for settings in packings() {
        let table = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<PackingConfig>(&table).unwrap(), settings);
        let refused = toml::from_str::<PackingConfig>(&format!("{table}\nunknown_key = 1\n"));
        assert!(refused.unwrap_err().to_string().contains("unknown field `unknown_key`"));
    }
}

#[test]
fn examples_have_nothing_to_complain_of() {
    for settings in PackingConfig::examples() {
        assert_eq!(settings.check(), Vec::<String>::new());
    }
}
