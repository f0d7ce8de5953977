//! Stretches of a document and added tokens, one after another: what an example is made of.

use std::ops::Range;

use super::{Example, NO_LOSS, TokenDocument, TokenId};

/// An example in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(Vec<Piece>);

/// A stretch of the document that stays in one piece, or a token that the objective adds, with its label.
#[derive(Debug, Clone)]
enum Piece {
    Tokens(Range<u32>),
    Special(TokenId, TokenId),
}

impl Pieces {
    /// No pieces yet, and room for so many.
    pub(super) fn with_room(num_pieces: usize) -> Self {
        Self(Vec::with_capacity(num_pieces))
    }

    /// Appends a stretch of the document; an empty one leaves no trace.
    pub(super) fn tokens(&mut self, range: Range<u32>) {
        if range.start < range.end {
            self.0.push(Piece::Tokens(range));
        }
    }

    /// Appends a token that isn't the document's, and is learnt.
    pub(super) fn special(&mut self, id: TokenId) {
        self.0.push(Piece::Special(id, id));
    }

    /// Appends a token that isn't the document's, and is learnt or not.
    pub(super) fn special_if(&mut self, is_learnt: bool, id: TokenId) {
        self.0.push(Piece::Special(id, if is_learnt { id } else { NO_LOSS }));
    }

    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(Piece::len).sum()
    }

    /// Appends other pieces.
    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Drops this many tokens from the end, or all.
    pub(super) fn drop_end(&mut self, mut excess: u32) {
        while excess > 0 {
            match self.0.last_mut() {
                None => return,
                Some(Piece::Tokens(range)) if range.end - range.start > excess => {
                    range.end -= excess;
                    return;
                }
                Some(piece) => {
                    excess -= piece.len();
                    self.0.pop();
                }
            }
        }
    }

    /// Drops this many of the document's tokens from the end, or all, and none that the objective has added.
    pub(super) fn drop_tokens(&mut self, mut excess: u32) {
        for piece in self.0.iter_mut().rev() {
            if let Piece::Tokens(range) = piece {
                let dropped = excess.min(range.end - range.start);
                range.end -= dropped;
                excess -= dropped;
            }
        }
    }

    /// The example of these tokens, each of which is learnt but for specials that are not.
    pub(super) fn place(&self, document: &TokenDocument) -> Example {
        let mut input_ids = Vec::with_capacity(self.len() as usize);
        let (mut images, mut source) = (Vec::new(), Vec::with_capacity(self.0.len()));
        for piece in &self.0 {
            match piece {
                Piece::Special(id, _) => input_ids.push(*id),
                Piece::Tokens(from) if from.start < from.end => {
                    push_image_runs(&mut images, &document.images, from, input_ids.len() as u32);
                    input_ids.extend_from_slice(&document.tokens[from.start as usize..from.end as usize]);
                    source.push(from.clone());
                }
                Piece::Tokens(_) => {}
            }
        }
        Example { labels: self.labels(&input_ids), input_ids, images, source: merged(source), ..Example::default() }
    }

    // One copy of everything is much faster than one of each piece, which mostly is at another place in its cache line.
    fn labels(&self, input_ids: &[TokenId]) -> Vec<TokenId> {
        let mut labels = input_ids.to_vec();
        let mut position = 0;
        for piece in &self.0 {
            if let Piece::Special(_, label) = piece {
                labels[position] = *label;
            }
            position += piece.len() as usize;
        }
        labels
    }
}

impl Piece {
    fn len(&self) -> u32 {
        match self {
            Self::Tokens(range) => range.end - range.start,
            Self::Special(..) => 1,
        }
    }
}

// What of each image lies in the stretch `from`, which now starts `at`.
fn push_image_runs(runs: &mut Vec<Range<u32>>, images: &[Range<u32>], from: &Range<u32>, at: u32) {
    let first = images.partition_point(|image| image.end <= from.start);
    for image in images[first..].iter().take_while(|image| image.start < from.end) {
        let (start, end) = (image.start.max(from.start), image.end.min(from.end));
        runs.push(start - from.start + at..end - from.start + at);
    }
}

// The ranges in order, with those that touch made one.
fn merged(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        let touch = range.end == next.start;
        if touch {
            range.end = next.end;
        }
        touch
    });
    ranges
}
