//! One training sequence of fixed length, and the row that is being filled.

use std::ops::Range;

use crate::objectives::{Example, NO_LOSS, Predicts, TokenId};

/// One training sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackedRow {
    /// Exactly as many tokens as the packing's sequence length.
    pub input_ids: Vec<TokenId>,
    /// As many labels, unshifted; no loss where the label is [`NO_LOSS`], as on all padding.
    pub labels: Vec<TokenId>,
    /// One position per token, if an example in the row has positions of its own; else empty. Padding is at 0.
    pub position_ids: Vec<u32>,
    /// The second row of positions, likewise; 0 where an example has none.
    pub block_position_ids: Vec<u32>,
    /// One weight per token, if an example in the row has weights; else empty. 1 where an example has none, 0 on padding.
    pub loss_weights: Vec<f32>,
    /// What the row is made of, in order; the lengths add up to the row's, and only the last may be padding.
    pub segments: Vec<Segment>,
}

/// A stretch of a row that comes from one document, or is padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// The document's key; none for padding.
    pub document: Option<[u8; 16]>,
    /// Where this piece starts in the document's example.
    pub document_offset: u32,
    /// Tokens, never none.
    pub length: u32,
    /// So many of them see each other in both directions.
    pub prefix_len: u32,
    /// Which objective and variant made them; empty for padding.
    pub objective: &'static str,
    /// Which view of the document they are of.
    pub view: u32,
    /// Which of the examples that one draw gives.
    pub branch: u32,
    /// Which position predicts a label.
    pub predicts: Predicts,
}

/// A row with room left.
pub(super) struct OpenRow {
    length: usize,
    row: PackedRow,
}

impl OpenRow {
    /// An empty row to be filled with this many tokens.
    pub(super) fn new(length: usize) -> Self {
        let (input_ids, labels) = (Vec::with_capacity(length), Vec::with_capacity(length));
        let row = PackedRow { input_ids, labels, ..PackedRow::default() };
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
        self.append_token_columns(example, &piece);
        let (start, length) = (piece.start as u32, piece.len() as u32);
        self.row.segments.push(Segment {
            document: Some(document),
            document_offset: start,
            length,
            prefix_len: example.prefix_len.saturating_sub(start).min(length),
            objective: example.objective,
            view: example.view,
            branch: example.branch,
            predicts: example.predicts,
        });
        self.row.input_ids.extend_from_slice(&example.input_ids[piece.clone()]);
        self.row.labels.extend_from_slice(&example.labels[piece]);
    }

    /// What few objectives have: begun once an example has it, with what is right for those before.
    fn append_token_columns(&mut self, example: &Example, piece: &Range<usize>) {
        let row = &mut self.row;
        let filled = row.input_ids.len();
        if !(example.position_ids.is_empty() && row.position_ids.is_empty()) {
            if row.position_ids.is_empty() {
                let counted = |segment: &Segment| segment.document_offset..segment.document_offset + segment.length;
                row.position_ids.extend(row.segments.iter().flat_map(counted));
            }
            match example.position_ids.get(piece.clone()) {
                Some(positions) => row.position_ids.extend_from_slice(positions),
                None => row.position_ids.extend(piece.clone().map(|position| position as u32)),
            }
        }
        extend(&mut row.block_position_ids, &example.block_position_ids, piece, filled, 0);
        extend(&mut row.loss_weights, &example.loss_weights, piece, filled, 1.0);
    }

    /// The row with padding in what room is left; this one starts anew.
    pub(super) fn take_padded(&mut self, pad: TokenId) -> PackedRow {
        if self.room() > 0 {
            let padding = Segment { length: self.room() as u32, ..Segment::default() };
            self.row.segments.push(padding);
            self.row.input_ids.resize(self.length, pad);
            self.row.labels.resize(self.length, NO_LOSS);
            pad_up(&mut self.row.position_ids, self.length);
            pad_up(&mut self.row.block_position_ids, self.length);
            pad_up(&mut self.row.loss_weights, self.length);
        }
        std::mem::replace(self, Self::new(self.length)).row
    }
}

/// Adds an example's piece of a column; where neither it nor one before it has the column, there is none.
fn extend<T: Copy>(column: &mut Vec<T>, of_example: &[T], piece: &Range<usize>, filled: usize, otherwise: T) {
    if of_example.is_empty() && column.is_empty() {
        return;
    }
    column.resize(filled, otherwise);
    match of_example.get(piece.clone()) {
        Some(values) => column.extend_from_slice(values),
        None => column.resize(filled + piece.len(), otherwise),
    }
}

/// Zeros behind a column that there is.
fn pad_up<T: Clone + Default>(column: &mut Vec<T>, length: usize) {
    if !column.is_empty() {
        column.resize(length, T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(length: usize) -> Example {
        Example { input_ids: vec![7; length], labels: vec![7; length], ..Example::default() }
    }

    #[test]
    fn a_row_of_plain_examples_has_no_columns_beside_its_labels() {
        let mut open = OpenRow::new(5);
        open.append([1; 16], &plain(3), 0..3);
        let row = open.take_padded(0);
        assert_eq!((row.position_ids.len(), row.block_position_ids.len(), row.loss_weights.len()), (0, 0, 0));
    }

    #[test]
    fn what_one_example_has_is_filled_in_for_the_others() {
        let special = Example {
            position_ids: vec![5, 5, 6],
            block_position_ids: vec![0, 1, 2],
            loss_weights: vec![0.0, 2.0, 3.0],
            prefix_len: 2,
            objective: "special",
            predicts: Predicts::Here,
            ..plain(3)
        };
        let mut open = OpenRow::new(8);
        open.append([1; 16], &plain(9), 4..6);
        open.append([2; 16], &special, 1..3);
        open.append([1; 16], &plain(9), 6..8);
        let row = open.take_padded(0);
        assert_eq!(row.position_ids, [4, 5, 5, 6, 6, 7, 0, 0]);
        assert_eq!(row.block_position_ids, [0, 0, 1, 2, 0, 0, 0, 0]);
        assert_eq!(row.loss_weights, [1.0, 1.0, 2.0, 3.0, 1.0, 1.0, 0.0, 0.0]);
        let prefixes: Vec<u32> = row.segments.iter().map(|segment| segment.prefix_len).collect();
        assert_eq!(prefixes, [0, 1, 0, 0]);
        assert_eq!((row.segments[1].objective, row.segments[1].predicts), ("special", Predicts::Here));
    }
}
