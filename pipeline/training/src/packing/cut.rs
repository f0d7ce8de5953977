//! Where examples are cut, and what that does to their images.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FillReport;
use crate::objectives::{Example, TokenId};
use crate::specials::Specials;

/// What happens where a row is full in the middle of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImagesAtCuts {
    /// The row is padded from the image's first token on, and the image starts the next row. An image longer than a row
    /// is cut all the same, and counted.
    #[default]
    KeepWhole,
    /// The image is cut, and the rest of it dropped with the token behind it that closes it, a break, the image's end or
    /// the document's, so that no row starts inside an image (CM3Leon, `no_break_image`).
    DropRest,
    /// The image is cut, and counted. Only the last row of all has padding.
    Cut,
}

/// What happens to an example that is longer than a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LongExamples {
    /// It is cut into pieces (TRL's `bfd_split`).
    #[default]
    Split,
    /// It is cut once, and its end dropped and counted (TRL's `bfd`).
    DropEnd,
}

/// How examples are cut that start rows of their own and are longer than a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct LongCuts {
    pub(super) images: Cuts,
    pub(super) long_examples: LongExamples,
}

impl LongCuts {
    /// The pieces of an example, none longer than a row, none empty; counts what is lost by cutting.
    pub(super) fn pieces(self, example: &Example, row_length: usize, report: &mut FillReport) -> Vec<Range<usize>> {
        let length = example.input_ids.len();
        let mut pieces = Vec::with_capacity(length / row_length + 1);
        let mut start = 0;
        while start < length {
            let whole = (length, example.input_ids.as_slice(), example.images.as_slice());
            let cut = self.images.cut(whole, start, row_length, row_length, report);
            pieces.push(start..cut.end);
            start = cut.next_start;
            if start < length && self.long_examples == LongExamples::DropEnd {
                report.dropped_tokens += (length - start) as u64;
                break;
            }
        }
        report.cut_examples += u64::from(pieces.len() > 1 || pieces.last().is_some_and(|last| last.end < length));
        pieces
    }
}

/// Which tokens a row may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowLength {
    /// As many as `sequence_length`.
    #[default]
    Sequence,
    /// One more, for trainers that take input and label from the same row, shifted by one (CM3, Megatron, nanotron).
    SequencePlusOne,
}

impl RowLength {
    /// The tokens in each row.
    pub(super) fn of(self, sequence_length: u32) -> u32 {
        match self {
            Self::Sequence => sequence_length,
            Self::SequencePlusOne => sequence_length.saturating_add(1),
        }
    }
}

/// Where a piece of an example ends, and where the next one starts: later, where tokens are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) end: usize,
    pub(crate) next_start: usize,
}

/// What happens to images at cuts, in a vocabulary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cuts {
    images: ImagesAtCuts,
    // What may close an image.
    closing: [TokenId; 3],
}

impl ImagesAtCuts {
    /// What happens in this vocabulary.
    pub(crate) fn cuts(self, specials: &Specials) -> Cuts {
        Cuts { images: self, closing: [specials.break_, specials.end_of_image, specials.end_of_document] }
    }
}

impl Cuts {
    /// Cuts the piece from `start` on, of so many tokens with these images, that goes into a row with this room, and
    /// counts what is lost by that. A last token that isn't among these is the document's end.
    ///
    /// The piece is empty where an image needs a new row.
    pub(crate) fn cut(
        self,
        (length, tokens, images): (usize, &[TokenId], &[Range<u32>]),
        start: usize,
        room: usize,
        row_length: usize,
        report: &mut FillReport,
    ) -> Cut {
        let end = start + room;
        if end >= length {
            return Cut { end: length, next_start: length };
        }
        let next_image = images.partition_point(|image| image.end as usize <= end);
        let Some(image) = images.get(next_image).filter(|image| (image.start as usize) < end) else {
            return Cut { end, next_start: end };
        };
        if self.images == ImagesAtCuts::KeepWhole && image.len() <= row_length {
            return Cut { end: image.start as usize, next_start: image.start as usize };
        }
        report.cut_images += 1;
        let next_start = match self.images {
            ImagesAtCuts::DropRest => {
                let behind = image.end as usize;
                let is_closed = behind < length && tokens.get(behind).is_none_or(|id| self.closing.contains(id));
                behind + usize::from(is_closed)
            }
            ImagesAtCuts::KeepWhole | ImagesAtCuts::Cut => end,
        };
        report.dropped_tokens += (next_start - end) as u64;
        Cut { end, next_start }
    }
}
