//! Hides single tokens, each with its label, and finds them again.

use super::example::{plain, with_end, without_end};
use super::{Example, NO_LOSS, NotInvertible, Predicts, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// What stands where a token is to be predicted: a mask but for these shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replacement {
    pub(super) random_share: f64,
    pub(super) keep_share: f64,
}

/// What stands in place of a hidden token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Mask,
    Random,
    Token,
}

impl Replacement {
    pub(super) fn draw(self, random: &mut KeyedRandom) -> Stand {
        let draw = random.uniform();
        if draw < self.random_share {
            Stand::Random
        } else if draw < self.random_share + self.keep_share {
            Stand::Token
        } else {
            Stand::Mask
        }
    }

    pub(super) fn problems(self) -> Option<String> {
        let (random_share, keep_share) = (self.random_share, self.keep_share);
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        (!(is_share(random_share) && is_share(keep_share) && random_share + keep_share <= 1.0)).then(|| {
            format!("random_share is {random_share} and keep_share is {keep_share}, but they are parts of a whole")
        })
    }
}

/// The token of these that stands in place of one that is hidden. Random ones are text.
pub(super) fn stand_in(stand: Stand, token: TokenId, specials: &Specials, random: &mut KeyedRandom) -> TokenId {
    match stand {
        Stand::Mask => specials.mask,
        Stand::Random => random.within(0, specials.num_text) as TokenId,
        Stand::Token => token,
    }
}

/// An example of these tokens in which nothing is hidden yet and nothing learnt, all seen in both directions.
pub(super) fn all_seen(document: &TokenDocument, input_ids: Vec<TokenId>) -> Example {
    Example {
        labels: vec![NO_LOSS; input_ids.len()],
        prefix_len: input_ids.len() as u32,
        input_ids,
        predicts: Predicts::Here,
        ..Example::of_all(document)
    }
}

/// An example in which each of the document's tokens is hidden behind a mask with this probability, whatever the others.
pub(super) fn masked_each(
    document: &TokenDocument,
    probability: f64,
    specials: &Specials,
    random: &mut KeyedRandom,
) -> Example {
    let mut example = all_seen(document, with_end(&document.tokens, specials));
    for position in each_by_itself(document.tokens.len() as u32, probability, random) {
        example.hide(position as usize, specials.mask);
    }
    example
}

/// Which of so many tokens are chosen if each is with this probability, whatever the others.
pub(super) fn each_by_itself(num_tokens: u32, probability: f64, random: &mut KeyedRandom) -> Vec<u32> {
    (0..num_tokens).filter(|_| random.happens(probability)).collect()
}

/// The document of an example that is its tokens and its end, some of them hidden.
pub(super) fn reveal(example: &Example, specials: &Specials) -> Result<Vec<TokenId>, NotInvertible> {
    let revealed = example.revealed(specials)?;
    plain(without_end(&revealed, specials.end_of_document)?, specials)
}

impl Example {
    /// Has the token at this position predicted, and this one stand in its place.
    pub(super) fn hide(&mut self, position: usize, stand_in: TokenId) {
        self.labels[position] = self.input_ids[position];
        self.input_ids[position] = stand_in;
    }

    /// Puts the token at this position back, which then is not predicted.
    pub(super) fn show(&mut self, position: usize) {
        let hidden = std::mem::replace(&mut self.labels[position], NO_LOSS);
        if hidden != NO_LOSS {
            self.input_ids[position] = hidden;
        }
    }

    /// The tokens with what is hidden put back.
    pub(super) fn revealed(&self, specials: &Specials) -> Result<Vec<TokenId>, NotInvertible> {
        let reveal = |(position, (&id, &label)): (usize, (&TokenId, &TokenId))| match label {
            NO_LOSS if id == specials.mask => Err(NotInvertible::Hidden { position }),
            NO_LOSS => Ok(id),
            _ => Ok(label),
        };
        self.input_ids.iter().zip(&self.labels).enumerate().map(reveal).collect()
    }
}
