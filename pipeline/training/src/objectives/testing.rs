//! What the objectives' tests share.

use std::sync::Arc;

use super::{Example, ObjectiveSettings, Specials, TextTokens, TokenDocument, TokenId};
use crate::random::KeyedRandom;

pub(super) const SPECIALS: Specials = Specials {
    pad: 400,
    end_of_document: END,
    end_of_span: 402,
    mask: MASK,
    sentence_mask: 404,
    end_mask: 405,
    begin_of_piece: 406,
    end_of_piece: 407,
    break_: 408,
    begin_of_image: 409,
    end_of_image: 410,
    fim_prefix: 411,
    fim_middle: 412,
    fim_suffix: 413,
    regular_denoising: 414,
    extreme_denoising: 415,
    sequential_denoising: 416,
    begin_of_document: BEGIN,
    block_mask: 418,
    first_sentinel: S0,
    num_sentinels: 64,
    num_text: 400,
};
pub(super) const BEGIN: TokenId = 417;
pub(super) const END: TokenId = 401;
pub(super) const MASK: TokenId = 403;
pub(super) const S0: TokenId = 419;
pub(super) const FIRST_IMAGE_TOKEN: TokenId = 483;
pub(super) const END_OF_IDS: TokenId = 883;

/// Text of so many tokens: 10, 11, …, all different as long as there are fewer than 390.
pub(super) fn text(num_tokens: u32) -> TokenDocument {
    TokenDocument { tokens: (0..num_tokens).map(|index| 10 + (index % 390) as TokenId).collect(), ..Default::default() }
}

/// The token of a full stop in [`OneCharacterEach`].
pub(super) const FULL_STOP: TokenId = 7;

/// A tokenizer in which each text token is one character of three bytes, but for one full stop.
#[derive(Debug)]
pub(super) struct OneCharacterEach;

impl TextTokens for OneCharacterEach {
    fn text(&self, tokens: &[TokenId]) -> Option<String> {
        let character = |&token: &TokenId| match token {
            FULL_STOP => Some('.'),
            _ => char::from_u32(0x4e00 + token as u32),
        };
        tokens.iter().map(character).collect()
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        let token = |character| match character {
            '.' => FULL_STOP,
            _ => (character as u32 - 0x4e00) as TokenId,
        };
        text.chars().map(token).collect()
    }
}

/// A tokenizer of bytes, in which the first and longest of `ab` (300), `abab` (301) and `ba` (302) are one token.
#[derive(Debug)]
pub(super) struct BytesAndMerges;

impl BytesAndMerges {
    const MERGED: [(&str, TokenId); 3] = [("abab", 301), ("ab", 300), ("ba", 302)];

    /// As the tokenizer of a job.
    pub(super) fn shared() -> Arc<dyn TextTokens> {
        Arc::new(Self)
    }
}

impl TextTokens for BytesAndMerges {
    fn text(&self, tokens: &[TokenId]) -> Option<String> {
        let mut bytes = Vec::new();
        for &token in tokens {
            match Self::MERGED.iter().find(|(_, id)| *id == token) {
                Some((text, _)) => bytes.extend_from_slice(text.as_bytes()),
                None => bytes.push(u8::try_from(token).ok()?),
            }
        }
        String::from_utf8(bytes).ok()
    }

    fn tokens(&self, mut text: &str) -> Vec<TokenId> {
        let mut tokens = Vec::new();
        while let Some(first) = text.chars().next() {
            match Self::MERGED.iter().find(|(merged, _)| text.starts_with(merged)) {
                Some((merged, id)) => {
                    tokens.push(*id);
                    text = &text[merged.len()..];
                }
                None => {
                    tokens.extend(text[..first.len_utf8()].bytes().map(TokenId::from));
                    text = &text[first.len_utf8()..];
                }
            }
        }
        tokens
    }
}

/// The stream of the document with this number.
pub(super) fn stream(number: u32) -> KeyedRandom {
    KeyedRandom::new(11, "objective", &number.to_le_bytes(), 0)
}

/// All examples of this document with this number.
pub(super) fn examples_of(settings: &impl ObjectiveSettings, document: &TokenDocument, number: u32) -> Vec<Example> {
    settings.build(&SPECIALS).apply(document, &mut stream(number))
}

/// The first example of this document with this number.
pub(super) fn example_of(settings: &impl ObjectiveSettings, document: &TokenDocument, number: u32) -> Example {
    examples_of(settings, document, number).swap_remove(0)
}

/// Holds a share that was counted in `count` trials to within four standard deviations of `expected`.
pub(super) fn check_share(hits: usize, trials: usize, expected: f64) {
    let share = hits as f64 / trials as f64;
    let four_deviations = 4.0 * (expected * (1.0 - expected) / trials as f64).sqrt();
    assert!((share - expected).abs() <= four_deviations, "{share} of {trials}, not {expected} ± {four_deviations}");
}
