//! Stretches of a document and added tokens, one after another: what an example is made of.

use std::ops::Range;

use super::example::runs_within;
use super::{Example, NO_LOSS, TokenDocument, TokenId};

/// An example in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(Vec<Piece>);

/// A stretch of the document that stays in one piece, a token that the objective adds, with its label and the document's
/// token that it goes with, or tokens that say the same as a stretch of the document.
#[derive(Debug, Clone)]
enum Piece {
    Tokens(Range<u32>),
    Special(TokenId, TokenId, Option<u32>),
    Written(Vec<TokenId>, Range<u32>),
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
        self.0.push(Piece::Special(id, id, None));
    }

    /// Appends a token that isn't the document's, and is learnt or not.
    pub(super) fn special_if(&mut self, is_learnt: bool, id: TokenId) {
        self.0.push(Piece::Special(id, if is_learnt { id } else { NO_LOSS }, None));
    }

    /// Appends a token that goes with this one of the document, and is learnt or not.
    pub(super) fn special_at(&mut self, token: u32, is_learnt: bool, id: TokenId) {
        self.0.push(Piece::Special(id, if is_learnt { id } else { NO_LOSS }, Some(token)));
    }

    /// Appends other tokens for the text of a stretch, which may be empty where two of them share a token.
    pub(super) fn written(&mut self, tokens: Vec<TokenId>, source: Range<u32>) {
        self.0.push(Piece::Written(tokens, source));
    }

    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(Piece::len).sum()
    }

    /// Appends other pieces.
    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Drops this many tokens from the end, or all; what was written anew goes as a whole.
    pub(super) fn drop_end(&mut self, mut excess: u32) {
        while excess > 0 {
            match self.0.last_mut() {
                None => return,
                Some(Piece::Tokens(range)) if range.end - range.start > excess => {
                    range.end -= excess;
                    return;
                }
                Some(piece) => {
                    excess = excess.saturating_sub(piece.len());
                    self.0.pop();
                }
            }
        }
    }

    /// How many pieces there are.
    pub(super) fn num_pieces(&self) -> usize {
        self.0.len()
    }

    /// Takes away all pieces but the first so many.
    pub(super) fn split_off(&mut self, num_pieces: usize) -> Self {
        Self(self.0.split_off(num_pieces.min(self.0.len())))
    }

    /// Drops this many of the document's tokens from the end of the first so many pieces, or all, and none that the
    /// objective has added.
    pub(super) fn drop_tokens(&mut self, num_pieces: usize, mut excess: u32) {
        for piece in self.0.iter_mut().take(num_pieces).rev() {
            if let Piece::Tokens(range) = piece {
                let dropped = excess.min(range.end - range.start);
                range.end -= dropped;
                excess -= dropped;
            }
        }
    }

    /// The example of these tokens, each of which is learnt but for specials that are not.
    pub(super) fn place(&self, document: &TokenDocument) -> Example {
        read_in_order(&document.tokens);
        let mut input_ids = Vec::with_capacity(self.len() as usize);
        let (mut images, mut source) = (Vec::new(), Vec::with_capacity(self.0.len()));
        for piece in &self.0 {
            match piece {
                Piece::Special(id, ..) => input_ids.push(*id),
                Piece::Tokens(from) if from.start < from.end => {
                    images.extend(runs_within(&document.images, from.clone(), input_ids.len() as u32));
                    input_ids.extend_from_slice(&document.tokens[from.start as usize..from.end as usize]);
                    source.push(from.clone());
                }
                Piece::Tokens(_) => {}
                Piece::Written(tokens, from) => {
                    input_ids.extend_from_slice(tokens);
                    source.extend((from.start < from.end).then(|| from.clone()));
                }
            }
        }
        Example { labels: self.labels(&input_ids), input_ids, images, source: merged(source), ..Example::default() }
    }

    /// The example's loss weights where the document's tokens in these ranges have this weight, and with them what was
    /// added for them; all others have 1, and what isn't learnt has 0.
    pub(super) fn weights(&self, ranges: &[Range<u32>], weight: f32, labels: &[TokenId]) -> Vec<f32> {
        let of_token = |token: u32| {
            let next = ranges.get(ranges.partition_point(|range| range.end <= token));
            if next.is_some_and(|range| range.start <= token) { weight } else { 1.0 }
        };
        let mut weights = Vec::with_capacity(labels.len());
        for piece in &self.0 {
            match piece {
                Piece::Tokens(range) => weights.extend(range.clone().map(of_token)),
                Piece::Special(_, _, token) => weights.push(token.map_or(1.0, of_token)),
                Piece::Written(tokens, from) => weights.extend(tokens.iter().map(|_| of_token(from.start))),
            }
        }
        for (weight, _) in weights.iter_mut().zip(labels).filter(|(_, label)| **label == NO_LOSS) {
            *weight = 0.0;
        }
        weights
    }

    // One copy of everything is much faster than one of each piece, which mostly is at another place in its cache line.
    fn labels(&self, input_ids: &[TokenId]) -> Vec<TokenId> {
        let mut labels = input_ids.to_vec();
        let mut position = 0;
        for piece in &self.0 {
            if let Piece::Special(_, label, _) = piece {
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
            Self::Written(tokens, _) => tokens.len() as u32,
        }
    }
}

// Has the cache load the tokens in their order, which pieces are mostly not in: a tenth faster than piece by piece.
fn read_in_order(tokens: &[TokenId]) {
    const TOKENS_OF_A_CACHE_LINE: usize = 64 / size_of::<TokenId>();
    let some = tokens.iter().step_by(TOKENS_OF_A_CACHE_LINE).fold(0, |all, token| all | token);
    std::hint::black_box(some);
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
