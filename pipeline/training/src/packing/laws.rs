//! What must hold for every registered packing.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use super::*;
use crate::objectives::NO_LOSS;
use crate::random::KeyedRandom;

const PAD: TokenId = -7;
const LONGEST_IMAGE: u64 = 12;

// Each registered packing, with rows short enough that many are made; an image fits into a row but for the last.
fn packings() -> Vec<PackingConfig> {
    let short = |image_spans, length| {
        PackingConfig::ConcatAndSplit(ConcatAndSplit { sequence_length: NonZeroU32::new(length).unwrap(), image_spans })
    };
    let shorter = [
        short(ImagesAtCuts::KeepWhole, 16),
        short(ImagesAtCuts::KeepWhole, LONGEST_IMAGE as u32),
        short(ImagesAtCuts::Cut, 16),
        short(ImagesAtCuts::KeepWhole, 5),
    ];
    PackingConfig::examples().into_iter().chain(shorter).collect()
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

fn pack(packing: &PackingConfig) -> (Vec<PackedRow>, u64) {
    let mut packer = packing.build(PAD);
    let mut rows = Vec::new();
    for (number, example) in (0..).zip(examples()) {
        packer.push(key(number), example, &mut rows);
    }
    packer.finish(&mut rows);
    (rows, packer.cut_images())
}

#[test]
fn every_row_is_exactly_as_long_as_promised() {
    for packing in packings() {
        let length = packing.sequence_length() as usize;
        for row in pack(&packing).0 {
            assert_eq!((row.input_ids.len(), row.labels.len()), (length, length));
            assert_eq!(row.segments.iter().map(|segment| segment.length as usize).sum::<usize>(), length);
            assert!(row.segments.iter().all(|segment| segment.length > 0), "{:?}", row.segments);
        }
    }
}

#[test]
fn all_pieces_of_a_document_put_together_are_its_example() {
    for packing in packings() {
        let mut pieces: BTreeMap<_, (Vec<TokenId>, Vec<TokenId>)> = BTreeMap::new();
        for row in pack(&packing).0 {
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
        for (number, example) in (0..).zip(examples()) {
            let (mut input_ids, mut labels) = (Vec::new(), Vec::new());
            for ((_, offset), (ids, piece_labels)) in pieces.range((key(number), 0)..=(key(number), u32::MAX)) {
                assert_eq!(*offset as usize, input_ids.len());
                input_ids.extend(ids);
                labels.extend(piece_labels);
            }
            assert_eq!((input_ids, labels), (example.input_ids, example.labels));
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
fn images_cut_by_rows_are_counted_and_none_if_kept_whole() {
    for packing in packings() {
        let (rows, cut_images) = pack(&packing);
        let keeps_all = matches!(&packing, PackingConfig::ConcatAndSplit(settings)
            if settings.image_spans == ImagesAtCuts::KeepWhole && u64::from(packing.sequence_length()) >= LONGEST_IMAGE);
        assert_eq!(cut_images == 0, keeps_all, "{packing:?}");
        assert_eq!(images_that_straddle(&rows), cut_images, "{packing:?}");
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
fn nothing_in_is_nothing_out() {
    for packing in packings() {
        let mut rows = Vec::new();
        packing.build(PAD).finish(&mut rows);
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
