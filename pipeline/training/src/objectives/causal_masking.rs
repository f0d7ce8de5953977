//! Moves a few long spans to the end of the document, behind their sentinels (CM3, arXiv 2201.07520 section 2).

mod layout;
mod restore;
mod segments;
mod spans;
mod variants;

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use layout::{Layout, Sentinels};
use restore::Form;
use variants::{Rules, Unit};

pub use variants::Variant;

use super::example::without_end;
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenColumns, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `causal_masking`. What is left out is as in the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CausalMasking {
    /// Which of the published forms of this objective is made.
    pub variant: Variant,
    /// Whether the number of spans is drawn or always the same.
    pub num_spans: NumSpans,
    /// A document is given Poisson(`lambda`) spans, between `min_spans` and `max_spans`.
    pub lambda: f64,
    /// No document is given fewer spans than this, but one without tokens has none.
    pub min_spans: Option<u32>,
    /// No document has more spans than this. Where drawn spans overlap, a document ends up with fewer than it was given.
    pub max_spans: Option<u32>,
    /// So many sentinels of the vocabulary are used at most, never fewer than `max_spans`. If left out, the variant's
    /// number or `max_spans`, whichever is more.
    pub num_sentinels: Option<u32>,
    /// Whether the model is trained to predict sentinels, in the text and before each span.
    pub loss_on_sentinels: Option<bool>,
    /// What happens to an image in which a span begins or ends.
    pub image_spans: ImageSpans,
    /// What happens to a span that reaches from one document of a block into the next.
    pub spans_across: Option<SpansAcross>,
    /// With this chance, the spans of a block are whole documents instead (CM3Leon).
    pub full_document_rotation: f64,
    /// An example has at most so many tokens, its end included. Unlimited if left out, but a block never grows.
    pub max_tokens: Option<NonZeroU32>,
    /// What is left out of an example that would be longer than `max_tokens`.
    pub over_length: Option<OverLength>,
    /// Tells the model how long each masked span is, about (HTLM, arXiv 2107.06955 section 2.3).
    pub size_hints: Option<SizeHints>,
    /// The loss on what retrieval has put in front of a document has this weight: RA-CM3's is 0.1 (arXiv 2211.12561). What
    /// isn't retrieved has 1.
    pub retrieved_loss_weight: f64,
    /// Does as the published code does where that loses tokens: empty spans overwrite a token, and a text that is
    /// shortened loses sentinels, too. Such examples can't be inverted.
    pub reference_compat: bool,
}

/// How many spans a document is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumSpans {
    /// A Poisson number of mean `lambda`.
    Poisson,
    /// `lambda`, rounded down.
    Fixed,
}

/// What happens to an image in which a span begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageSpans {
    /// The image is cut there, as in the paper, so that the model also learns to fill in a part of an image.
    Cut,
    /// The span's end moves outwards to the image's, before spans are checked for overlap: no image is ever cut, and
    /// of two spans that reach into one image only one is kept.
    Whole,
}

/// What happens to a span that reaches across a boundary: an end of document, or in `cm3leon` a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpansAcross {
    /// It stays as it is.
    Allow,
    /// It is clipped to the one segment that it overlaps most.
    Clip,
}

/// What is left out of an example that would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverLength {
    /// The end, which is that of the last span.
    DropEnd,
    /// The end of the text, so that spans stay whole as long as there is text.
    ShortenText,
}

/// How the model is told the length of spans, as so many mask tokens behind the sentinel in the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SizeHints {
    /// This share of spans has a hint.
    pub share: f64,
    /// The hint for a span of `m` tokens is `max(1, floor(Normal(m, epsilon * m)))`.
    pub epsilon: f64,
}

impl Default for SizeHints {
    fn default() -> Self {
        Self { share: 0.8, epsilon: 0.1 }
    }
}

impl Default for CausalMasking {
    fn default() -> Self {
        Self {
            variant: Variant::Paper,
            num_spans: NumSpans::Poisson,
            lambda: 1.0,
            min_spans: None,
            max_spans: None,
            num_sentinels: None,
            loss_on_sentinels: None,
            image_spans: ImageSpans::Cut,
            spans_across: None,
            full_document_rotation: 0.0,
            max_tokens: None,
            over_length: None,
            size_hints: None,
            retrieved_loss_weight: 1.0,
            reference_compat: false,
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
        if self.max_spans == Some(0) {
            problems.push("max_spans is 0, so nothing would be masked: use `left_to_right` for that".to_owned());
        }
        if self.num_sentinels == Some(0) {
            problems.push("num_sentinels is 0, but each span needs its own: leave it out or raise it".to_owned());
        }
        if let Some(max_spans) = self.max_spans.filter(|&max_spans| max_spans > self.num_sentinels()) {
            let sentinels = self.num_sentinels();
            problems
                .push(format!("max_spans is {max_spans}, more than num_sentinels, {sentinels}: raise num_sentinels"));
        }
        let max_spans = self.max_spans.unwrap_or(self.variant.max_spans(self.num_sentinels()));
        if let Some(min_spans) = self.min_spans.filter(|&min_spans| min_spans > max_spans) {
            problems.push(format!("min_spans is {min_spans}, more than max_spans, {max_spans}"));
        }
        // The variants' own numbers are so large that a vocabulary with fewer sentinels loses next to nothing.
        let numbers = [
            ("min_spans", self.min_spans.filter(|_| self.max_spans.is_none())),
            ("max_spans", self.max_spans),
            ("num_sentinels", self.num_sentinels),
        ];
        for (name, asked) in numbers {
            if let Some(asked) = asked.filter(|&asked| asked > num_sentinels) {
                problems.push(format!(
                    "{name} is {asked}, but each span needs its own sentinel and the vocabulary has {num_sentinels}: \
                     lower {name} or raise the vocabulary's num_sentinels"
                ));
            }
        }
        let shares = [
            Some(self.full_document_rotation),
            self.size_hints.as_ref().map(|hints| hints.share),
            self.size_hints.as_ref().map(|hints| hints.epsilon),
        ];
        for share in shares.into_iter().flatten().filter(|share| !(0.0..=1.0).contains(share)) {
            problems.push(format!("{share} is no share: it must lie between 0 and 1"));
        }
        let weight = self.retrieved_loss_weight;
        if !(weight > 0.0 && weight <= 1.0) {
            problems
                .push(format!("retrieved_loss_weight is {weight}, but it lies between 0, which is no weight, and 1"));
        }
        if self.full_document_rotation > 0.0 && !self.clips() {
            let problem = "full_document_rotation does nothing where spans aren't clipped: set spans_across to `clip`";
            problems.push(problem.to_owned());
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(SpansToTheEnd { rules: self.rules(specials), specials: *specials })
    }

    fn takes_blocks(&self) -> bool {
        self.variant.unit() == Unit::Block
    }

    fn token_columns(&self) -> TokenColumns {
        TokenColumns { loss_weights: self.retrieved_loss_weight != 1.0, ..TokenColumns::default() }
    }

    fn is_invertible(&self) -> bool {
        !self.reference_compat
    }
}

#[derive(Debug)]
struct SpansToTheEnd {
    rules: Rules,
    specials: Specials,
}

impl Objective for SpansToTheEnd {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        match (self.rules.unit, self.rules.max_tokens) {
            (Unit::Pieces, Some(longest)) => document.in_pieces(longest, |piece| self.example(piece, random)),
            _ => vec![self.example(document, random)],
        }
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let form = Form {
            specials: self.specials,
            is_block: self.rules.unit == Unit::Block,
            may_lack_its_end: self.limit(example.input_ids.len() as u32).is_some(),
        };
        match self.rules.unit {
            Unit::Block => form.restore(&example.input_ids),
            Unit::Document | Unit::Pieces => {
                form.restore(without_end(&example.input_ids, self.specials.end_of_document)?)
            }
        }
    }
}

impl SpansToTheEnd {
    fn example(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Example {
        let spans = spans::choose(document, &self.rules, random);
        let hints = self.rules.size_hints.as_ref().map_or(Vec::new(), |hints| hints.draw(&spans, random));
        let mut layout = self.layout(document.tokens.len() as u32, &spans, &hints);
        if self.rules.unit != Unit::Block {
            layout.end_in(self.specials.end_of_document);
        }
        Example { objective: self.rules.name, ..layout.place(document, self.rules.retrieved_loss_weight as f32) }
    }

    fn layout(&self, num_tokens: u32, spans: &[Range<u32>], hints: &[u32]) -> Layout {
        let sentinels = Sentinels { specials: &self.specials, are_learnt: self.rules.loss_on_sentinels };
        let mut layout = match self.rules.as_reference {
            true => Layout::of_reference(num_tokens, spans, sentinels),
            false => Layout::new(num_tokens, spans, hints, sentinels),
        };
        if let Some(limit) = self.limit(num_tokens) {
            match (self.rules.over_length, self.rules.as_reference) {
                (OverLength::DropEnd, _) => {}
                (OverLength::ShortenText, true) => layout.shorten_text_as_reference(limit),
                (OverLength::ShortenText, false) => layout.shorten_text(limit),
            }
            layout.drop_end(limit);
        }
        layout
    }

    // How many tokens the example of so many may have, without its end.
    fn limit(&self, num_tokens: u32) -> Option<u32> {
        match self.rules.unit {
            Unit::Block => Some(self.rules.max_tokens.unwrap_or(num_tokens)),
            Unit::Document | Unit::Pieces => self.rules.max_tokens.map(|tokens| tokens - 1),
        }
    }
}

impl SizeHints {
    // How many mask tokens stand for each span; none where a span has no hint.
    fn draw(&self, spans: &[Range<u32>], random: &mut KeyedRandom) -> Vec<u32> {
        let hint = |span: &Range<u32>| {
            let length = f64::from(span.end - span.start);
            let (has_hint, size) = (random.happens(self.share), length * (1.0 + self.epsilon * random.normal()));
            if has_hint { (size as u32).max(1) } else { 0 }
        };
        spans.iter().map(hint).collect()
    }
}

#[cfg(test)]
mod tests;
