//! Stretches of a document and added tokens, one after another: what an example is made of.

use std::ops::Range;

use super::{Example, TokenDocument, TokenId};

/// An example in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(Vec<Piece>);

/// A stretch of the document that stays in one piece, or a token that the objective adds.
#[derive(Debug, Clone)]
enum Piece {
    Tokens(Range<u32>),
    Special(TokenId),
}

/// What pieces become.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) ids: Vec<TokenId>,
    /// Where the objective's own tokens stand in `ids`.
    pub(super) specials: Vec<u32>,
    images: Vec<Range<u32>>,
    source: Vec<Range<u32>>,
}

impl Pieces {
    /// Appends a stretch of the document; an empty one leaves no trace.
    pub(super) fn tokens(&mut self, range: Range<u32>) {
        if range.start < range.end {
            self.0.push(Piece::Tokens(range));
        }
    }

    /// Appends a token that isn't the document's.
    pub(super) fn special(&mut self, id: TokenId) {
        self.0.push(Piece::Special(id));
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

    /// The tokens, with room for one more.
    pub(super) fn place(&self, document: &TokenDocument) -> Placed {
        let mut placed = Placed { ids: Vec::with_capacity(self.len() as usize + 1), ..Placed::default() };
        for piece in &self.0 {
            let at = placed.ids.len() as u32;
            match piece {
                Piece::Special(id) => {
                    placed.specials.push(at);
                    placed.ids.push(*id);
                }
                Piece::Tokens(from) if from.start < from.end => {
                    placed.ids.extend_from_slice(&document.tokens[from.start as usize..from.end as usize]);
                    push_image_runs(&mut placed.images, &document.images, from, at);
                    placed.source.push(from.clone());
                }
                Piece::Tokens(_) => {}
            }
        }
        placed.source = merged(placed.source);
        placed
    }
}

impl Piece {
    fn len(&self) -> u32 {
        match self {
            Self::Tokens(range) => range.end - range.start,
            Self::Special(_) => 1,
        }
    }
}

impl Placed {
    /// The example of these tokens with these labels: what is in it, and where its images are.
    pub(super) fn example(self, labels: Vec<TokenId>) -> Example {
        Example { input_ids: self.ids, labels, images: self.images, source: self.source, ..Example::default() }
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
