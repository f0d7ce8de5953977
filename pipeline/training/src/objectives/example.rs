//! What goes into an objective and what comes out.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::{Specials, TokenId};
use crate::blocks::BlockPart;
use crate::image_runs::ImageRun;

/// The label of a token that the model is not trained to predict.
pub const NO_LOSS: TokenId = -100;

/// One page as tokens, in document order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenDocument {
    /// Text and image tokens, without an end-of-document token.
    ///
    /// A packed block, which objectives of blocks take instead, has end-of-document and break tokens in it.
    pub tokens: Vec<TokenId>,
    /// Where the tokens of each image stand in `tokens`: in order, without overlap, none empty.
    pub images: Vec<Range<u32>>,
    /// The passages of a multi-document context, in order, without overlap. Empty for an ordinary page.
    pub passages: Vec<Passage>,
    /// What retrieval has put in front of documents, each with the break behind it: in order, without overlap, none empty.
    /// Empty for an ordinary page. See [`crate::retrieval`].
    pub retrieved: Vec<Range<u32>>,
    /// How many tokens the row has that a block's example is for. None for a document, and where a block's own length is all
    /// that there is.
    pub row_length: Option<NonZeroU32>,
}

/// One of the documents that a multi-document context puts before a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where it stands in the document's tokens.
    pub tokens: Range<u32>,
    /// At which step of the answer's reasoning it is needed; none if it is noise.
    pub gold_step: Option<u32>,
}

/// One document as a model is trained on it.
///
/// Only the first three fields are every objective's business: the rest says how this example differs from plain
/// next-token prediction, and [`Example::default`] has what is right where it does not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Example {
    /// The document's tokens as the objective has placed them.
    pub input_ids: Vec<TokenId>,
    /// As many labels, unshifted, with [`NO_LOSS`] where nothing is to be learnt.
    pub labels: Vec<TokenId>,
    /// Where image tokens stand in `input_ids`, in order: an image that the objective has cut gives two runs or more.
    pub images: Vec<Range<u32>>,
    /// Where each of `images` starts in the document's tokens. That many tokens from there on are what stands in the run, but
    /// for those that the objective has hidden.
    pub image_sources: Vec<u32>,
    /// Which position predicts a label.
    pub predicts: Predicts,
    /// So many tokens at the start see each other in both directions; all others see only what is before them.
    ///
    /// 0 is a causal mask, the example's length a bidirectional one. Where an encoder-decoder is trained, this is
    /// where its input ends.
    pub prefix_len: u32,
    /// One position per token where they are not `0..`; else empty.
    pub position_ids: Vec<u32>,
    /// A second row of positions, within spans, for models that have two; else empty.
    pub block_position_ids: Vec<u32>,
    /// The weight of each token's loss where they are not all 1; else empty.
    pub loss_weights: Vec<f32>,
    /// Which of two segments each token is in, 0 or 1, where there are two; else empty.
    pub token_type_ids: Vec<u32>,
    /// Whether the second segment is another document's, where a model has to say so; else none.
    pub is_random_next: Option<bool>,
    /// Which objective and variant has made this: `mlm/bert`.
    pub objective: &'static str,
    /// Which part of a mixture has made this; 0 where there is no mixture.
    pub part: u32,
    /// Which of the examples that one draw gives for a document; 0 where there is only one.
    pub branch: u32,
    /// Which view of its document this is, as the caller counts them; objectives leave it at 0.
    pub view: u32,
    /// Which of the document's tokens are in here, in order: all but those that a rule on length has left out.
    pub source: Vec<Range<u32>>,
    /// What the document was joined of, as the caller knows it; objectives leave it at none: it is one document.
    pub joined: Option<Arc<[BlockPart]>>,
    /// Which image each of `images` is of, as the caller knows it; objectives leave it at none.
    pub shown: Option<Arc<[ImageRun]>>,
    /// Where each passage stands in `input_ids`, with its number in the document; empty unless passages were moved.
    pub passages: Vec<(u32, Range<u32>)>,
}

/// Which values per token there are beside ids and labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenColumns {
    /// Positions that differ from counting.
    pub position_ids: bool,
    /// A second row of positions.
    pub block_position_ids: bool,
    /// Weights of the loss.
    pub loss_weights: bool,
    /// Segments, and with them whether the second follows the first.
    pub token_type_ids: bool,
}

impl TokenColumns {
    /// Those that either has.
    pub fn or(self, other: Self) -> Self {
        Self {
            position_ids: self.position_ids || other.position_ids,
            block_position_ids: self.block_position_ids || other.block_position_ids,
            loss_weights: self.loss_weights || other.loss_weights,
            token_type_ids: self.token_type_ids || other.token_type_ids,
        }
    }
}

/// Which position predicts a label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Predicts {
    /// The position before it: a trainer shifts labels by one, as for any causal model.
    #[default]
    Next,
    /// The label's own position: a trainer does not shift.
    Here,
}

impl Example {
    /// An example of all the document's tokens in one piece, in their order and from the first on, which is what `source`
    /// and `images` say.
    pub fn of_all(document: &TokenDocument) -> Self {
        Self {
            images: document.images.clone(),
            image_sources: document.images.iter().map(|image| image.start).collect(),
            source: document.all(),
            ..Self::default()
        }
    }

    /// The example of a document of which this is the example of the piece that starts at this token.
    pub(super) fn moved(mut self, start: u32) -> Self {
        for range in &mut self.source {
            *range = range.start + start..range.end + start;
        }
        self.image_sources.iter_mut().for_each(|source| *source += start);
        self
    }

    /// How many of the document's tokens are in here.
    pub fn num_source_tokens(&self) -> u64 {
        self.source.iter().map(|range| u64::from(range.end.saturating_sub(range.start))).sum()
    }
}

impl TokenDocument {
    /// The one range of all tokens; no range if there are none.
    pub(super) fn all(&self) -> Vec<Range<u32>> {
        if self.tokens.is_empty() { Vec::new() } else { vec![0..self.tokens.len() as u32] }
    }

    /// An example of each piece of so many tokens, in order, with the number of the piece as its `branch`; only the last
    /// piece may be shorter, and a document that is no longer is its only piece.
    pub(super) fn in_pieces(&self, longest: u32, mut example: impl FnMut(&Self) -> Example) -> Vec<Example> {
        let num_tokens = self.tokens.len() as u32;
        if num_tokens <= longest || longest == 0 {
            return vec![example(self)];
        }
        let of_piece = |(branch, start): (u32, u32)| {
            let piece = self.piece(start..start.saturating_add(longest).min(num_tokens));
            Example { branch, ..example(&piece).moved(start) }
        };
        (0..).zip((0..num_tokens).step_by(longest as usize)).map(of_piece).collect()
    }

    /// These tokens as a document, without what is known of passages.
    pub(crate) fn piece(&self, range: Range<u32>) -> Self {
        let within = |runs| runs_within(runs, range.clone(), 0).collect();
        Self {
            tokens: self.tokens[range.start as usize..range.end as usize].to_vec(),
            images: within(&self.images),
            retrieved: within(&self.retrieved),
            passages: Vec::new(),
            row_length: None,
        }
    }

    /// How many tokens the example of a block may have: what an objective adds may fill up what its row has left, as in
    /// the last block of all and in one in front of an image that is kept whole.
    pub(super) fn room(&self) -> u32 {
        self.row_length.map_or(self.tokens.len() as u32, NonZeroU32::get)
    }

    /// The tokens of these ranges, one after another.
    pub fn tokens_of(&self, ranges: &[Range<u32>]) -> Vec<TokenId> {
        ranges.iter().flat_map(|range| &self.tokens[range.start as usize..range.end as usize]).copied().collect()
    }
}

/// What of these runs, which are in order, lies in the stretch `from`, which now starts `at`.
pub(crate) fn runs_within(runs: &[Range<u32>], from: Range<u32>, at: u32) -> impl Iterator<Item = Range<u32>> {
    let first = runs.partition_point(|run| run.end <= from.start);
    let (start, end) = (from.start, from.end);
    let inside = runs[first..].iter().take_while(move |run| run.start < end);
    inside.map(move |run| run.start.max(start) - start + at..run.end.min(end) - start + at)
}

/// Why an example is not one that the objective can have made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotInvertible {
    /// The last token is something else, or there is none.
    #[error("the example does not end in the end-of-document token {end_of_document}")]
    NoEnd {
        /// The token that should have been last.
        end_of_document: TokenId,
    },
    /// A token stands where the objective never puts it.
    #[error("token {token} at position {position} stands where this objective never puts it")]
    Misplaced {
        /// Index into the example.
        position: usize,
        /// What stands there.
        token: TokenId,
    },
    /// A sentinel stands for a span that isn't at the end of the example.
    #[error("{expected} spans have a sentinel in the text, but {found} follow at the end")]
    MissingSpan {
        /// Sentinels in the text.
        expected: usize,
        /// Complete spans at the end.
        found: usize,
    },
    /// A hidden token has no label to say what it was.
    #[error("the token at position {position} is hidden, and no label says what it was")]
    Hidden {
        /// Index into the example.
        position: usize,
    },
    /// The example says that another objective has made it.
    #[error("the example was made by `{objective}`, which is none of this objective's")]
    OtherObjective {
        /// What the example says.
        objective: &'static str,
    },
}

/// The example without the end-of-document token at its end.
pub(super) fn without_end(example: &[TokenId], end_of_document: TokenId) -> Result<&[TokenId], NotInvertible> {
    match example.split_last() {
        Some((&last, body)) if last == end_of_document => Ok(body),
        _ => Err(NotInvertible::NoEnd { end_of_document }),
    }
}

/// The tokens, none of which may be one that documents never have.
pub(super) fn plain(tokens: &[TokenId], specials: &Specials) -> Result<Vec<TokenId>, NotInvertible> {
    match tokens.iter().position(|&token| specials.reserve(token)) {
        Some(position) => Err(NotInvertible::Misplaced { position, token: tokens[position] }),
        None => Ok(tokens.to_vec()),
    }
}

/// The tokens with the end-of-document token behind them.
pub(super) fn with_end(tokens: &[TokenId], specials: &Specials) -> Vec<TokenId> {
    let mut input_ids = Vec::with_capacity(tokens.len() + 1);
    input_ids.extend_from_slice(tokens);
    input_ids.push(specials.end_of_document);
    input_ids
}
