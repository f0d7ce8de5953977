//! Has most documents' hidden tokens predicted, and some documents left to right (GPT-BERT, arXiv 2410.24159).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::example::plain;
use super::hidden::{Replacement, all_seen, stand_in};
use super::{
    Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Predicts, Specials, TokenDocument, TokenId,
};
use crate::random::KeyedRandom;

/// Settings of `hybrid_causal_masked`.
///
/// A hidden token is predicted by the position before it, as in a causal model ("masked next-token prediction"), so
/// each document begins with `<bod>` and has no end. Of the published method this leaves out what needs the state of
/// training: the falling `probability`, and keys weighted by how often a token was masked before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HybridCausalMasked {
    /// This share of documents is masked; the others are predicted left to right.
    pub masked_share: f64,
    /// The share of a masked document's tokens that is predicted; published is 0.3 at first and 0.15 at last.
    pub probability: f64,
    /// In this share of hidden spans stand random tokens instead of masks.
    pub random_share: f64,
    /// In this share of hidden spans the tokens themselves stay.
    pub keep_share: f64,
}

const LONGEST_SPAN: u32 = 3;

impl Default for HybridCausalMasked {
    fn default() -> Self {
        Self { masked_share: 0.9375, probability: 0.15, random_share: 0.1, keep_share: 0.1 }
    }
}

impl HybridCausalMasked {
    fn replacement(&self) -> Replacement {
        Replacement { random_share: self.random_share, keep_share: self.keep_share }
    }
}

impl ObjectiveSettings for HybridCausalMasked {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let shares = [("masked_share", self.masked_share), ("probability", self.probability)];
        let wrong = shares.into_iter().filter(|(_, share)| !(0.0..=1.0).contains(share));
        let problems = wrong.map(|(name, share)| format!("{name} is {share}, but a share lies between 0 and 1"));
        problems.chain(self.replacement().problems()).collect()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(MostlyMasked { settings: self.clone(), specials: *specials })
    }
}

#[derive(Debug)]
struct MostlyMasked {
    settings: HybridCausalMasked,
    specials: Specials,
}

impl Objective for MostlyMasked {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let input_ids = [&[self.specials.begin_of_document], &document.tokens[..]].concat();
        let mut example = Example { predicts: Predicts::Next, ..all_seen(document, input_ids) };
        for image in &mut example.images {
            *image = image.start + 1..image.end + 1;
        }
        if random.happens(self.settings.masked_share) {
            example.objective = "hybrid_causal_masked/masked";
            self.mask(&document.tokens, &mut example, random);
        } else {
            example.objective = "hybrid_causal_masked/causal";
            example.prefix_len = 0;
            example.labels[1..].copy_from_slice(&document.tokens);
        }
        vec![example]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let revealed = example.revealed(&self.specials)?;
        match revealed.split_first() {
            Some((&first, tokens)) if first == self.specials.begin_of_document => plain(tokens, &self.specials),
            first => Err(NotInvertible::Misplaced { position: 0, token: first.map_or(NO_LOSS, |(&token, _)| token) }),
        }
    }
}

impl MostlyMasked {
    fn mask(&self, tokens: &[TokenId], example: &mut Example, random: &mut KeyedRandom) {
        let num_tokens = tokens.len() as u32;
        let wanted = (f64::from(num_tokens) * self.settings.probability + random.uniform()) as u32;
        let mut spans = spans_with_keys(num_tokens, random);
        spans.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut num_hidden = 0;
        for (_, start, end) in spans {
            // The last span enters whole, so that more may be hidden than wanted.
            if num_hidden >= wanted.max(1) {
                return;
            }
            let stand = self.settings.replacement().draw(random);
            for (position, &token) in (start as usize + 1..).zip(&tokens[start as usize..end as usize]) {
                let stand_in = stand_in(stand, token, &self.specials, random);
                // Specials, such as those around an image, are never hidden (GPT-BERT, `dataset.py`).
                if !self.specials.contain(token) {
                    example.hide(position, stand_in);
                }
            }
            num_hidden += end - start;
        }
    }
}

// All tokens in spans of one to three, each with a uniform key.
fn spans_with_keys(num_tokens: u32, random: &mut KeyedRandom) -> Vec<(f64, u32, u32)> {
    let mut spans = Vec::new();
    let mut start = 0;
    while start < num_tokens {
        let end = num_tokens.min(start + random.within(1, LONGEST_SPAN + 1));
        spans.push((random.uniform(), start, end));
        start = end;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::super::testing::{BEGIN, MASK, check_share, example_of, text};
    use super::*;

    #[test]
    fn every_token_behind_the_begin_can_be_predicted_by_the_one_before() {
        let settings = HybridCausalMasked { probability: 1.0, masked_share: 1.0, random_share: 0.0, keep_share: 0.0 };
        let example = example_of(&settings, &text(3), 0);
        assert_eq!(example.input_ids, [BEGIN, MASK, MASK, MASK]);
        assert_eq!(example.labels, [NO_LOSS, 10, 11, 12]);
        assert_eq!((example.prefix_len, example.predicts), (4, Predicts::Next));
    }

    #[test]
    fn a_causal_document_has_all_its_tokens_predicted() {
        let example = example_of(&HybridCausalMasked { masked_share: 0.0, ..Default::default() }, &text(2), 0);
        assert_eq!((&example.input_ids[..], &example.labels[..]), (&[BEGIN, 10, 11][..], &[NO_LOSS, 10, 11][..]));
        assert_eq!(example.prefix_len, 0);
    }

    #[test]
    fn fifteen_of_sixteen_are_masked_and_spans_share_what_stands_for_them() {
        let (mut num_masked, mut num_hidden, mut masks) = (0, 0, 0);
        for number in 0..100_000 {
            let example = example_of(&HybridCausalMasked::default(), &text(100), number);
            if example.prefix_len == 0 {
                continue;
            }
            num_masked += 1;
            num_hidden += example.labels.iter().filter(|&&label| label != NO_LOSS).count();
            masks += example.input_ids.iter().filter(|&&id| id == MASK).count();
        }
        check_share(num_masked, 100_000, 15.0 / 16.0);
        // 15 to 16 tokens are wanted, and the last span goes beyond by 2/3 in the mean, a third more when it is long.
        let mean = num_hidden as f64 / num_masked as f64;
        assert!((15.5..16.5).contains(&mean), "{mean}");
        let share = masks as f64 / num_hidden as f64;
        // Spans of two tokens in the mean have twice the variance of single tokens; four deviations are 0.002.
        assert!((share - 0.8).abs() < 0.002, "{share}");
    }
}
