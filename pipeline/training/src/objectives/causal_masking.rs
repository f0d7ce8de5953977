//! Moves a few long spans to the end of the document, behind their sentinels (CM3, arXiv 2201.07520 section 2).

mod relocate;
mod spans;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use relocate::relocate;

use super::example::without_end;
use super::{Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `causal_masking`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CausalMasking {
    /// Which of the published forms of this objective is made.
    pub variant: Variant,
    /// A document is given Poisson(`lambda`) spans, between `min_spans` and `max_spans`.
    pub lambda: f64,
    /// No document is given fewer spans than this, but one without tokens has none.
    pub min_spans: u32,
    /// No document has more spans than this. Where drawn spans overlap, a document ends up with fewer than it was given.
    pub max_spans: u32,
    /// Whether the model is trained to predict sentinels, in the text and before each span.
    pub loss_on_sentinels: bool,
    /// What happens to an image in which a span begins or ends.
    pub image_spans: ImageSpans,
}

/// The published forms of causal masking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// The CM3 paper: masked per document, before packing, each span followed by an end-of-span token.
    ///
    /// The paper leaves open how spans are placed without overlap. Here that is the published code's way: for `n > 1`
    /// spans, `n * n` candidates are drawn and accepted from the last on unless they overlap one already accepted.
    /// Unlike that code, no span is ever empty: an empty candidate is drawn again, up to 16 times, then dropped.
    Paper,
}

/// What happens to an image in which a span begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSpans {
    /// The image is cut there, as in the paper, so that the model also learns to fill in a part of an image.
    Cut,
    /// The span's end moves outwards to the image's, before spans are checked for overlap: no image is ever cut, and
    /// of two spans that reach into one image only one is kept.
    Whole,
}

impl Default for CausalMasking {
    fn default() -> Self {
        Self {
            variant: Variant::Paper,
            lambda: 1.0,
            min_spans: 1,
            max_spans: 16,
            loss_on_sentinels: false,
            image_spans: ImageSpans::Cut,
        }
    }
}

impl ObjectiveSettings for CausalMasking {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, num_sentinels: u32) -> Vec<String> {
        let mut problems = Vec::new();
        if !(0.0..=1000.0).contains(&self.lambda) {
            problems.push(format!("lambda is {}, but a mean number of spans lies between 0 and 1000", self.lambda));
        }
        if self.max_spans == 0 {
            problems.push("max_spans is 0, so nothing would be masked: use `left_to_right` for that".to_owned());
        }
        if self.min_spans > self.max_spans {
            problems.push(format!("min_spans is {}, more than max_spans, {}", self.min_spans, self.max_spans));
        }
        if self.max_spans > num_sentinels {
            problems.push(format!(
                "max_spans is {}, but each span needs its own sentinel and the vocabulary has {num_sentinels}: \
                 lower max_spans or raise the vocabulary's num_sentinels",
                self.max_spans
            ));
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        // A span without a sentinel of its own would take some other token's id.
        let max_spans = self.max_spans.min(specials.num_sentinels);
        Arc::new(SpansToTheEnd { settings: Self { max_spans, ..self.clone() }, specials: *specials })
    }
}

#[derive(Debug)]
struct SpansToTheEnd {
    settings: CausalMasking,
    specials: Specials,
}

impl Objective for SpansToTheEnd {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Example {
        let spans = spans::choose(document, &self.settings, random);
        let mut input_ids = relocate(&document.tokens, &spans, &self.specials);
        input_ids.push(self.specials.end_of_document);
        Example { labels: self.labels(&input_ids), images: relocate::images(document, &spans), input_ids }
    }

    fn invert(&self, example: &[TokenId]) -> Result<Vec<TokenId>, NotInvertible> {
        relocate::restore(without_end(example, self.specials.end_of_document)?, &self.specials)
    }
}

impl SpansToTheEnd {
    fn labels(&self, input_ids: &[TokenId]) -> Vec<TokenId> {
        if self.settings.loss_on_sentinels {
            return input_ids.to_vec();
        }
        input_ids.iter().map(|&id| if self.specials.is_sentinel(id) { NO_LOSS } else { id }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIALS: Specials =
        Specials { pad: 90, end_of_document: 91, end_of_span: 92, first_sentinel: 93, num_sentinels: 16 };

    fn apply(settings: CausalMasking, tokens: Vec<TokenId>) -> Example {
        let document = TokenDocument { tokens, images: Vec::new() };
        settings.build(&SPECIALS).apply(&document, &mut KeyedRandom::new(0, "test", b"", 0))
    }

    #[test]
    fn an_empty_document_is_its_end() {
        assert_eq!(apply(CausalMasking::default(), vec![]).input_ids, [91]);
    }

    #[test]
    fn the_only_token_moves_behind_its_sentinel() {
        assert_eq!(apply(CausalMasking::default(), vec![10]).input_ids, [93, 93, 10, 92, 91]);
    }

    #[test]
    fn a_sentinel_is_not_learnt_in_either_place() {
        let labels = apply(CausalMasking::default(), vec![10]).labels;
        assert_eq!(labels, [NO_LOSS, NO_LOSS, 10, 92, 91]);
    }

    #[test]
    fn a_sentinel_is_learnt_on_demand() {
        let settings = CausalMasking { loss_on_sentinels: true, ..CausalMasking::default() };
        assert_eq!(apply(settings, vec![10]).labels, [93, 93, 10, 92, 91]);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let settings = CausalMasking { lambda: f64::NAN, min_spans: 40, max_spans: 20, ..CausalMasking::default() };
        let problems = settings.check(16);
        let begins = ["lambda is NaN", "min_spans is 40", "max_spans is 20, but each span needs its own sentinel"];
        assert_eq!(problems.len(), begins.len());
        assert!(problems.iter().zip(begins).all(|(problem, begin)| problem.starts_with(begin)), "{problems:?}");
    }

    #[test]
    fn spans_never_outnumber_the_sentinels() {
        let few = Specials { num_sentinels: 1, ..SPECIALS };
        let settings = CausalMasking { lambda: 9.0, ..CausalMasking::default() };
        let document = TokenDocument { tokens: vec![10; 50], images: Vec::new() };
        let example = settings.build(&few).apply(&document, &mut KeyedRandom::new(0, "test", b"", 0));
        assert_eq!(example.input_ids.iter().filter(|&&id| id > 93).count(), 0);
    }

    #[test]
    fn every_setting_has_a_default() {
        assert_eq!(toml::from_str::<CausalMasking>("").unwrap(), CausalMasking::default());
    }
}
