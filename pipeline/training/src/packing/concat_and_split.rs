//! Lays examples end to end and cuts wherever a row is full.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::{OpenRow, Spares};
use super::{Cuts, FillReport, ImagesAtCuts, PackedRow, Packer, PackingSettings, RowLength};
use crate::objectives::{Example, TokenId};
use crate::specials::Specials;

/// Settings of `concat_and_split`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcatAndSplit {
    /// How many tokens a model sees at once.
    pub sequence_length: NonZeroU32,
    /// Whether rows have one token more than that.
    #[serde(default)]
    pub row_length: RowLength,
    /// What happens where a row is full in the middle of an image.
    #[serde(default)]
    pub image_spans: ImagesAtCuts,
}

impl PackingSettings for ConcatAndSplit {
    fn example() -> Self {
        Self {
            sequence_length: NonZeroU32::MIN.saturating_add(2047),
            row_length: RowLength::Sequence,
            image_spans: ImagesAtCuts::KeepWhole,
        }
    }

    fn check(&self) -> Vec<String> {
        super::check_row_length(self.sequence_length, self.row_length)
    }

    fn row_length(&self) -> Option<u32> {
        Some(self.row_length.of(self.sequence_length.get()))
    }

    fn build(&self, specials: &Specials) -> Box<dyn Packer> {
        let row_length = self.row_length.of(self.sequence_length.get()) as usize;
        let (open, report) = (OpenRow::new(row_length), FillReport::default());
        let (cuts, pad) = (self.image_spans.cuts(specials), specials.pad);
        Box::new(EndToEnd { cuts, pad, row_length, open, spares: Spares::default(), report })
    }
}

struct EndToEnd {
    cuts: Cuts,
    pad: TokenId,
    row_length: usize,
    open: OpenRow,
    spares: Spares,
    report: FillReport,
}

impl Packer for EndToEnd {
    fn push(&mut self, key: [u8; 16], mut example: Example, rows: &mut Vec<PackedRow>) {
        let length = example.input_ids.len();
        let (mut start, mut num_pieces) = (0, 0);
        while start < length {
            let whole = (length, example.input_ids.as_slice(), example.images.as_slice());
            let cut = self.cuts.cut(whole, start, self.open.room(), self.row_length, &mut self.report);
            num_pieces += u32::from(start < cut.end);
            match cut.end == length {
                true => self.open.append_rest(key, &mut example, start),
                false => self.open.append(key, &example, start..cut.end),
            }
            if self.open.room() == 0 || cut.end < length {
                self.take_row(rows);
            }
            self.report.cut_examples += u64::from(num_pieces == 1 && start < cut.end && cut.end < length);
            start = cut.next_start;
        }
    }

    fn finish(&mut self, rows: &mut Vec<PackedRow>) {
        if !self.open.is_empty() {
            self.take_row(rows);
        }
    }

    fn reuse(&mut self, rows: &mut Vec<PackedRow>) {
        self.spares.take(rows);
    }

    fn report(&self) -> FillReport {
        self.report
    }
}

impl EndToEnd {
    fn take_row(&mut self, rows: &mut Vec<PackedRow>) {
        self.report.count_row(self.row_length, self.open.room());
        let full = std::mem::replace(&mut self.open, self.spares.row(self.row_length));
        rows.push(full.padded(self.pad));
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
        let mut packer =
            ConcatAndSplit { sequence_length, image_spans, ..ConcatAndSplit::example() }.build(&specials());
        let mut rows = Vec::new();
        for (number, (length, images)) in (0..).zip(examples) {
            let example = Example { images: images.to_vec(), ..plain((10..).take(*length).collect()) };
            packer.push([number; 16], example, &mut rows);
        }
        packer.finish(&mut rows);
        (rows, packer.report().cut_images)
    }

    fn specials() -> Specials {
        Specials { pad: PAD, ..Specials::consecutive(1000, 4) }
    }

    fn plain(input_ids: Vec<TokenId>) -> Example {
        Example { labels: input_ids.clone(), input_ids, ..Example::default() }
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
        let row = PackedRow {
            input_ids: vec![10, 11, 12, PAD],
            labels: vec![10, 11, 12, NO_LOSS],
            segments,
            ..Default::default()
        };
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
    fn the_rest_of_a_cut_image_is_dropped_on_demand() {
        check(ImagesAtCuts::DropRest, &[(7, &[3..6])], &[[10, 11, 12, 13], [16, PAD, PAD, PAD]], 1);
    }

    #[test]
    fn what_closes_an_image_goes_with_its_rest_and_text_does_not() {
        let Specials { break_, end_of_image, end_of_document, end_of_span, .. } = specials();
        for (behind, is_dropped) in
            [(break_, true), (end_of_image, true), (end_of_document, true), (end_of_span, false), (16, false)]
        {
            let sequence_length = NonZeroU32::new(4).unwrap();
            let settings =
                ConcatAndSplit { sequence_length, image_spans: ImagesAtCuts::DropRest, ..ConcatAndSplit::example() };
            let (mut packer, mut rows) = (settings.build(&specials()), Vec::new());
            let example = Example { images: vec![3..6], ..plain(vec![10, 11, 12, 13, 14, 15, behind, 17]) };
            packer.push([0; 16], example, &mut rows);
            packer.finish(&mut rows);
            let second = if is_dropped { [17, PAD, PAD, PAD] } else { [behind, 17, PAD, PAD] };
            assert_eq!(ids(&rows), [[10, 11, 12, 13], second]);
            assert_eq!(packer.report().dropped_tokens, 2 + u64::from(is_dropped));
        }
    }

    #[test]
    fn a_row_of_one_token_is_refused() {
        let settings = ConcatAndSplit { sequence_length: NonZeroU32::MIN, ..ConcatAndSplit::example() };
        assert_eq!(settings.check().len(), 1);
    }
}
