//! Gives each example a row of its own.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cut::LongCuts;
use super::row::Spares;
use super::{FillReport, ImagesAtCuts, LongExamples, PackedRow, Packer, PackingSettings, RowLength};
use crate::objectives::{Example, TokenId};
use crate::specials::Specials;

/// Settings of `one_document`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneDocument {
    /// How many tokens a model sees at once.
    pub sequence_length: NonZeroU32,
    /// Whether rows have one token more than that.
    #[serde(default)]
    pub row_length: RowLength,
    /// What happens to an example that is longer than a row: its pieces have rows of their own, or its end is dropped.
    #[serde(default)]
    pub long_examples: LongExamples,
    /// What happens to an image where a long example is cut.
    #[serde(default)]
    pub image_spans: ImagesAtCuts,
}

impl PackingSettings for OneDocument {
    fn example() -> Self {
        Self {
            sequence_length: NonZeroU32::MIN.saturating_add(2047),
            row_length: RowLength::Sequence,
            long_examples: LongExamples::Split,
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
        let cuts = LongCuts { images: self.image_spans.cuts(specials), long_examples: self.long_examples };
        let pad = specials.pad;
        Box::new(RowEach { cuts, pad, row_length, spares: Spares::default(), report: FillReport::default() })
    }
}

struct RowEach {
    cuts: LongCuts,
    pad: TokenId,
    row_length: usize,
    spares: Spares,
    report: FillReport,
}

impl Packer for RowEach {
    fn push(&mut self, key: [u8; 16], example: Example, rows: &mut Vec<PackedRow>) {
        for piece in self.cuts.pieces(&example, self.row_length, &mut self.report) {
            let mut row = self.spares.row(self.row_length);
            row.append(key, &example, piece);
            self.report.count_row(self.row_length, row.room());
            rows.push(row.padded(self.pad));
        }
    }

    fn finish(&mut self, _: &mut Vec<PackedRow>) {}

    fn reuse(&mut self, rows: &mut Vec<PackedRow>) {
        self.spares.take(rows);
    }

    fn report(&self) -> FillReport {
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{examples, ids, pack_all};
    use super::*;

    #[test]
    fn each_example_starts_a_row() {
        let sequence_length = NonZeroU32::MIN.saturating_add(2);
        let settings =
            OneDocument { sequence_length, row_length: RowLength::SequencePlusOne, ..OneDocument::example() };
        let (rows, report) = pack_all(&settings, examples(&[2, 5]));
        assert_eq!(ids(&rows), [[10, 11, 0, 0], [10, 11, 12, 13], [14, 0, 0, 0]]);
        let expected = FillReport { rows: 3, tokens: 7, padding_tokens: 5, cut_examples: 1, ..FillReport::default() };
        assert_eq!(report, expected);
    }
}
