//! One training sequence of fixed length, and the row that is being filled.

use std::ops::Range;

use crate::objectives::{Example, NO_LOSS, TokenId};

/// One training sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedRow {
    /// Exactly as many tokens as the packing's sequence length.
    pub input_ids: Vec<TokenId>,
    /// As many labels, unshifted; no loss where the label is [`NO_LOSS`], as on all padding.
    pub labels: Vec<TokenId>,
    /// What the row is made of, in order; the lengths add up to the row's, and only the last may be padding.
    pub segments: Vec<Segment>,
}

/// A stretch of a row that comes from one document, or is padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The document's key; none for padding.
    pub document: Option<[u8; 16]>,
    /// Where this piece starts in the document's example.
    pub document_offset: u32,
    /// Tokens, never none.
    pub length: u32,
}

/// A row with room left.
pub(super) struct OpenRow {
    length: usize,
    row: PackedRow,
}

impl OpenRow {
    /// An empty row to be filled with this many tokens.
    pub(super) fn new(length: usize) -> Self {
        let row = PackedRow {
            input_ids: Vec::with_capacity(length),
            labels: Vec::with_capacity(length),
            segments: Vec::new(),
        };
        Self { length, row }
    }

    /// How many tokens still go in.
    pub(super) fn room(&self) -> usize {
        self.length - self.row.input_ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.row.input_ids.is_empty()
    }

    /// Appends this piece of the document's example, which must fit; an empty one leaves no trace.
    pub(super) fn append(&mut self, document: [u8; 16], example: &Example, piece: Range<usize>) {
        if piece.is_empty() {
            return;
        }
        self.row.segments.push(Segment {
            document: Some(document),
            document_offset: piece.start as u32,
            length: piece.len() as u32,
        });
        self.row.input_ids.extend_from_slice(&example.input_ids[piece.clone()]);
        self.row.labels.extend_from_slice(&example.labels[piece]);
    }

    /// The row with padding in what room is left; this one starts anew.
    pub(super) fn take_padded(&mut self, pad: TokenId) -> PackedRow {
        if self.room() > 0 {
            let padding = Segment { document: None, document_offset: 0, length: self.room() as u32 };
            self.row.segments.push(padding);
            self.row.input_ids.resize(self.length, pad);
            self.row.labels.resize(self.length, NO_LOSS);
        }
        std::mem::replace(self, Self::new(self.length)).row
    }
}
