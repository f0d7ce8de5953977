//! Hides some tokens and has each predicted by the position before it (MNTP of LLM2Vec, arXiv 2404.05961).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Example, Mlm, MlmRule, NotInvertible, Objective, ObjectiveSettings, Predicts, Specials, TokenDocument, TokenId,
};
use crate::random::KeyedRandom;

/// Settings of `mntp`: those of `mlm`. A document's first token has no position before it, so it may be hidden but has
/// its loss only where a trainer's row has something in front of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mntp {
    /// The chance of each token to be predicted.
    pub probability: f64,
    /// In this share of predicted positions stands a random token instead of a mask.
    pub random_share: f64,
    /// In this share of predicted positions the token itself stays.
    pub keep_share: f64,
}

impl Default for Mntp {
    fn default() -> Self {
        Self { probability: 0.15, random_share: 0.1, keep_share: 0.1 }
    }
}

impl Mntp {
    fn masked(&self) -> Mlm {
        Mlm {
            rule: MlmRule::HuggingFace,
            probability: self.probability,
            random_share: self.random_share,
            keep_share: self.keep_share,
            ..Mlm::default()
        }
    }
}

impl ObjectiveSettings for Mntp {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, num_sentinels: u32) -> Vec<String> {
        self.masked().check(num_sentinels)
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(PredictedBefore { masked: self.masked().build(specials) })
    }
}

#[derive(Debug)]
struct PredictedBefore {
    masked: Arc<dyn Objective>,
}

impl Objective for PredictedBefore {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let predicted_before = |example| Example { predicts: Predicts::Next, objective: "mntp", ..example };
        self.masked.apply(document, random).into_iter().map(predicted_before).collect()
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        self.masked.invert(example)
    }
}

#[cfg(test)]
mod tests {
    use super::super::NO_LOSS;
    use super::super::testing::{END, MASK, check_share, example_of, text};
    use super::*;

    #[test]
    fn labels_stand_unshifted_where_the_token_was() {
        let settings = Mntp { probability: 1.0, random_share: 0.0, keep_share: 0.0 };
        let example = example_of(&settings, &text(2), 0);
        assert_eq!((&example.input_ids[..], &example.labels[..]), (&[MASK, MASK, END][..], &[10, 11, NO_LOSS][..]));
        assert_eq!(example.predicts, Predicts::Next);
    }

    #[test]
    fn every_token_has_its_chance() {
        let hidden = |number| {
            let labels = example_of(&Mntp::default(), &text(10), number).labels;
            labels.iter().filter(|&&label| label != NO_LOSS).count()
        };
        check_share((0..100_000).map(hidden).sum(), 1_000_000, 0.15);
    }
}
