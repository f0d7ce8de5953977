//! Shows a prefix in both directions and has the rest predicted (T5, `t5/data/preprocessors.py`, `prefix_lm`).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::example::{plain, with_end, without_end};
use super::{Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `prefix_lm`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrefixLm {
    /// The share of a document's tokens that is predicted. If left out, the prefix is `1..length` tokens long, each
    /// length equally likely, as in T5.
    pub suffix_share: Option<f64>,
}

impl ObjectiveSettings for PrefixLm {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        match self.suffix_share.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            Some(share) => vec![format!("suffix_share is {share}, but it must leave a prefix: between 0 and 1")],
            None => Vec::new(),
        }
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(PrefixThenRest { settings: self.clone(), specials: *specials })
    }
}

#[derive(Debug)]
struct PrefixThenRest {
    settings: PrefixLm,
    specials: Specials,
}

impl Objective for PrefixThenRest {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let num_tokens = document.tokens.len() as u32;
        let num_prefix = match self.settings.suffix_share {
            None if num_tokens < 2 => 0, // with nothing to split, the document is only predicted
            None => random.within(1, num_tokens),
            Some(share) => num_prefix(num_tokens, share),
        };
        vec![prefix_then_rest(document, num_prefix, &self.specials)]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        plain(without_end(&example.input_ids, self.specials.end_of_document)?, &self.specials)
    }
}

/// How many tokens stand before a suffix of this share, which has at least one token, as has the prefix if it can.
pub(super) fn num_prefix(num_tokens: u32, suffix_share: f64) -> u32 {
    let num_suffix = libm::rint(f64::from(num_tokens) * suffix_share) as u32;
    num_tokens - num_suffix.clamp(1, num_tokens.max(2) - 1).min(num_tokens)
}

/// The document with its first `num_prefix` tokens visible in both directions, and all else to be predicted.
pub(super) fn prefix_then_rest(document: &TokenDocument, num_prefix: u32, specials: &Specials) -> Example {
    let input_ids = with_end(&document.tokens, specials);
    let mut labels = input_ids.clone();
    labels[..num_prefix as usize].fill(NO_LOSS);
    Example { input_ids, labels, prefix_len: num_prefix, objective: "prefix_lm", ..Example::of_all(document) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{END, SPECIALS, check_share, example_of, text};
    use super::*;

    #[test]
    fn only_what_follows_the_prefix_is_learnt() {
        let example = prefix_then_rest(&text(4), 3, &SPECIALS);
        assert_eq!(example.input_ids, [10, 11, 12, 13, END]);
        assert_eq!(example.labels, [NO_LOSS, NO_LOSS, NO_LOSS, 13, END]);
        assert_eq!(example.prefix_len, 3);
    }

    #[test]
    fn every_prefix_that_leaves_something_is_equally_likely() {
        let mut counts = [0; 6];
        for number in 0..100_000 {
            counts[example_of(&PrefixLm::default(), &text(5), number).prefix_len as usize] += 1;
        }
        assert_eq!([counts[0], counts[5]], [0, 0]);
        counts[1..5].iter().for_each(|&count| check_share(count, 100_000, 0.25));
    }

    #[test]
    fn a_quarter_of_the_tokens_is_a_quarter() {
        assert_eq!([100, 10, 2, 1, 0].map(|num_tokens| num_prefix(num_tokens, 0.25)), [75, 8, 1, 0, 0]);
    }

    #[test]
    fn a_share_of_all_leaves_no_prefix_and_is_refused() {
        assert_eq!(PrefixLm { suffix_share: Some(1.0) }.check(0).len(), 1);
    }
}
