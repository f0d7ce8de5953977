//! Where examples are cut, and what that does to their images.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::FillReport;
use crate::objectives::{Example, TokenId};
use crate::specials::Specials;

/// What happens where a row is full in the middle of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
            let whole = Whole { length, tokens: &example.input_ids, labels: &example.labels, images: &example.images };
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// What is cut into pieces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'a> {
    /// How many tokens it has. A last one that isn't among `tokens` is the document's end.
    pub(crate) length: usize,
    pub(crate) tokens: &'a [TokenId],
    /// What hidden tokens are.
    pub(crate) labels: &'a [TokenId],
    pub(crate) images: &'a [Range<u32>],
}

/// What happens to images at cuts, in a vocabulary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cuts {
    images: ImagesAtCuts,
    // What may close an image.
    closing: [TokenId; 3],
    mask: TokenId,
}

impl ImagesAtCuts {
    /// What happens in this vocabulary.
    pub(crate) fn cuts(self, specials: &Specials) -> Cuts {
        let closing = [specials.break_, specials.end_of_image, specials.end_of_document];
        Cuts { images: self, closing, mask: specials.mask }
    }
}

impl Cuts {
    /// Cuts the piece from `start` on that goes into a row with this room, and counts what is lost by that.
    ///
    /// The piece is empty where an image needs a new row.
    pub(crate) fn cut(
        self,
        whole: Whole,
        start: usize,
        room: usize,
        row_length: usize,
        report: &mut FillReport,
    ) -> Cut {
        let Whole { length, images, .. } = whole;
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
            ImagesAtCuts::DropRest => self.behind(whole, image),
            ImagesAtCuts::KeepWhole | ImagesAtCuts::Cut => end,
        };
        report.dropped_tokens += (next_start - end) as u64;
        Cut { end, next_start }
    }

    /// Where what follows an image begins: behind the token that closes it, if one does.
    fn behind(self, whole: Whole, image: &Range<u32>) -> usize {
        let end = image.end as usize;
        end + usize::from(self.is_closing(whole, end))
    }

    /// What of a stretch stays that was cut at any of its tokens, unless that is nothing: no part of an image, but where
    /// images may be cut; with `drop_rest` the beginning of one may stand at its end. No row has more tokens than `longest`.
    pub(crate) fn without_parts(self, whole: Whole, stretch: Range<u32>, longest: u32) -> Range<u32> {
        let cut_at = |position: u32| {
            let is_cut = |image: &&Range<u32>| image.start < position && position < image.end;
            whole.images.iter().find(is_cut).filter(|image| image.len() <= longest as usize)
        };
        let (mut start, mut end) = (stretch.start, stretch.end);
        if let Some(image) = cut_at(start).filter(|_| self.images != ImagesAtCuts::Cut) {
            start = self.behind(whole, image) as u32;
        }
        if let Some(image) = cut_at(end).filter(|_| self.images == ImagesAtCuts::KeepWhole) {
            end = image.start;
        }
        if start < end { start..end } else { stretch }
    }

    // Whether an image is closed by the token at this position, or by what is hidden there: phases of training, of which
    // one has masks, are cut alike.
    fn is_closing(self, whole: Whole, position: usize) -> bool {
        let hidden = |id: &TokenId| if *id == self.mask { whole.labels.get(position).copied() } else { None };
        let token = whole.tokens.get(position).map(|id| hidden(id).unwrap_or(*id));
        position < whole.length && token.is_none_or(|id| self.closing.contains(&id))
    }
}
