//! Mixes denoisers, each announced by a token in front (UL2, arXiv 2205.05131 table 1).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::example::plain;
use super::prefix_lm::num_prefix;
use super::span_corruption::{SpanCorruption, input_and_target, restore};
use super::{Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `ul2`. The paper doesn't say how often each denoiser is used; here all are used equally often.
///
/// An example of a span denoiser is as in `span_corruption`; one of `S` is `<S> prefix <eod> rest <eod>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ul2 {
    /// How often each denoiser is used: `R` with spans of 3 and of 8 tokens and a share of .15; `X` with spans of 3, 8
    /// and 64 tokens and a share of .5, and of 64 and .15; `S`, in this order.
    pub weights: [f64; 7],
    /// The share of a document's tokens that `S` has predicted.
    pub suffix_share: f64,
}

// Mean span length and share of each span denoiser, in the order of the weights.
const DENOISERS: [(f64, f64); 6] = [(3.0, 0.15), (8.0, 0.15), (3.0, 0.5), (8.0, 0.5), (64.0, 0.5), (64.0, 0.15)];
const NUM_REGULAR: usize = 2;

impl Default for Ul2 {
    fn default() -> Self {
        Self { weights: [1.0; 7], suffix_share: 0.25 }
    }
}

impl ObjectiveSettings for Ul2 {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let mut problems = Vec::new();
        let total: f64 = self.weights.iter().sum();
        if self.weights.iter().any(|weight| !(0.0..=1e9).contains(weight)) || total <= 0.0 {
            problems.push(format!("weights are {:?}, but none may be negative, and not all 0", self.weights));
        }
        if !(self.suffix_share > 0.0 && self.suffix_share < 1.0) {
            problems.push(format!("suffix_share is {}, but it must leave a prefix", self.suffix_share));
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(Denoisers { settings: self.clone(), specials: *specials })
    }
}

#[derive(Debug)]
struct Denoisers {
    settings: Ul2,
    specials: Specials,
}

impl Objective for Denoisers {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let denoiser = random.weighted(&self.settings.weights);
        let example = match DENOISERS.get(denoiser) {
            Some(&(mean_span_length, noise_density)) => {
                let spans = SpanCorruption { noise_density, mean_span_length };
                let spans = spans.spans(document.tokens.len() as u32, self.specials.num_sentinels, random);
                let (mode, objective) = match denoiser < NUM_REGULAR {
                    true => (self.specials.regular_denoising, "ul2/regular"),
                    false => (self.specials.extreme_denoising, "ul2/extreme"),
                };
                Example { objective, ..input_and_target(document, &spans, Some(mode), &self.specials) }
            }
            None => self.sequential(document),
        };
        vec![example]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let specials = &self.specials;
        let no_end = NotInvertible::NoEnd { end_of_document: specials.end_of_document };
        let (&mode, body) = example.input_ids.split_first().ok_or(no_end.clone())?;
        if mode == specials.regular_denoising || mode == specials.extreme_denoising {
            return restore(body, specials);
        }
        if mode != specials.sequential_denoising {
            return Err(NotInvertible::Misplaced { position: 0, token: mode });
        }
        let ends: Vec<_> = (0..body.len()).filter(|&position| body[position] == specials.end_of_document).collect();
        match ends[..] {
            [prefix_end, end] if end + 1 == body.len() => {
                plain(&[&body[..prefix_end], &body[prefix_end + 1..end]].concat(), specials)
            }
            _ => Err(no_end),
        }
    }
}

impl Denoisers {
    fn sequential(&self, document: &TokenDocument) -> Example {
        let num_tokens = document.tokens.len() as u32;
        let split = num_prefix(num_tokens, self.settings.suffix_share);
        let mut pieces = super::pieces::Pieces::default();
        pieces.special(self.specials.sequential_denoising);
        pieces.tokens(0..split);
        pieces.special(self.specials.end_of_document);
        let prefix_len = pieces.len();
        pieces.tokens(split..num_tokens);
        pieces.special(self.specials.end_of_document);
        let mut example = pieces.place(document);
        example.labels[..prefix_len as usize].fill(NO_LOSS);
        Example { prefix_len, objective: "ul2/sequential", ..example }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{END, S0, SPECIALS, check_share, example_of, text};
    use super::*;

    // Only the denoiser of this index.
    fn only(denoiser: usize) -> Ul2 {
        let mut weights = [0.0; 7];
        weights[denoiser] = 1.0;
        Ul2 { weights, ..Ul2::default() }
    }

    #[test]
    fn a_regular_denoiser_announces_itself() {
        let example = example_of(&only(0), &text(2), 0);
        assert_eq!(example.input_ids, [SPECIALS.regular_denoising, 10, S0, END, S0, 11, END]);
        assert_eq!((example.prefix_len, example.objective), (4, "ul2/regular"));
    }

    #[test]
    fn the_sequential_denoiser_has_the_last_quarter_predicted() {
        let example = example_of(&only(6), &text(4), 0);
        assert_eq!(example.input_ids, [SPECIALS.sequential_denoising, 10, 11, 12, END, 13, END]);
        assert_eq!(example.labels, [NO_LOSS, NO_LOSS, NO_LOSS, NO_LOSS, NO_LOSS, 13, END]);
        assert_eq!((example.prefix_len, example.objective), (5, "ul2/sequential"));
    }

    #[test]
    fn each_denoiser_has_its_published_share_and_spans() {
        for (denoiser, (mean_span_length, noise_density)) in DENOISERS.into_iter().enumerate() {
            let example = example_of(&only(denoiser), &text(1280), 0);
            let num_spans = example.labels.iter().filter(|&&id| SPECIALS.is_sentinel(id)).count();
            let num_noise = example.labels.iter().filter(|&&id| (0..400).contains(&id)).count();
            assert_eq!(num_noise as f64, (1280.0 * noise_density).round());
            // As many spans as sentinels where more are asked for.
            assert_eq!(num_spans as f64, (num_noise as f64 / mean_span_length).round().min(64.0));
        }
    }

    #[test]
    fn all_are_used_equally_often() {
        let objective = |number| example_of(&Ul2::default(), &text(20), number).objective;
        let names: Vec<_> = (0..100_000).map(objective).collect();
        for (name, share) in [("ul2/regular", 2.0), ("ul2/extreme", 4.0), ("ul2/sequential", 1.0)] {
            check_share(names.iter().filter(|&&of_one| of_one == name).count(), 100_000, share / 7.0);
        }
    }
}
