//! Mixes denoisers, each announced by a token in front (UL2, arXiv 2205.05131 table 1).

use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::example::plain;
use super::prefix_lm::num_prefix;
use super::span_corruption::{Limits, SpanCorruption, input_and_target, no_room, restore};
use super::{Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `ul2`. The paper doesn't say how often each denoiser is used; here all are used equally often.
///
/// An example of a span denoiser is as in `span_corruption`; one of `S` is `<S> prefix <eod> rest <eod>`. A document that is
/// too long for one example goes in pieces, each with a denoiser of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ul2 {
    /// How often each denoiser is used: `R` with spans of 3 and of 8 tokens and a share of .15; `X` with spans of 3, 8
    /// and 64 tokens and a share of .5, and of 64 and .15; `S`, in this order.
    pub weights: [f64; 7],
    /// The share of a document's tokens that `S` has predicted.
    pub suffix_share: f64,
    /// No example has more tokens than this, with its mode token, input, target and the end of each. If left out, a document
    /// has one denoiser, and a piece as many spans as the vocabulary has sentinels.
    pub max_tokens: Option<NonZeroU32>,
}

// Mean span length and share of each span denoiser, in the order of the weights.
const DENOISERS: [(f64, f64); 6] = [(3.0, 0.15), (8.0, 0.15), (3.0, 0.5), (8.0, 0.5), (64.0, 0.5), (64.0, 0.15)];
const NUM_REGULAR: usize = 2;

// A mode token, and the end of input and target.
const NUM_ADDED: u32 = 3;
const SHORTEST: u32 = 7;

impl Default for Ul2 {
    fn default() -> Self {
        Self { weights: [1.0; 7], suffix_share: 0.25, max_tokens: None }
    }
}

impl ObjectiveSettings for Ul2 {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, num_sentinels: u32) -> Vec<String> {
        let mut problems = no_room(self.max_tokens, SHORTEST, num_sentinels);
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
        let max_tokens = self.settings.max_tokens.map_or(u32::MAX, NonZeroU32::get);
        let num_sentinels = self.specials.num_sentinels;
        let num_tokens = document.tokens.len() as u32;
        let (mut examples, mut start) = (Vec::new(), 0);
        loop {
            let denoiser = random.weighted(&self.settings.weights);
            let by_length = Limits { max_tokens, num_sentinels: u32::MAX };
            let end = start + longest(denoiser, num_tokens - start, by_length);
            // Where a vocabulary has too few sentinels for that, the denoiser has it in smaller pieces.
            let by_sentinels = Limits { max_tokens: u32::MAX, num_sentinels };
            let longest = longest(denoiser, end - start, by_sentinels);
            let sequence = document.piece(start..end);
            examples.extend(sequence.in_pieces(longest, |piece| self.example(denoiser, piece, random).moved(start)));
            start = end;
            if start >= num_tokens {
                break;
            }
        }
        (0..).zip(&mut examples).for_each(|(branch, example)| example.branch = branch);
        examples
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

// The spans of the denoiser with this index; none of `S`.
fn spans_of(denoiser: usize) -> Option<SpanCorruption> {
    let &(mean_span_length, noise_density) = DENOISERS.get(denoiser)?;
    Some(SpanCorruption { noise_density, mean_span_length, max_tokens: None })
}

// How many of so many tokens are in one example of this denoiser.
fn longest(denoiser: usize, num_tokens: u32, limits: Limits) -> u32 {
    match spans_of(denoiser) {
        Some(spans) => spans.longest_piece(num_tokens, limits, NUM_ADDED),
        None => num_tokens.min(limits.max_tokens.saturating_sub(NUM_ADDED).max(1)),
    }
}

impl Denoisers {
    fn example(&self, denoiser: usize, document: &TokenDocument, random: &mut KeyedRandom) -> Example {
        let Some(spans) = spans_of(denoiser) else { return self.sequential(document) };
        let spans = spans.spans(document.tokens.len() as u32, self.specials.num_sentinels, random);
        let (mode, objective) = match denoiser < NUM_REGULAR {
            true => (self.specials.regular_denoising, "ul2/regular"),
            false => (self.specials.extreme_denoising, "ul2/extreme"),
        };
        Example { objective, ..input_and_target(document, &spans, Some(mode), &self.specials) }
    }

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
    use super::super::testing::{END, S0, SPECIALS, check_share, example_of, examples_of, stream, text};
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
    fn each_denoiser_has_its_published_share_and_spans_in_documents_of_any_length() {
        for (denoiser, (mean_span_length, noise_density)) in DENOISERS.into_iter().enumerate() {
            for num_tokens in [1280, 100_000] {
                let examples = examples_of(&only(denoiser), &text(num_tokens), 0);
                let labels = || examples.iter().flat_map(|example| &example.labels);
                let num_spans = labels().filter(|&&id| SPECIALS.is_sentinel(id)).count() as f64;
                let num_noise = labels().filter(|&&id| (0..400).contains(&id)).count() as f64;
                // Each piece rounds both.
                let num_pieces = examples.len() as f64;
                assert!((num_noise - f64::from(num_tokens) * noise_density).abs() <= 0.5 * num_pieces);
                assert!((num_spans - num_noise / mean_span_length).abs() <= 0.5 * num_pieces, "{num_spans}");
            }
        }
    }

    #[test]
    fn pieces_have_denoisers_of_their_own_and_are_as_long_as_can_be() {
        let settings = Ul2 { max_tokens: NonZeroU32::new(200), ..Ul2::default() };
        let objective = settings.build(&SPECIALS);
        let long = text(100_000);
        let examples = objective.apply(&long, &mut stream(0));
        let names: std::collections::BTreeSet<_> = examples.iter().map(|example| example.objective).collect();
        assert_eq!(names.len(), 3);
        let (last, others) = examples.split_last().unwrap();
        assert!(last.input_ids.len() <= 200);
        // One token more would add itself or also two sentinels.
        assert!(others.iter().all(|example| (198..=200).contains(&example.input_ids.len())));
        assert!((0..).zip(&examples).all(|(branch, example)| example.branch == branch));
        let restored: Vec<_> = examples.iter().flat_map(|example| objective.invert(example).unwrap()).collect();
        assert_eq!(restored, long.tokens);
    }

    #[test]
    fn pieces_are_of_each_denoiser_equally_often() {
        let settings = Ul2 { max_tokens: NonZeroU32::new(200), ..Ul2::default() };
        let objective = settings.build(&SPECIALS);
        let mut names = Vec::new();
        for number in 0..100_000 {
            let examples = objective.apply(&text(600), &mut stream(number));
            // Not the last one, which is short, and there more often behind long ones.
            names.extend(examples[..2].iter().map(|example| example.objective));
        }
        for (name, share) in [("ul2/regular", 2.0), ("ul2/extreme", 4.0), ("ul2/sequential", 1.0)] {
            check_share(names.iter().filter(|&&of_one| of_one == name).count(), 200_000, share / 7.0);
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
