//! What the tests of blank infilling share.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use super::super::TokenId;
use super::super::testing::{OneCharacterEach, SPECIALS};
use super::blanks::Blanks;
use super::{BlankInfilling, BlanksThenSpans};

pub(super) fn all_kinds(sentence_share: f64, end_share: f64) -> BlanksThenSpans {
    let settings = BlankInfilling { sentence_share, end_share, ..BlankInfilling::default() };
    BlanksThenSpans { settings, specials: SPECIALS, text: Some(Arc::new(OneCharacterEach)) }
}

pub(super) fn blanks(spans: &[Range<u32>], mask: TokenId, reach_end: bool) -> Blanks {
    Blanks { spans: spans.to_vec(), mask, reach_end, objective: "blank_infilling" }
}

pub(super) fn of_pieces(max_source_tokens: u32, short_seq_prob: f64) -> BlanksThenSpans {
    let max_source_tokens = NonZeroU32::new(max_source_tokens);
    let settings = BlankInfilling { max_source_tokens, short_seq_prob, ..BlankInfilling::default() };
    BlanksThenSpans { settings, specials: SPECIALS, text: Some(Arc::new(OneCharacterEach)) }
}
