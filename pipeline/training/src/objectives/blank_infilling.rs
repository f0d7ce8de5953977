//! Replaces spans by masks and has them predicted behind the text, in random order (GLM, arXiv 2103.10360).

mod blanks;
mod layout;
mod restore;
mod stretches;
#[cfg(test)]
mod testing;

use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use blanks::LONGEST_SPAN;
use stretches::SHORTEST_STRETCH;

use super::{
    Example, NotInvertible, Objective, ObjectiveSettings, Specials, TextTokens, TokenColumns, TokenDocument, TokenId,
    ends_sentence,
};
use crate::random::KeyedRandom;

/// Settings of `blank_infilling`: GLM's short spans (`[MASK]`) and, as shares of documents, its sentences and ends.
///
/// An example is `text with <mask> <eod>`, which is seen in both directions, then each span as
/// `<begin_of_piece> span`, whose labels are `span <end_of_piece>`, each at the position that predicts it.
/// `position_ids` count the text, in which spans have the position of their mask; `block_position_ids` are 0 in the
/// text and count each span from 1 (`blocklm_utils.py`, `ConstructBlockStrategy`). Sentences stand behind
/// `<sentence_mask>` and ends behind `<end_mask>`; where the document's very end is predicted, the text has no `<eod>`,
/// which is the last label instead of `<end_of_piece>`. GLM-10B has 0.3 of sentences and 0.2 of ends, a `block_mask_prob`
/// of 0.1, a `short_seq_prob` of 0.02, and sequences of 512, of which a text has 511 tokens.
///
/// A piece of a document that isn't its last has no `<eod>`, and where its end is predicted nothing follows that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BlankInfilling {
    /// So large a share of a document's tokens is in spans, rounded down.
    pub masked_share: f64,
    /// A span has Poisson(`mean_span_length`) tokens, from 1 to 39; the last is shortened to what is left.
    pub mean_span_length: f64,
    /// In this share of documents the spans are whole sentences, up to `masked_share` or just above (`[sMASK]`).
    ///
    /// A sentence ends in a token with one of `.?!;:` or a line break in its text; a job without text has short spans.
    pub sentence_share: f64,
    /// In this share of documents one long span is predicted (`[gMASK]`): half of the time the end, else any stretch.
    pub end_share: f64,
    /// A long span has at least this share of a document's tokens, and at most all but two, each length as likely.
    pub min_end: f64,
    /// With this chance a token of a short span is hidden where the span is predicted, too: `<block_mask>` stands in its
    /// place, and what was predicted is all that tells it (`[dBLOCK]`).
    pub block_mask_prob: f64,
    /// A document goes in pieces of so many of its tokens. The examples of pieces are longer by what is added.
    pub max_source_tokens: Option<NonZeroU32>,
    /// With this chance there are stretches of a piece instead of the piece: all of a length from 32 to below
    /// `max_source_tokens`, each as likely, as many as it has that length, and each from anywhere; both of a stretch's ends
    /// move back to the end of a sentence, unless less than half would be left (`split_samples`). What is in none of them
    /// is left out. A piece that is no longer than the drawn length stays whole.
    pub short_seq_prob: f64,
}

impl Default for BlankInfilling {
    fn default() -> Self {
        Self {
            masked_share: 0.15,
            mean_span_length: 3.0,
            sentence_share: 0.0,
            end_share: 0.0,
            min_end: 0.25,
            block_mask_prob: 0.0,
            max_source_tokens: None,
            short_seq_prob: 0.0,
        }
    }
}

impl ObjectiveSettings for BlankInfilling {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let mut problems = Vec::new();
        if !(0.0..=0.5).contains(&self.masked_share) {
            problems.push(format!("masked_share is {}, but spans are apart: at most 0.5", self.masked_share));
        }
        if !(self.mean_span_length > 0.0 && self.mean_span_length <= f64::from(LONGEST_SPAN)) {
            problems.push(format!("mean_span_length is {}, but a span has 1 to 39 tokens", self.mean_span_length));
        }
        let shares = [self.sentence_share, self.end_share, self.min_end, self.sentence_share + self.end_share];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            problems.push(format!(
                "sentence_share is {}, end_share {} and min_end {}, but shares lie between 0 and 1, the first two in all",
                self.sentence_share, self.end_share, self.min_end
            ));
        }
        for (name, chance) in [("block_mask_prob", self.block_mask_prob), ("short_seq_prob", self.short_seq_prob)] {
            if !(0.0..=1.0).contains(&chance) {
                problems.push(format!("{name} is {chance}, but a chance lies between 0 and 1"));
            }
        }
        let longest = self.max_source_tokens.map_or(0, NonZeroU32::get);
        if self.short_seq_prob > 0.0 && longest <= SHORTEST_STRETCH {
            problems.push(format!(
                "short_seq_prob takes stretches of 32 tokens or more from longer pieces: set max_source_tokens above 32, \
                 which is {longest}"
            ));
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(BlanksThenSpans { settings: self.clone(), specials: *specials, text: None })
    }

    fn build_with_text(&self, specials: &Specials, text: &Arc<dyn TextTokens>) -> Arc<dyn Objective> {
        let text = self.reads_text().then(|| Arc::clone(text));
        Arc::new(BlanksThenSpans { settings: self.clone(), specials: *specials, text })
    }

    fn reads_text(&self) -> bool {
        self.sentence_share > 0.0 || self.short_seq_prob > 0.0
    }

    fn token_columns(&self) -> TokenColumns {
        TokenColumns { position_ids: true, block_position_ids: true, ..TokenColumns::default() }
    }
}

#[derive(Debug)]
struct BlanksThenSpans {
    settings: BlankInfilling,
    specials: Specials,
    // Where sentences matter.
    text: Option<Arc<dyn TextTokens>>,
}

impl Objective for BlanksThenSpans {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let (mut examples, mut branch) = (Vec::new(), 0);
        for piece in self.pieces(document.tokens.len() as u32) {
            let stretches = self.stretches(&document.tokens, piece, random);
            // All stretches of a piece are of one kind, as all of a batch are that is made of them.
            let kind = self.kind(random);
            for stretch in stretches {
                let start = stretch.tokens.start;
                let text = document.piece(stretch.tokens);
                let blanks = self.blanks(&text, kind, random);
                let mut order: Vec<usize> = (0..blanks.spans.len()).collect();
                random.shuffle(&mut order);
                let mut example = self.example(&text, &blanks, &order, stretch.is_last).moved(start);
                self.mask_blocks(&mut example, &blanks, random);
                example.branch = branch;
                examples.push(example);
                branch += 1;
            }
        }
        examples
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        self.restore(example)
    }
}

impl BlanksThenSpans {
    // No token does where there is no text.
    fn ends_sentence(&self, token: TokenId) -> bool {
        self.text.as_ref().is_some_and(|text| ends_sentence(token, &self.specials, text.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::of_pieces;
    use super::*;

    #[test]
    fn settings_that_cannot_be_met_are_refused() {
        let problems =
            |max_source_tokens, short_seq_prob| of_pieces(max_source_tokens, short_seq_prob).settings.check(16).len();
        assert_eq!([problems(32, 0.1), problems(33, 0.1), problems(33, 1.5)], [1, 0, 1]);
        assert_eq!(BlankInfilling { short_seq_prob: 0.1, ..BlankInfilling::default() }.check(16).len(), 1);
        assert_eq!(BlankInfilling { block_mask_prob: -0.1, ..BlankInfilling::default() }.check(16).len(), 1);
    }
}
