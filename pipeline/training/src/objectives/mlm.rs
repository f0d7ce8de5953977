//! Hides some tokens and has them predicted from both sides (BERT, arXiv 1810.04805 section 3.1).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::example::with_end;
use super::hidden::{Replacement, all_seen, each_by_itself, reveal, stand_in};
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `mlm`. Random tokens are drawn from text; BERT and Hugging Face draw from all ids, specials included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mlm {
    /// How tokens are chosen.
    pub rule: MlmRule,
    /// The share of tokens, or the chance of each, to be predicted.
    pub probability: f64,
    /// No document has more predicted tokens than this under the rule `bert`, which has 20 per 128 tokens.
    pub max_predictions: Option<u32>,
    /// In this share of predicted positions stands a random token instead of a mask.
    pub random_share: f64,
    /// In this share of predicted positions the token itself stays.
    pub keep_share: f64,
}

/// How the tokens are chosen that are predicted. The end of a document never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MlmRule {
    /// So many of a document's tokens as are the rounded share, but at least one (`create_pretraining_data.py`).
    Bert,
    /// Each token for itself (Hugging Face `DataCollatorForLanguageModeling`).
    HuggingFace,
}

impl Default for Mlm {
    fn default() -> Self {
        Self { rule: MlmRule::Bert, probability: 0.15, max_predictions: None, random_share: 0.1, keep_share: 0.1 }
    }
}

impl Mlm {
    fn replacement(&self) -> Replacement {
        Replacement { random_share: self.random_share, keep_share: self.keep_share }
    }
}

impl ObjectiveSettings for Mlm {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let is_share = (0.0..=1.0).contains(&self.probability);
        let problem = format!("probability is {}, but it must lie between 0 and 1", self.probability);
        (!is_share).then_some(problem).into_iter().chain(self.replacement().problems()).collect()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(HiddenTokens { settings: self.clone(), specials: *specials })
    }
}

#[derive(Debug)]
struct HiddenTokens {
    settings: Mlm,
    specials: Specials,
}

impl Objective for HiddenTokens {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let settings = &self.settings;
        let num_tokens = document.tokens.len() as u32;
        let chosen = match settings.rule {
            MlmRule::Bert => {
                let rounded = libm::rint(f64::from(num_tokens) * settings.probability) as u32;
                random.choose(rounded.max(1).min(settings.max_predictions.unwrap_or(u32::MAX)), num_tokens)
            }
            MlmRule::HuggingFace => each_by_itself(num_tokens, settings.probability, random),
        };
        let mut example = all_seen(document, with_end(&document.tokens, &self.specials));
        example.objective = match settings.rule {
            MlmRule::Bert => "mlm/bert",
            MlmRule::HuggingFace => "mlm/hugging_face",
        };
        for position in chosen.into_iter().map(|position| position as usize) {
            let stand = settings.replacement().draw(random);
            example.hide(position, stand_in(stand, document.tokens[position], &self.specials, random));
        }
        vec![example]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        reveal(example, &self.specials)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{END, MASK, check_share, example_of, text};
    use super::super::{NO_LOSS, Predicts};
    use super::*;

    #[test]
    fn only_hidden_tokens_are_learnt_and_where_they_stand() {
        let settings = Mlm { probability: 1.0, random_share: 0.0, keep_share: 0.0, ..Mlm::default() };
        let example = example_of(&settings, &text(3), 0);
        assert_eq!(example.input_ids, [MASK, MASK, MASK, END]);
        assert_eq!(example.labels, [10, 11, 12, NO_LOSS]);
        assert_eq!((example.prefix_len, example.predicts), (4, Predicts::Here));
    }

    #[test]
    fn bert_hides_a_rounded_share_but_at_least_one_and_at_most_the_limit() {
        let settings = Mlm { max_predictions: Some(20), ..Mlm::default() };
        let num_hidden = |num_tokens| {
            let labels = example_of(&settings, &text(num_tokens), 0).labels;
            labels.iter().filter(|&&label| label != NO_LOSS).count()
        };
        assert_eq!([0, 1, 3, 10, 100, 380].map(num_hidden), [0, 1, 1, 2, 15, 20]);
    }

    #[test]
    fn eighty_ten_and_ten_percent_are_masked_random_and_kept() {
        for rule in [MlmRule::Bert, MlmRule::HuggingFace] {
            let (mut hidden, mut masked, mut kept) = (0, 0, 0);
            for number in 0..100_000 {
                let example = example_of(&Mlm { rule, ..Mlm::default() }, &text(20), number);
                let learnt = example.input_ids.iter().zip(&example.labels).filter(|(_, label)| **label != NO_LOSS);
                for (&id, &label) in learnt {
                    hidden += 1;
                    masked += usize::from(id == MASK);
                    kept += usize::from(id == label);
                }
            }
            check_share(masked, hidden, 0.8);
            // One of 400 random tokens is the one that it stands for.
            check_share(kept, hidden, 0.1 + 0.1 / 400.0);
            match rule {
                MlmRule::Bert => assert_eq!(hidden, 300_000),
                MlmRule::HuggingFace => check_share(hidden, 2_000_000, 0.15),
            }
        }
    }

    #[test]
    fn a_mask_without_a_label_is_not_invertible() {
        let mut example = example_of(&Mlm { keep_share: 0.0, random_share: 0.0, ..Mlm::default() }, &text(1), 0);
        example.labels[0] = NO_LOSS;
        let refused = Mlm::default().build(&super::super::testing::SPECIALS).invert(&example);
        assert_eq!(refused, Err(NotInvertible::Hidden { position: 0 }));
    }
}
