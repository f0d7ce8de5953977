//! Lays examples end to end and cuts wherever a row is full.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::row::OpenRow;
use super::{PackedRow, Packer, PackingSettings};
use crate::objectives::{Example, TokenId};

/// Settings of `concat_and_split`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatAndSplit {
    /// Every row has exactly this many tokens. Trainers that shift rows themselves want one more than their context.
    pub sequence_length: NonZeroU32,
    /// What happens where a row is full in the middle of an image.
    #[serde(default)]
    pub image_spans: ImagesAtCuts,
}

/// What happens where a row is full in the middle of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImagesAtCuts {
    /// The row is padded from the image's first token on, and the image starts the next row. An image longer than a row
    /// is cut all the same, and counted.
    #[default]
    KeepWhole,
    /// The image is cut, and counted. Only the last row of all has padding.
    Cut,
}

impl PackingSettings for ConcatAndSplit {
    fn example() -> Self {
        Self { sequence_length: NonZeroU32::MIN.saturating_add(2047), image_spans: ImagesAtCuts::KeepWhole }
    }

    fn check(&self) -> Vec<String> {
        if self.sequence_length.get() == 1 {
            return vec![
                "sequence_length is 1, but the first token of a row has nothing to be predicted from".to_owned(),
            ];
        }
        Vec::new()
    }

    fn sequence_length(&self) -> u32 {
        self.sequence_length.get()
    }

    fn build(&self, pad: TokenId) -> Box<dyn Packer> {
        let open = OpenRow::new(self.sequence_length.get() as usize);
        Box::new(EndToEnd { settings: self.clone(), pad, open, cut_images: 0 })
    }
}

struct EndToEnd {
    settings: ConcatAndSplit,
    pad: TokenId,
    open: OpenRow,
    cut_images: u64,
}

impl Packer for EndToEnd {
    fn push(&mut self, key: [u8; 16], example: Example, rows: &mut Vec<PackedRow>) {
        let mut start = 0;
        while start < example.input_ids.len() {
            let end = self.end_of_piece(&example, start);
            self.open.append(key, &example, start..end);
            if self.open.room() == 0 || end < example.input_ids.len() {
                rows.push(self.open.take_padded(self.pad));
            }
            start = end;
        }
    }

    fn finish(&mut self, rows: &mut Vec<PackedRow>) {
        if !self.open.is_empty() {
            rows.push(self.open.take_padded(self.pad));
        }
    }

    fn cut_images(&self) -> u64 {
        self.cut_images
    }
}

impl EndToEnd {
    // Where the piece from `start` on ends that goes into the open row: `start` itself where an image needs a new row.
    fn end_of_piece(&mut self, example: &Example, start: usize) -> usize {
        let end = start + self.open.room();
        if end >= example.input_ids.len() {
            return example.input_ids.len();
        }
        let next_image = example.images.partition_point(|image| image.end as usize <= end);
        let cut_image = example.images.get(next_image).filter(|image| (image.start as usize) < end);
        match cut_image {
            None => end,
            Some(image) if self.settings.image_spans == ImagesAtCuts::KeepWhole && self.fits_a_row(image.len()) => {
                image.start as usize
            }
            Some(_) => {
                self.cut_images += 1;
                end
            }
        }
    }

    fn fits_a_row(&self, num_tokens: usize) -> bool {
        num_tokens <= self.settings.sequence_length.get() as usize
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::super::Segment;
    use super::*;
    use crate::objectives::NO_LOSS;

    const PAD: TokenId = 0;

    // Tokens 10, 11, …, one example of each length, with these images; rows of 4.
    fn pack(image_spans: ImagesAtCuts, examples: &[(usize, &[Range<u32>])]) -> (Vec<PackedRow>, u64) {
        let sequence_length = NonZeroU32::new(4).unwrap();
        let mut packer = ConcatAndSplit { sequence_length, image_spans }.build(PAD);
        let mut rows = Vec::new();
        for (number, (length, images)) in (0..).zip(examples) {
            let input_ids: Vec<_> = (10..).take(*length).collect();
            let example =
                Example { labels: input_ids.clone(), input_ids, images: images.to_vec(), ..Example::default() };
            packer.push([number; 16], example, &mut rows);
        }
        packer.finish(&mut rows);
        (rows, packer.cut_images())
    }

    fn ids(rows: &[PackedRow]) -> Vec<&[TokenId]> {
        rows.iter().map(|row| row.input_ids.as_slice()).collect()
    }

    fn check(image_spans: ImagesAtCuts, examples: &[(usize, &[Range<u32>])], expected: &[[TokenId; 4]], cut: u64) {
        let (rows, cut_images) = pack(image_spans, examples);
        assert_eq!(ids(&rows), expected);
        assert_eq!(cut_images, cut);
    }

    #[test]
    fn examples_run_on_across_rows() {
        check(ImagesAtCuts::KeepWhole, &[(3, &[]), (2, &[]), (3, &[])], &[[10, 11, 12, 10], [11, 10, 11, 12]], 0);
    }

    #[test]
    fn the_last_row_is_padded_without_loss() {
        let (rows, _) = pack(ImagesAtCuts::KeepWhole, &[(3, &[])]);
        let segments = vec![
            Segment { document: Some([0; 16]), length: 3, ..Segment::default() },
            Segment { length: 1, ..Segment::default() },
        ];
        let row = PackedRow { input_ids: vec![10, 11, 12, PAD], labels: vec![10, 11, 12, NO_LOSS], segments, ..PackedRow::default() };
        assert_eq!(rows, [row]);
    }

    #[test]
    fn a_full_last_row_has_no_padding() {
        check(ImagesAtCuts::KeepWhole, &[(4, &[])], &[[10, 11, 12, 13]], 0);
    }

    #[test]
    fn an_image_that_does_not_fit_starts_the_next_row() {
        check(ImagesAtCuts::KeepWhole, &[(6, &[3..5])], &[[10, 11, 12, PAD], [13, 14, 15, PAD]], 0);
    }

    #[test]
    fn an_image_that_ends_with_its_row_stays() {
        check(ImagesAtCuts::KeepWhole, &[(5, &[2..4])], &[[10, 11, 12, 13], [14, PAD, PAD, PAD]], 0);
    }

    #[test]
    fn an_image_at_the_start_of_an_example_is_kept_whole() {
        check(ImagesAtCuts::KeepWhole, &[(2, &[]), (4, &[0..3])], &[[10, 11, PAD, PAD], [10, 11, 12, 13]], 0);
    }

    #[test]
    fn a_piece_says_where_in_its_document_it_starts() {
        let (rows, _) = pack(ImagesAtCuts::KeepWhole, &[(2, &[]), (4, &[0..3]), (3, &[1..3])]);
        let offsets: Vec<_> =
            rows.iter().flat_map(|row| &row.segments).map(|segment| segment.document_offset).collect();
        assert_eq!(offsets, [0, 0, 0, 0, 0]);
        let (rows, _) = pack(ImagesAtCuts::Cut, &[(6, &[])]);
        assert_eq!(
            rows[1].segments[0],
            Segment { document: Some([0; 16]), document_offset: 4, length: 2, ..Segment::default() }
        );
    }

    #[test]
    fn an_image_longer_than_a_row_is_cut_and_counted() {
        let expected = [[10, 11, 12, 13], [14, 15, 16, PAD]];
        check(ImagesAtCuts::KeepWhole, &[(7, &[1..6])], &expected, 1);
    }

    #[test]
    fn an_image_is_cut_on_demand_and_counted() {
        check(ImagesAtCuts::Cut, &[(6, &[3..5])], &[[10, 11, 12, 13], [14, 15, PAD, PAD]], 1);
    }

    #[test]
    fn a_row_of_one_token_is_refused() {
        let settings = ConcatAndSplit { sequence_length: NonZeroU32::MIN, image_spans: ImagesAtCuts::Cut };
        assert_eq!(settings.check().len(), 1);
    }
}
