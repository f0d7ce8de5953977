//! Hides a share of the tokens that is itself drawn, as one step of a diffusion (LLaDA, arXiv 2502.09992).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::example::with_end;
use super::hidden::{all_seen, reveal};
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenColumns, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `masked_diffusion`. The end of a document is hidden like any token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskedDiffusion {
    /// How the share of hidden tokens is drawn, and how many examples there are of a document.
    pub rate: DiffusionRate,
}

/// How the share of hidden tokens is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiffusionRate {
    /// `0.999 t + 0.001` with `t` uniform; the loss of a hidden token has the weight of one over that share (LLaDA
    /// `GUIDELINES.md`).
    Llada,
    /// `t` uniform in `0.2..0.8`, for three examples: all hidden, those whose draw is below `t` hidden, and all others
    /// hidden, with weights 1, `1 / t` and `1 / (1 - t)` (DiffuCoder, `coupled_grpo.py`, `forward_process`).
    Coupled,
}

const SMALLEST_RATE: f64 = 1e-3;
const COUPLED_RATES: (f64, f64) = (0.2, 0.8);

impl Default for MaskedDiffusion {
    fn default() -> Self {
        Self { rate: DiffusionRate::Llada }
    }
}

impl ObjectiveSettings for MaskedDiffusion {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        Vec::new()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(DrawnShare { rate: self.rate, specials: *specials })
    }

    fn token_columns(&self) -> TokenColumns {
        TokenColumns { loss_weights: true, ..TokenColumns::default() }
    }
}

#[derive(Debug)]
struct DrawnShare {
    rate: DiffusionRate,
    specials: Specials,
}

impl Objective for DrawnShare {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let t = random.uniform();
        let draws: Vec<f64> = (0..=document.tokens.len()).map(|_| random.uniform()).collect();
        match self.rate {
            DiffusionRate::Llada => {
                let share = (1.0 - SMALLEST_RATE) * t + SMALLEST_RATE;
                vec![self.example(document, 1.0 / share, |position| draws[position] < share)]
            }
            DiffusionRate::Coupled => {
                let share = COUPLED_RATES.0 + (COUPLED_RATES.1 - COUPLED_RATES.0) * t;
                let below = |position: usize| draws[position] < share;
                let all = self.example(document, 1.0, |_| true);
                let first = self.example(document, 1.0 / share, below);
                let second = self.example(document, 1.0 / (1.0 - share), |position| !below(position));
                vec![all, Example { branch: 1, ..first }, Example { branch: 2, ..second }]
            }
        }
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        reveal(example, &self.specials)
    }
}

impl DrawnShare {
    fn example(&self, document: &TokenDocument, weight: f64, is_hidden: impl Fn(usize) -> bool) -> Example {
        let mut example = all_seen(document, with_end(&document.tokens, &self.specials));
        example.objective = match self.rate {
            DiffusionRate::Llada => "masked_diffusion/llada",
            DiffusionRate::Coupled => "masked_diffusion/coupled",
        };
        example.loss_weights = vec![0.0; example.input_ids.len()];
        for position in (0..example.input_ids.len()).filter(|&position| is_hidden(position)) {
            example.hide(position, self.specials.mask);
            example.loss_weights[position] = weight as f32;
        }
        example
    }
}

#[cfg(test)]
mod tests {
    use super::super::NO_LOSS;
    use super::super::testing::{MASK, example_of, examples_of, text};
    use super::*;

    #[test]
    fn the_share_is_uniform_and_weights_make_every_token_count_once() {
        let (mut num_masked, mut weights, mut deciles) = (0, 0.0, [0_u32; 10]);
        for number in 0..100_000 {
            let example = example_of(&MaskedDiffusion::default(), &text(99), number);
            let masked = example.input_ids.iter().filter(|&&id| id == MASK).count();
            num_masked += masked;
            weights += example.loss_weights.iter().map(|&weight| f64::from(weight)).sum::<f64>();
            deciles[masked.min(99) / 10] += 1;
        }
        // A share's standard deviation is 0.29 and the weights' 0.25 per document: four of the mean are below 0.005.
        assert!((num_masked as f64 / 1e7 - 0.5005).abs() < 0.005, "{num_masked}");
        assert!((weights / 1e7 - 1.0).abs() < 0.005, "{weights}");
        // Of 100 tokens each number from 0 to 100 is as likely, so the last has eleven. Four standard deviations: 380.
        let expected = |decile| if decile == 9 { 10_891_u32 } else { 9_901 };
        assert!((0..10).all(|decile| deciles[decile].abs_diff(expected(decile)) < 390), "{deciles:?}");
    }

    #[test]
    fn coupled_masks_cover_each_token_once() {
        let settings = MaskedDiffusion { rate: DiffusionRate::Coupled };
        for number in 0..1000 {
            let [all, first, second] = examples_of(&settings, &text(50), number).try_into().unwrap();
            assert!(all.labels.iter().all(|&label| label != NO_LOSS));
            let mut pairs = first.labels.iter().zip(&second.labels);
            assert!(pairs.all(|(one, other)| (*one == NO_LOSS) != (*other == NO_LOSS)));
        }
    }

    #[test]
    fn coupled_shares_lie_between_a_fifth_and_four_fifths() {
        let settings = MaskedDiffusion { rate: DiffusionRate::Coupled };
        let mut sum = 0.0;
        for number in 0..100_000 {
            let weights = &examples_of(&settings, &text(9), number)[1].loss_weights;
            if let Some(&weight) = weights.iter().find(|&&weight| weight > 0.0) {
                assert!((1.25..=5.0).contains(&weight), "{weight}");
            }
            sum += weights.iter().filter(|&&weight| weight > 0.0).count() as f64;
        }
        // The standard deviation of a document's hidden tokens is 2.3.
        assert!((sum / 1e5 - 5.0).abs() < 0.03, "{sum}");
    }
}
