//! Has a document predicted left to right or its hidden tokens from both sides (BICO, arXiv 2311.07468).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hidden::{masked_each, reveal};
use super::left_to_right::left_to_right;
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `bidirectional_causal`.
///
/// In examples of `bidirectional_causal/masked`, a trainer also hides the positions of masks from all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BidirectionalCausal {
    /// Which of the two branches a document has: `branch` 0 is the causal one, 1 the masked one.
    pub branches: Branches,
    /// Where one is drawn, this share of documents is masked; the published code draws per batch.
    pub masked_share: f64,
    /// The chance of each token to be masked; there is no 80/10/10.
    pub probability: f64,
}

/// Which branches a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Branches {
    /// One, drawn.
    Drawn,
    /// Both, the causal one first.
    Both,
}

impl Default for BidirectionalCausal {
    fn default() -> Self {
        Self { branches: Branches::Drawn, masked_share: 0.5, probability: 0.15 }
    }
}

impl ObjectiveSettings for BidirectionalCausal {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let shares = [("masked_share", self.masked_share), ("probability", self.probability)];
        let wrong = shares.into_iter().filter(|(_, share)| !(0.0..=1.0).contains(share));
        wrong.map(|(name, share)| format!("{name} is {share}, but a share lies between 0 and 1")).collect()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(TwoBranches { settings: self.clone(), specials: *specials })
    }

    fn pass(&self, _: u32, branch: u32) -> u32 {
        branch
    }
}

#[derive(Debug)]
struct TwoBranches {
    settings: BidirectionalCausal,
    specials: Specials,
}

impl Objective for TwoBranches {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let draws_masked = random.happens(self.settings.masked_share);
        match (self.settings.branches, draws_masked) {
            (Branches::Both, _) => vec![self.causal(document), self.masked(document, random)],
            (Branches::Drawn, false) => vec![self.causal(document)],
            (Branches::Drawn, true) => vec![self.masked(document, random)],
        }
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        reveal(example, &self.specials)
    }
}

impl TwoBranches {
    fn causal(&self, document: &TokenDocument) -> Example {
        Example { objective: "bidirectional_causal/causal", ..left_to_right(document, &self.specials) }
    }

    fn masked(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Example {
        let masked = masked_each(document, self.settings.probability, &self.specials, random);
        Example { objective: "bidirectional_causal/masked", branch: 1, ..masked }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NO_LOSS;
    use super::super::testing::{END, MASK, check_share, examples_of, text};
    use super::*;

    #[test]
    fn both_branches_are_the_text_and_its_hidden_tokens() {
        let settings = BidirectionalCausal { branches: Branches::Both, probability: 1.0, ..Default::default() };
        let examples = examples_of(&settings, &text(2), 0);
        assert_eq!((&examples[0].input_ids[..], &examples[0].labels[..]), (&[10, 11, END][..], &[10, 11, END][..]));
        assert_eq!(
            (&examples[1].input_ids[..], &examples[1].labels[..]),
            (&[MASK, MASK, END][..], &[10, 11, NO_LOSS][..])
        );
    }

    #[test]
    fn half_of_the_documents_are_masked_and_some_of_their_tokens() {
        let (mut num_masked, mut num_hidden) = (0, 0);
        for number in 0..100_000 {
            let examples = examples_of(&BidirectionalCausal::default(), &text(10), number);
            num_masked += examples[0].branch as usize;
            num_hidden += examples[0].input_ids.iter().filter(|&&id| id == MASK).count();
        }
        check_share(num_masked, 100_000, 0.5);
        check_share(num_hidden, 10 * num_masked, 0.15);
    }
}
