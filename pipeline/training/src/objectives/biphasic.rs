//! Makes each document twice, for a causal phase of training and a masked one (arXiv 2507.00994).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hidden::{masked_each, reveal};
use super::left_to_right::left_to_right;
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `biphasic`.
///
/// With both phases, each has rows of its own, which are cut alike: both examples of a document have the same length. So
/// the two are the same packs with other labels, to be trained on one after the other, each as far as wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Biphasic {
    /// Which phases are made: `branch` 0 is the causal one, 1 the masked one.
    pub phases: Phases,
    /// The chance of each token to be masked in the second phase; there is no 80/10/10 (`optimus/trainer/data.py`).
    pub masked_ratio: f64,
}

/// Which phases of training are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phases {
    /// The causal one.
    Causal,
    /// The masked one.
    Masked,
    /// The causal one, then the masked one.
    Both,
}

impl Default for Biphasic {
    fn default() -> Self {
        Self { phases: Phases::Both, masked_ratio: 0.3 }
    }
}

impl ObjectiveSettings for Biphasic {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let problem = format!("masked_ratio is {}, but a share lies between 0 and 1", self.masked_ratio);
        (!(0.0..=1.0).contains(&self.masked_ratio)).then_some(problem).into_iter().collect()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(TwoPhases { settings: self.clone(), specials: *specials })
    }

    fn phase(&self, _: u32, branch: u32) -> u32 {
        branch
    }

    fn num_phases(&self) -> u32 {
        2
    }
}

#[derive(Debug)]
struct TwoPhases {
    settings: Biphasic,
    specials: Specials,
}

impl Objective for TwoPhases {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        match self.settings.phases {
            Phases::Causal => vec![self.causal(document)],
            Phases::Masked => vec![self.masked(document, random)],
            Phases::Both => vec![self.causal(document), self.masked(document, random)],
        }
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        reveal(example, &self.specials)
    }
}

impl TwoPhases {
    fn causal(&self, document: &TokenDocument) -> Example {
        Example { objective: "biphasic/causal", ..left_to_right(document, &self.specials) }
    }

    fn masked(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Example {
        let masked = masked_each(document, self.settings.masked_ratio, &self.specials, random);
        Example { objective: "biphasic/masked", branch: 1, ..masked }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NO_LOSS;
    use super::super::testing::{END, MASK, check_share, examples_of, text};
    use super::*;

    #[test]
    fn the_causal_phase_comes_first_and_the_masked_one_is_as_long() {
        let examples = examples_of(&Biphasic { masked_ratio: 1.0, ..Biphasic::default() }, &text(2), 0);
        assert_eq!((&examples[0].input_ids[..], &examples[0].labels[..]), (&[10, 11, END][..], &[10, 11, END][..]));
        assert_eq!(
            (&examples[1].input_ids[..], &examples[1].labels[..]),
            (&[MASK, MASK, END][..], &[10, 11, NO_LOSS][..])
        );
        assert_eq!([examples[0].prefix_len, examples[1].prefix_len], [0, 3]);
    }

    #[test]
    fn a_phase_is_the_same_alone() {
        let alone = examples_of(&Biphasic { phases: Phases::Masked, ..Biphasic::default() }, &text(50), 3);
        assert_eq!(alone[0], examples_of(&Biphasic::default(), &text(50), 3)[1]);
    }

    #[test]
    fn every_token_is_masked_with_its_chance() {
        let masked = |number| {
            examples_of(&Biphasic::default(), &text(10), number)[1].input_ids.iter().filter(|&&id| id == MASK).count()
        };
        check_share((0..100_000).map(masked).sum(), 1_000_000, 0.3);
    }
}
