//! Hides a share of the tokens that is itself drawn, as one step of a diffusion (LLaDA, arXiv 2502.09992).

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::example::{plain, without_end};
use super::hidden::all_seen;
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenColumns, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `masked_diffusion`. The end of a document is hidden like any token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaskedDiffusion {
    /// How the share of hidden tokens is drawn, and how many examples there are of a document.
    pub rate: DiffusionRate,
    /// An example has at most so many tokens, its document's end included; a longer document goes in pieces, each with a
    /// share of its own (LLaDA: 4096).
    pub max_tokens: Option<NonZeroU32>,
    /// This share of examples ends after a number of tokens from 1 to `max_tokens`, each as likely, if it has more; what
    /// follows is left out (LLaDA `GUIDELINES.md`). Without `max_tokens` a document's own length is the most. If left out,
    /// 0.01 with the rate `llada`, and 0 with `coupled`.
    pub random_length_share: Option<f64>,
}

/// How the share of hidden tokens is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
const NUM_COUPLED: u32 = 3;

impl Default for MaskedDiffusion {
    fn default() -> Self {
        Self { rate: DiffusionRate::Llada, max_tokens: None, random_length_share: None }
    }
}

impl ObjectiveSettings for MaskedDiffusion {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let mut problems = Vec::new();
        if self.max_tokens == Some(NonZeroU32::MIN) {
            problems.push("max_tokens is 1, but a token and its document's end are 2".to_owned());
        }
        if let Some(share) = self.random_length_share.filter(|share| !(0.0..=1.0).contains(share)) {
            problems.push(format!("random_length_share is {share}, but a share lies between 0 and 1"));
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(DrawnShare { settings: self.clone(), specials: *specials })
    }

    fn pass(&self, _: u32, branch: u32) -> u32 {
        match self.rate {
            DiffusionRate::Llada => 0,
            DiffusionRate::Coupled => branch % NUM_COUPLED,
        }
    }

    fn token_columns(&self) -> TokenColumns {
        TokenColumns { loss_weights: true, ..TokenColumns::default() }
    }
}

#[derive(Debug)]
struct DrawnShare {
    settings: MaskedDiffusion,
    specials: Specials,
}

impl Objective for DrawnShare {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let sequences = self.sequences(document.tokens.len() as u32 + 1);
        let examples = sequences.into_iter().flat_map(|sequence| self.examples(document, sequence, random));
        (0..).zip(examples).map(|(branch, example)| Example { branch, ..example }).collect()
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let revealed = example.revealed(&self.specials)?;
        match without_end(&revealed, self.specials.end_of_document) {
            Ok(tokens) => plain(tokens, &self.specials),
            // It is an earlier piece's, or of random length.
            Err(_) if self.settings.max_tokens.is_some() || self.random_length_share() > 0.0 => {
                plain(&revealed, &self.specials)
            }
            Err(no_end) => Err(no_end),
        }
    }
}

impl DrawnShare {
    // The sequences of so many tokens: all as long as can be, but for the last, which never is the document's end alone.
    fn sequences(&self, num_tokens: u32) -> Vec<Range<u32>> {
        let longest = self.settings.max_tokens.map_or(u32::MAX, |max_tokens| max_tokens.get().max(2));
        let (mut sequences, mut start) = (Vec::new(), 0);
        while start < num_tokens {
            let rest = num_tokens - start;
            let length = if rest - 1 == longest { longest - 1 } else { rest.min(longest) };
            sequences.push(start..start + length);
            start += length;
        }
        sequences
    }

    // The examples of this sequence, in which the document's end counts as its last token.
    fn examples(&self, document: &TokenDocument, sequence: Range<u32>, random: &mut KeyedRandom) -> Vec<Example> {
        let t = random.uniform();
        let draws: Vec<f64> = sequence.clone().map(|_| random.uniform()).collect();
        let end = sequence.start + self.length(sequence.end - sequence.start, random);
        let num_tokens = document.tokens.len() as u32;
        let document = document.piece(sequence.start..end.min(num_tokens));
        let example = |weight, is_hidden: &dyn Fn(usize) -> bool| {
            self.example(&document, end > num_tokens, weight, is_hidden).moved(sequence.start)
        };
        match self.settings.rate {
            DiffusionRate::Llada => {
                let share = (1.0 - SMALLEST_RATE) * t + SMALLEST_RATE;
                vec![example(1.0 / share, &|position| draws[position] < share)]
            }
            DiffusionRate::Coupled => {
                let share = COUPLED_RATES.0 + (COUPLED_RATES.1 - COUPLED_RATES.0) * t;
                let below = |position: usize| draws[position] < share;
                let all = example(1.0, &|_| true);
                vec![all, example(1.0 / share, &below), example(1.0 / (1.0 - share), &|position| !below(position))]
            }
        }
    }

    // How many of so many tokens a sequence keeps.
    fn length(&self, num_tokens: u32, random: &mut KeyedRandom) -> u32 {
        let share = self.random_length_share();
        if share <= 0.0 || !random.happens(share) {
            return num_tokens;
        }
        let most = self.settings.max_tokens.map_or(num_tokens, NonZeroU32::get);
        random.within(1, most.saturating_add(1)).min(num_tokens)
    }

    fn random_length_share(&self) -> f64 {
        let published = match self.settings.rate {
            DiffusionRate::Llada => 0.01,
            DiffusionRate::Coupled => 0.0,
        };
        self.settings.random_length_share.unwrap_or(published)
    }

    fn example(
        &self,
        document: &TokenDocument,
        has_end: bool,
        weight: f64,
        is_hidden: impl Fn(usize) -> bool,
    ) -> Example {
        let end = has_end.then_some(self.specials.end_of_document);
        let mut example = all_seen(document, document.tokens.iter().copied().chain(end).collect());
        example.objective = match self.settings.rate {
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
    use super::super::testing::{MASK, SPECIALS, check_share, example_of, examples_of, stream, text};
    use super::*;

    fn with_lengths(max_tokens: Option<u32>, share: f64) -> MaskedDiffusion {
        let max_tokens = max_tokens.and_then(NonZeroU32::new);
        MaskedDiffusion { max_tokens, random_length_share: Some(share), ..MaskedDiffusion::default() }
    }

    fn coupled() -> MaskedDiffusion {
        MaskedDiffusion { rate: DiffusionRate::Coupled, ..MaskedDiffusion::default() }
    }

    #[test]
    fn one_of_a_hundred_examples_has_any_length_up_to_the_longest() {
        let settings = MaskedDiffusion { max_tokens: NonZeroU32::new(100), ..MaskedDiffusion::default() };
        let (mut num_cut, mut num_short) = (0, 0);
        for number in 0..1_000_000 {
            let objective = DrawnShare { settings: settings.clone(), specials: SPECIALS };
            let length = objective.length(100, &mut stream(number));
            assert!((1..=100).contains(&length));
            num_cut += usize::from(length < 100);
            num_short += usize::from(length <= 25);
        }
        check_share(num_cut, 1_000_000, 0.01 * 0.99);
        check_share(num_short, num_cut, 25.0 / 99.0);
    }

    #[test]
    fn each_random_length_is_as_likely_and_shorter_documents_stay_whole() {
        let mut num_of_length = [0; 6];
        for number in 0..100_000 {
            num_of_length[example_of(&with_lengths(Some(10), 1.0), &text(4), number).input_ids.len()] += 1;
        }
        assert_eq!(num_of_length[0], 0);
        num_of_length[1..5].iter().for_each(|&count| check_share(count, 100_000, 0.1));
        check_share(num_of_length[5], 100_000, 0.6);
        let mut num_whole = 0;
        for number in 0..100_000 {
            num_whole += usize::from(example_of(&with_lengths(None, 1.0), &text(4), number).input_ids.len() == 5);
        }
        check_share(num_whole, 100_000, 0.2);
    }

    #[test]
    fn an_example_of_random_length_is_the_beginning_of_the_whole_one_and_says_so() {
        let objective = with_lengths(None, 1.0).build(&SPECIALS);
        for number in 0..1000 {
            let whole = example_of(&with_lengths(None, 0.0), &text(50), number);
            let cut = objective.apply(&text(50), &mut stream(number)).swap_remove(0);
            let length = cut.input_ids.len();
            assert_eq!((&cut.input_ids[..], &cut.labels[..]), (&whole.input_ids[..length], &whole.labels[..length]));
            assert_eq!((cut.source.clone(), cut.prefix_len as usize), (vec![0..length.min(50) as u32], length));
            assert_eq!(objective.invert(&cut), Ok(text(50).tokens_of(&cut.source)));
        }
    }

    #[test]
    fn a_long_document_goes_in_pieces_and_its_end_is_in_the_last() {
        let lengths = |num_tokens, rate| {
            let settings = MaskedDiffusion { rate, ..with_lengths(Some(10), 0.0) };
            let examples = examples_of(&settings, &text(num_tokens), 0);
            assert!((0..).zip(&examples).all(|(branch, example)| example.branch == branch));
            let objective = settings.build(&SPECIALS);
            let restored = examples.iter().flat_map(|example| objective.invert(example).unwrap()).collect::<Vec<_>>();
            assert!(rate == DiffusionRate::Coupled || restored == text(num_tokens).tokens);
            examples.into_iter().map(|example| example.input_ids.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(9, DiffusionRate::Llada), [10]);
        // The end is never alone.
        assert_eq!(lengths(10, DiffusionRate::Llada), [9, 2]);
        assert_eq!(lengths(25, DiffusionRate::Llada), [10, 10, 6]);
        assert_eq!(lengths(12, DiffusionRate::Coupled), [10, 10, 10, 3, 3, 3]);
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        assert_eq!(with_lengths(Some(1), 2.0).check(16).len(), 2);
        assert_eq!(with_lengths(Some(2), 1.0).check(16).len(), 0);
    }

    #[test]
    fn the_share_is_uniform_and_weights_make_every_token_count_once() {
        let (mut num_masked, mut weights, mut deciles) = (0, 0.0, [0_u32; 10]);
        for number in 0..100_000 {
            let example = example_of(&with_lengths(None, 0.0), &text(99), number);
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
        let settings = coupled();
        for number in 0..1000 {
            let [all, first, second] = examples_of(&settings, &text(50), number).try_into().unwrap();
            assert!(all.labels.iter().all(|&label| label != NO_LOSS));
            let mut pairs = first.labels.iter().zip(&second.labels);
            assert!(pairs.all(|(one, other)| (*one == NO_LOSS) != (*other == NO_LOSS)));
        }
    }

    #[test]
    fn coupled_shares_lie_between_a_fifth_and_four_fifths() {
        let settings = coupled();
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
