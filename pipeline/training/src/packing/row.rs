//! One training sequence, and the row that is being filled.

use std::ops::Range;
use std::sync::Arc;

use crate::blocks::BlockPart;
use crate::image_runs::ImageRun;
use crate::objectives::{Example, NO_LOSS, Predicts, TokenId};

/// One training sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackedRow {
    /// Exactly as many tokens as the packing's rows have.
    pub input_ids: Vec<TokenId>,
    /// As many labels, unshifted; no loss where the label is [`NO_LOSS`], as on all padding.
    pub labels: Vec<TokenId>,
    /// What the row is made of, in order; the lengths add up to the row's, and only the last may be padding.
    pub segments: Vec<Segment>,
    /// One position per token, if any example in the row has its own; else empty: positions start at 0 in each segment.
    pub position_ids: Vec<u32>,
    /// The second row of positions, if any example in the row has one; else empty.
    pub block_position_ids: Vec<u32>,
    /// The weight of each token's loss, if any example in the row has weights; else empty. 0 on padding.
    pub loss_weights: Vec<f32>,
    /// Which of two segments each token is in, if any example in the row has two; else empty. 0 on padding.
    pub token_type_ids: Vec<u32>,
    /// Which phase of training all of the row's examples are for; 0 where there is only one.
    pub phase: u32,
}

/// A stretch of a row that comes from one document, or is padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// The document's key; none for padding.
    pub document: Option<[u8; 16]>,
    /// Where this piece starts in the document's example, which `view`, `part` and `branch` tell from its others: these
    /// tokens are the example's [`Segment::tokens`].
    pub document_offset: u32,
    /// Tokens, never none.
    pub length: u32,
    /// So many tokens at the start see each other in both directions.
    pub prefix_len: u32,
    /// Which position predicts a label.
    pub predicts: Predicts,
    /// Which objective has made the example; empty for padding.
    pub objective: &'static str,
    /// Which part of a mixture has made the example.
    pub part: u32,
    /// Which of the examples that one draw gives for the document.
    pub branch: u32,
    /// Which view of the document this is.
    pub view: u32,
    /// Whether the example's second segment is another document's; none where a model has not to say so.
    pub is_random_next: Option<bool>,
    /// Which of the document's tokens are in the example, in order: of a long document it may be a part.
    pub source: Vec<Range<u32>>,
    /// What the document was joined of; none if it is one by itself.
    pub joined: Option<Arc<[BlockPart]>>,
    /// Which images' tokens are in this piece, and where in it; none where the example doesn't say.
    pub images: Vec<ImageRun>,
}

/// Some tokens of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRange {
    /// The document's key.
    pub document: [u8; 16],
    /// Which of its tokens. What was put behind it, its end or a break, counts as its last token.
    pub tokens: Range<u32>,
}

impl PackedRow {
    /// The full row that is the document's example, which isn't empty and whose memory becomes the row's.
    pub(super) fn of(document: [u8; 16], mut example: Example) -> Self {
        let source = std::mem::take(&mut example.source);
        Self {
            segments: vec![Segment::of(document, &example, 0..example.input_ids.len(), source)],
            input_ids: example.input_ids,
            labels: example.labels,
            position_ids: example.position_ids,
            block_position_ids: example.block_position_ids,
            loss_weights: example.loss_weights,
            token_type_ids: example.token_type_ids,
            phase: 0,
        }
    }
}

impl Segment {
    /// Which of the example's tokens these are.
    pub fn tokens(&self) -> Range<u32> {
        self.document_offset..self.document_offset + self.length
    }

    /// Which tokens of which documents are in the example, in their order there before the objective moved any.
    ///
    /// So many tokens does the objective give back, in this order. None for padding.
    pub fn sources(&self) -> Vec<SourceRange> {
        let Some(document) = self.document else { return Vec::new() };
        let Some(joined) = &self.joined else {
            return self.source.iter().map(|tokens| SourceRange { document, tokens: tokens.clone() }).collect();
        };
        let of_range = |range: &Range<u32>| {
            let (start, end) = (range.start, range.end);
            let first = joined.partition_point(|part| part.tokens.end <= start);
            let parts = joined[first..].iter().take_while(move |part| part.tokens.start < end);
            parts.map(move |part| {
                let from = part.tokens.start.max(start) - part.tokens.start + part.document_offset;
                let upto = part.tokens.end.min(end) - part.tokens.start + part.document_offset;
                SourceRange { document: part.document, tokens: from..upto }
            })
        };
        self.source.iter().flat_map(of_range).collect()
    }

    // This piece of the document's example.
    fn of(document: [u8; 16], example: &Example, piece: Range<usize>, source: Vec<Range<u32>>) -> Self {
        let (start, length) = (piece.start as u32, piece.len() as u32);
        let images = example.shown.iter().flat_map(|shown| ImageRun::within(shown, start..start + length, 0)).collect();
        Self {
            document: Some(document),
            document_offset: start,
            length,
            prefix_len: example.prefix_len.saturating_sub(start).min(length),
            predicts: example.predicts,
            objective: example.objective,
            part: example.part,
            branch: example.branch,
            view: example.view,
            is_random_next: example.is_random_next,
            source,
            joined: example.joined.clone(),
            images,
        }
    }
}

/// A row with room left.
pub(super) struct OpenRow {
    length: usize,
    row: PackedRow,
}

/// Rows that are no longer needed, for their memory.
#[derive(Default)]
pub(super) struct Spares(Vec<PackedRow>);

impl Spares {
    /// The most rows that are kept: what a large document filled need not stay.
    const MOST: usize = 256;

    /// Takes these rows.
    pub(super) fn take(&mut self, rows: &mut Vec<PackedRow>) {
        rows.truncate(Self::MOST.saturating_sub(self.0.len()));
        self.0.append(rows);
    }

    /// An empty row to be filled with this many tokens.
    pub(super) fn row(&mut self, length: usize) -> OpenRow {
        let Some(mut row) = self.0.pop() else { return OpenRow::new(length) };
        row.input_ids.clear();
        row.labels.clear();
        row.segments.clear();
        row.position_ids.clear();
        row.block_position_ids.clear();
        row.loss_weights.clear();
        row.token_type_ids.clear();
        OpenRow { length, row }
    }
}

impl OpenRow {
    /// An empty row to be filled with this many tokens.
    pub(super) fn new(length: usize) -> Self {
        let row = PackedRow {
            input_ids: Vec::with_capacity(length),
            labels: Vec::with_capacity(length),
            ..PackedRow::default()
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
        self.append_from(document, example, piece, example.source.clone());
    }

    /// Appends the piece from `start` on as [`OpenRow::append`] does. The example's source goes with it.
    pub(super) fn append_rest(&mut self, document: [u8; 16], example: &mut Example, start: usize) {
        let source = std::mem::take(&mut example.source);
        self.append_from(document, example, start..example.input_ids.len(), source);
    }

    fn append_from(&mut self, document: [u8; 16], example: &Example, piece: Range<usize>, source: Vec<Range<u32>>) {
        if piece.is_empty() {
            return;
        }
        self.row.segments.push(Segment::of(document, example, piece.clone(), source));
        self.append_extras(example, piece.clone());
        self.row.input_ids.extend_from_slice(&example.input_ids[piece.clone()]);
        self.row.labels.extend_from_slice(&example.labels[piece]);
    }

    // A column that any example needs is filled for all; most rows have none.
    fn append_extras(&mut self, example: &Example, piece: Range<usize>) {
        let row = &mut self.row;
        if !(example.position_ids.is_empty() && row.position_ids.is_empty()) {
            let before = row.segments.iter().rev().skip(1).rev().flat_map(|segment| 0..segment.length);
            extend(&mut row.position_ids, before, &example.position_ids, piece.clone(), |index| index as u32);
        }
        if !(example.block_position_ids.is_empty() && row.block_position_ids.is_empty()) {
            let before = row.input_ids.iter().map(|_| 0);
            extend(&mut row.block_position_ids, before, &example.block_position_ids, piece.clone(), |_| 0);
        }
        if !(example.token_type_ids.is_empty() && row.token_type_ids.is_empty()) {
            let before = row.input_ids.iter().map(|_| 0);
            extend(&mut row.token_type_ids, before, &example.token_type_ids, piece.clone(), |_| 0);
        }
        if !(example.loss_weights.is_empty() && row.loss_weights.is_empty()) {
            let weight = |label: &TokenId| if *label == NO_LOSS { 0.0 } else { 1.0 };
            let of_piece = &example.labels[piece.clone()];
            let before = row.labels.iter().map(weight);
            extend(&mut row.loss_weights, before, &example.loss_weights, piece, |index| weight(&of_piece[index]));
        }
    }

    /// The row with padding in what room is left.
    pub(super) fn padded(self, pad: TokenId) -> PackedRow {
        let (room, length, mut row) = (self.room(), self.length, self.row);
        if room > 0 {
            row.segments.push(Segment { length: room as u32, ..Segment::default() });
            row.input_ids.resize(length, pad);
            row.labels.resize(length, NO_LOSS);
            resize_if_any(&mut row.position_ids, length, 0);
            resize_if_any(&mut row.block_position_ids, length, 0);
            resize_if_any(&mut row.loss_weights, length, 0.0);
            resize_if_any(&mut row.token_type_ids, length, 0);
        }
        row
    }
}

// Appends the piece of a column: what stands before it if that was left out, and plain values where the example has none.
fn extend<T: Copy>(
    column: &mut Vec<T>,
    before: impl Iterator<Item = T>,
    of_example: &[T],
    piece: Range<usize>,
    plain: impl Fn(usize) -> T,
) {
    if column.is_empty() {
        column.extend(before);
    }
    match of_example.get(piece.clone()) {
        Some(values) => column.extend_from_slice(values),
        None => column.extend((0..piece.len()).map(plain)),
    }
}

fn resize_if_any<T: Copy>(column: &mut Vec<T>, length: usize, value: T) {
    if !column.is_empty() {
        column.resize(length, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_of_an_example_are_traced_to_the_documents_that_were_joined() {
        let key = |number: u8| [number; 16];
        let part = |number, tokens, document_offset| BlockPart { document: key(number), tokens, document_offset };
        let joined = Some(Arc::from([part(1, 0..4, 7), part(2, 4..5, 0), part(3, 5..9, 0)]));
        let segment = Segment { document: Some(key(1)), source: vec![0..2, 3..7], joined, ..Segment::default() };
        let range = |number, tokens| SourceRange { document: key(number), tokens };
        assert_eq!(segment.sources(), [range(1, 7..9), range(1, 10..11), range(2, 0..1), range(3, 0..2)]);
        let alone = Segment { joined: None, ..segment };
        assert_eq!(alone.sources(), [range(1, 0..2), range(1, 3..7)]);
        assert_eq!(Segment { source: vec![0..2], ..Segment::default() }.sources(), []);
    }
}
