//! What goes into an objective and what comes out.

use std::ops::Range;

use thiserror::Error;

use super::TokenId;

/// The label of a token that the model is not trained to predict.
pub const NO_LOSS: TokenId = -100;

/// One page as tokens, in document order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenDocument {
    /// Text and image tokens, without an end-of-document token.
    pub tokens: Vec<TokenId>,
    /// Where the tokens of each image stand in `tokens`: in order, without overlap, none empty.
    pub images: Vec<Range<u32>>,
}

/// One document as a model is trained on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Example {
    /// The document's tokens as the objective has placed them, up to the end-of-document token.
    pub input_ids: Vec<TokenId>,
    /// `input_ids`, unshifted, with [`NO_LOSS`] where nothing is to be learnt.
    pub labels: Vec<TokenId>,
    /// Where image tokens stand in `input_ids`, in order: an image that the objective has cut gives two runs or more.
    pub images: Vec<Range<u32>>,
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
}

/// The example without the end-of-document token at its end.
pub(super) fn without_end(example: &[TokenId], end_of_document: TokenId) -> Result<&[TokenId], NotInvertible> {
    match example.split_last() {
        Some((&last, body)) if last == end_of_document => Ok(body),
        _ => Err(NotInvertible::NoEnd { end_of_document }),
    }
}
