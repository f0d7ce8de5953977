//! Replaces short spans by sentinels and has them predicted (T5, arXiv 1910.10683 section 3.1.4).

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pieces::Pieces;
use super::{Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `span_corruption`.
///
/// An example is `input <eod> target <eod>`. Its `prefix_len` is the input's length with its end: a decoder sees that
/// much in both directions, and who trains an encoder and a decoder splits there.
///
/// A document that is too long for one example is corrupted in pieces, each as long as can be, so that share and length
/// of spans are what they are in short ones (T5 splits to the `tokens_length` of `random_spans_helper`). Documents aren't
/// joined before that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpanCorruption {
    /// The share of a document's tokens that is predicted.
    pub noise_density: f64,
    /// How many tokens a predicted span has in the mean.
    pub mean_span_length: f64,
    /// No example has more tokens than this, with input, target and the end of each. T5's 512 tokens of input with 114 of
    /// target are 626; its 1024 with 229, 1253. If left out, a piece has as many spans as the vocabulary has sentinels.
    pub max_tokens: Option<NonZeroU32>,
}

// `text <sentinel> <eod> <sentinel> text <eod>`.
const SHORTEST: u32 = 6;

impl Default for SpanCorruption {
    fn default() -> Self {
        Self { noise_density: 0.15, mean_span_length: 3.0, max_tokens: None }
    }
}

impl ObjectiveSettings for SpanCorruption {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, num_sentinels: u32) -> Vec<String> {
        let mut problems = no_room(self.max_tokens, SHORTEST, num_sentinels);
        if !(self.noise_density > 0.0 && self.noise_density < 1.0) {
            problems.push(format!("noise_density is {}, but a share lies between 0 and 1", self.noise_density));
        }
        if !(1.0..=1e6).contains(&self.mean_span_length) {
            problems.push(format!("mean_span_length is {}, but no span is shorter than 1", self.mean_span_length));
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(SpansPredicted { settings: self.clone(), specials: *specials })
    }
}

#[derive(Debug)]
struct SpansPredicted {
    settings: SpanCorruption,
    specials: Specials,
}

impl Objective for SpansPredicted {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let num_sentinels = self.specials.num_sentinels;
        let limits = Limits { max_tokens: self.settings.max_tokens.map_or(u32::MAX, NonZeroU32::get), num_sentinels };
        let longest = self.settings.longest_piece(document.tokens.len() as u32, limits, 2);
        document.in_pieces(longest, |piece| {
            let spans = self.settings.spans(piece.tokens.len() as u32, num_sentinels, random);
            input_and_target(piece, &spans, None, &self.specials)
        })
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        restore(&example.input_ids, &self.specials)
    }
}

impl SpanCorruption {
    /// The spans of a document of `num_tokens`: apart, in order, none at its very start, the last at its very end.
    ///
    /// As `random_spans_noise_mask` without `random_roll`. Documents of fewer than 2 tokens have none.
    pub(super) fn spans(&self, num_tokens: u32, num_sentinels: u32, random: &mut KeyedRandom) -> Vec<Range<u32>> {
        let (num_noise, num_spans) = self.numbers(num_tokens);
        let num_spans = num_spans.min(num_sentinels);
        if num_spans == 0 {
            return Vec::new();
        }
        let noise = composition(num_noise, num_spans, random);
        let between = composition(num_tokens - num_noise, num_spans, random);
        let mut end = 0;
        let span = |(between, length)| {
            let start = end + between;
            end = start + length;
            start..end
        };
        between.into_iter().zip(noise).map(span).collect()
    }

    /// How many of so many tokens are in one example, which has this many beside the document's and its sentinels.
    pub(super) fn longest_piece(&self, num_tokens: u32, limits: Limits, num_added: u32) -> u32 {
        let fits = |length: u32| {
            let (_, num_spans) = self.numbers(length);
            let in_all = u64::from(length) + 2 * u64::from(num_spans) + u64::from(num_added);
            num_spans <= limits.num_sentinels.max(1) && in_all <= u64::from(limits.max_tokens)
        };
        if fits(num_tokens) {
            return num_tokens;
        }
        // Both tokens and spans only grow with the length, and one token is as little as there can be.
        let (mut fitting, mut too_long) = (1, num_tokens);
        while fitting + 1 < too_long {
            let middle = fitting.midpoint(too_long);
            match fits(middle) {
                true => fitting = middle,
                false => too_long = middle,
            }
        }
        fitting
    }

    // How many of so many tokens are predicted, and in how many spans.
    fn numbers(&self, num_tokens: u32) -> (u32, u32) {
        if num_tokens < 2 {
            return (0, 0);
        }
        let num_noise = (libm::rint(f64::from(num_tokens) * self.noise_density) as u32).clamp(1, num_tokens - 1);
        let num_spans = libm::rint(f64::from(num_noise) / self.mean_span_length) as u32;
        (num_noise, num_spans.max(1).min(num_noise).min(num_tokens - num_noise))
    }
}

/// What an example can't have more of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_tokens: u32,
    pub(super) num_sentinels: u32,
}

/// What is wrong with examples of at most so many tokens where even the shortest that predicts something has `shortest`.
pub(super) fn no_room(max_tokens: Option<NonZeroU32>, shortest: u32, num_sentinels: u32) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(max_tokens) = max_tokens.filter(|max_tokens| max_tokens.get() < shortest) {
        problems.push(format!("max_tokens is {max_tokens}, but two tokens, one of them predicted, need {shortest}"));
    }
    if num_sentinels == 0 {
        problems.push("the vocabulary's num_sentinels is 0, but each span needs a sentinel: raise it".to_owned());
    }
    problems
}

// `total` as a sum of so many positive numbers, each such sum equally likely.
fn composition(total: u32, num_parts: u32, random: &mut KeyedRandom) -> Vec<u32> {
    let cuts = random.choose(num_parts - 1, total - 1).into_iter().map(|cut| cut + 1);
    let ends: Vec<u32> = std::iter::once(0).chain(cuts).chain([total]).collect();
    ends.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// `[mode] text with sentinels <eod> sentinel span sentinel span … <eod>`.
pub(super) fn input_and_target(
    document: &TokenDocument,
    spans: &[Range<u32>],
    mode: Option<TokenId>,
    specials: &Specials,
) -> Example {
    let (mut input, mut target) = (Pieces::default(), Pieces::default());
    if let Some(mode) = mode {
        input.special(mode);
    }
    let mut after_last = 0;
    for (sentinel, span) in (0..).map(|index| specials.sentinel(index)).zip(spans) {
        input.tokens(after_last..span.start);
        input.special(sentinel);
        target.special(sentinel);
        target.tokens(span.clone());
        after_last = span.end;
    }
    input.tokens(after_last..document.tokens.len() as u32);
    input.special(specials.end_of_document);
    target.special(specials.end_of_document);
    let prefix_len = input.len();
    input.append(target);
    let mut example = input.place(document);
    example.labels[..prefix_len as usize].fill(NO_LOSS);
    Example { prefix_len, objective: "span_corruption", ..example }
}

/// The document of which [`input_and_target`] has made this, without a mode token.
pub(super) fn restore(example: &[TokenId], specials: &Specials) -> Result<Vec<TokenId>, NotInvertible> {
    let end_of_document = specials.end_of_document;
    let no_end = NotInvertible::NoEnd { end_of_document };
    let input_end = example.iter().position(|&id| id == end_of_document).ok_or(no_end.clone())?;
    let target_end = example.len() - 1;
    if input_end == target_end || example[target_end] != end_of_document {
        return Err(no_end);
    }
    let mut tokens = Vec::with_capacity(example.len());
    let mut target = input_end + 1;
    let mut num_spans = 0;
    for (position, &id) in example[..input_end].iter().enumerate() {
        if !specials.reserve(id) {
            tokens.push(id);
            continue;
        }
        if specials.sentinel_index(id) != Some(num_spans) || example[target] != id {
            return Err(NotInvertible::Misplaced { position, token: id });
        }
        let span = example[target + 1..target_end].iter().take_while(|&&id| !specials.reserve(id));
        let before = tokens.len();
        tokens.extend(span);
        target += 1 + tokens.len() - before;
        num_spans += 1;
    }
    match target == target_end {
        true => Ok(tokens),
        false => Err(NotInvertible::Misplaced { position: target, token: example[target] }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{END, S0, SPECIALS, check_share, example_of, stream, text};
    use super::*;

    #[test]
    fn spans_are_predicted_behind_their_sentinels() {
        let example = input_and_target(&text(8), &[2..4, 7..8], None, &SPECIALS);
        let (s0, s1) = (S0, S0 + 1);
        assert_eq!(example.input_ids, [10, 11, s0, 14, 15, 16, s1, END, s0, 12, 13, s1, 17, END]);
        assert_eq!(example.labels[..8], [NO_LOSS; 8]);
        assert_eq!(example.labels[8..], [s0, 12, 13, s1, 17, END]);
        assert_eq!(example.prefix_len, 8);
    }

    #[test]
    fn inputs_and_targets_have_the_published_lengths() {
        let many = Specials { num_sentinels: 200, ..SPECIALS };
        for (num_raw, num_input, num_target) in [(568, 512, 114), (1137, 1024, 229), (2274, 2048, 456)] {
            let document = text(num_raw);
            let example = SpanCorruption::default().build(&many).apply(&document, &mut stream(1)).swap_remove(0);
            assert_eq!(example.prefix_len, num_input);
            assert_eq!(example.input_ids.len() as u32 - num_input, num_target);
        }
    }

    fn in_pieces_of(max_tokens: u32) -> SpanCorruption {
        SpanCorruption { max_tokens: NonZeroU32::new(max_tokens), ..SpanCorruption::default() }
    }

    #[test]
    fn a_piece_has_the_published_number_of_raw_tokens_and_no_more_fit() {
        let many = Specials { num_sentinels: 200, ..SPECIALS };
        for (num_raw, num_input, num_target) in [(568, 512, 114), (1137, 1024, 229), (2274, 2048, 456)] {
            let objective = in_pieces_of(num_input + num_target).build(&many);
            let examples = objective.apply(&text(2 * num_raw + 40), &mut stream(1));
            let lengths: Vec<_> =
                examples.iter().map(|example| (example.prefix_len, example.input_ids.len())).collect();
            let of_whole = (num_input, (num_input + num_target) as usize);
            // Of 40 tokens 6 are in 2 spans.
            assert_eq!(lengths, [of_whole, of_whole, (37, 46)]);
            let sources: Vec<_> = examples.iter().flat_map(|example| example.source.clone()).collect();
            assert_eq!(sources, [0..num_raw, num_raw..2 * num_raw, 2 * num_raw..2 * num_raw + 40]);
            assert_eq!(examples.iter().map(|example| example.branch).collect::<Vec<_>>(), [0, 1, 2]);
        }
    }

    #[test]
    fn no_length_of_examples_leaves_out_a_token_or_is_exceeded() {
        for max_tokens in SHORTEST..100 {
            let objective = in_pieces_of(max_tokens).build(&SPECIALS);
            for num_tokens in 0..130 {
                let examples = objective.apply(&text(num_tokens), &mut stream(num_tokens));
                assert!(examples.iter().all(|example| example.input_ids.len() <= max_tokens as usize));
                let restored: Vec<_> = examples.iter().flat_map(|example| objective.invert(example).unwrap()).collect();
                assert_eq!(restored, text(num_tokens).tokens);
            }
        }
    }

    // Without pieces, 51 noise tokens would share 8 sentinels, half as many as are published.
    #[test]
    fn long_documents_have_the_published_share_and_lengths_of_spans() {
        let few = Specials { num_sentinels: 8, ..SPECIALS };
        let (objective, long) = (SpanCorruption::default().build(&few), text(2 * 169));
        let (mut num_spans, mut num_noise, mut num_of_length) = (0, 0, [0; 19]);
        for number in 0..100_000 {
            let examples = objective.apply(&long, &mut stream(number));
            for example in &examples {
                let target = &example.input_ids[example.prefix_len as usize..];
                let spans = target.split(|&id| few.is_sentinel(id) || id == END).filter(|span| !span.is_empty());
                for span in spans {
                    num_spans += 1;
                    num_noise += span.len();
                    num_of_length[span.len()] += 1;
                }
            }
            assert_eq!(examples.len(), 2);
        }
        // 169 tokens are the most of which 15 % are 25, and 26 would be 9 spans.
        assert_eq!((num_spans, num_noise), (200_000 * 8, 200_000 * 25));
        // Of 25 tokens in 8 spans, each way as likely, the first has k, or any other, in C(24 - k, 6) of C(24, 7) ways.
        let mut ways = 7.0 / 24.0;
        for (length, &count) in num_of_length.iter().enumerate().take(10).skip(1) {
            check_share(count, num_spans, ways);
            ways *= (18 - length) as f64 / (24 - length) as f64;
        }
    }

    #[test]
    fn examples_too_short_to_predict_anything_are_refused() {
        assert_eq!([5, 6].map(|max_tokens| in_pieces_of(max_tokens).check(16).len()), [1, 0]);
        assert_eq!(SpanCorruption::default().check(0).len(), 1);
    }

    #[test]
    fn half_a_token_of_noise_is_rounded_to_even() {
        let of_half = SpanCorruption { noise_density: 0.5, mean_span_length: 1.0, ..SpanCorruption::default() };
        assert_eq!([5, 7].map(|num_tokens| of_half.numbers(num_tokens)), [(2, 2), (4, 3)]);
    }

    #[test]
    fn text_begins_unmasked_and_ends_masked() {
        for number in 0..1000 {
            let spans = SpanCorruption::default().spans(30, 64, &mut stream(number));
            assert!(spans[0].start > 0 && spans.last().unwrap().end == 30, "{spans:?}");
        }
    }

    #[test]
    fn every_composition_is_equally_likely() {
        // 6 noise tokens in 2 spans: the first has 1 to 5.
        let settings = SpanCorruption { noise_density: 0.5, ..SpanCorruption::default() };
        let mut counts = [0; 7];
        for number in 0..100_000 {
            let spans = settings.spans(12, 64, &mut stream(number));
            counts[spans[0].len()] += 1;
        }
        counts[1..6].iter().for_each(|&count| check_share(count, 100_000, 0.2));
    }

    #[test]
    fn a_document_of_one_token_is_its_input() {
        assert_eq!(example_of(&SpanCorruption::default(), &text(1), 0).input_ids, [10, END, END]);
    }

    #[test]
    fn a_span_without_its_sentinel_is_misplaced() {
        let refused = restore(&[10, END, 11, END], &SPECIALS);
        assert_eq!(refused, Err(NotInvertible::Misplaced { position: 2, token: 11 }));
    }
}
