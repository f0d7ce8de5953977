//! Where a document can be cut between characters, and its parts as tokens of their own.

use std::fmt::Debug;
use std::ops::Range;

use super::pieces::Pieces;
use super::{Specials, TokenDocument, TokenId};

/// The tokenizer of a job, for objectives that cut text between characters.
///
/// Texts of lists of tokens add up: `text(tokens(a) + tokens(b))` is `a + b`.
pub trait TextTokens: Debug + Send + Sync {
    /// The text of these text tokens; none where their bytes are no UTF-8 by themselves.
    fn text(&self, tokens: &[TokenId]) -> Option<String>;

    /// The tokens of this text by itself, all of them below the vocabulary's `num_text`.
    fn tokens(&self, text: &str) -> Vec<TokenId>;
}

/// Whether a sentence ends in this token: one with `.`, `?`, `!`, `;`, `:` or a line break in its text.
pub(crate) fn ends_sentence(token: TokenId, specials: &Specials, text: &dyn TextTokens) -> bool {
    let of_token = if specials.is_text(token) { text.text(&[token]) } else { None };
    of_token.is_some_and(|of_token| of_token.contains(['.', '?', '!', ';', ':', '\n']))
}

/// A document, or a range of one, as runs of text with all that isn't text between them.
#[derive(Debug)]
pub(super) struct Characters<'a> {
    runs: Vec<Run>,
    text: &'a dyn TextTokens,
}

// Tokens that are text together, or, without one, that aren't text.
#[derive(Debug)]
struct Run {
    tokens: Range<u32>,
    text: Option<String>,
}

/// A place between two characters of a document, or at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    run: usize,
    // Bytes into the text of a run, tokens into one without.
    offset: usize,
}

impl<'a> Characters<'a> {
    /// The characters of this range; none if the tokens of some text in it are not those that it is given by itself, so
    /// that it could not be told from its parts.
    pub(super) fn of(
        document: &TokenDocument,
        range: Range<u32>,
        specials: &Specials,
        text: &'a dyn TextTokens,
    ) -> Option<Self> {
        let mut runs = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let is_text = specials.is_text(document.tokens[start as usize]);
            let tokens = &document.tokens[start as usize..range.end as usize];
            let length = tokens.iter().position(|&token| specials.is_text(token) != is_text).unwrap_or(tokens.len());
            let of_run = if is_text {
                let of_run = text.text(&tokens[..length])?;
                (text.tokens(&of_run) == tokens[..length]).then_some(Some(of_run))?
            } else {
                None
            };
            let end = start + length as u32;
            runs.push(Run { tokens: start..end, text: of_run });
            start = end;
        }
        Some(Self { runs, text })
    }

    /// How many there are. A token that isn't text counts as one.
    pub(super) fn len(&self) -> u32 {
        self.runs.iter().map(Run::num_characters).sum()
    }

    /// The place behind so many characters.
    pub(super) fn place(&self, mut behind: u32) -> Place {
        for (run, of_run) in self.runs.iter().enumerate() {
            let num_characters = of_run.num_characters();
            if behind < num_characters {
                let offset = match &of_run.text {
                    Some(text) => text.char_indices().nth(behind as usize).map_or(text.len(), |(offset, _)| offset),
                    None => behind as usize,
                };
                return Place { run, offset };
            }
            behind -= num_characters;
        }
        self.end()
    }

    /// The place in front of all characters.
    pub(super) fn start(&self) -> Place {
        Place { run: 0, offset: 0 }
    }

    /// The place behind all characters.
    pub(super) fn end(&self) -> Place {
        Place { run: self.runs.len(), offset: 0 }
    }

    /// Appends what stands between two places; text that is cut is tokenised by itself.
    pub(super) fn push(&self, from: Place, to: Place, pieces: &mut Pieces) {
        for (index, run) in self.runs.iter().enumerate().take(to.run + 1).skip(from.run) {
            let start = if index == from.run { from.offset } else { 0 };
            let end = if index == to.run { to.offset } else { run.num_offsets() };
            match &run.text {
                Some(text) if start > 0 || end < text.len() => {
                    // Which token is whose makes no difference: a document goes in with all of its parts.
                    let first = if start == 0 { run.tokens.start } else { run.tokens.end };
                    let last = if start == 0 && end > 0 { run.tokens.end } else { first };
                    let tokens = if start < end { self.text.tokens(&text[start..end]) } else { Vec::new() };
                    pieces.written(tokens, first..last);
                }
                Some(_) => pieces.tokens(run.tokens.clone()),
                None => pieces.tokens(run.tokens.start + start as u32..run.tokens.start + end as u32),
            }
        }
    }

    /// The token in front of which this place is, or in which it is.
    pub(super) fn token_at(&self, place: Place) -> u32 {
        let Some(run) = self.runs.get(place.run) else {
            return self.runs.last().map_or(0, |last| last.tokens.end);
        };
        match &run.text {
            None => run.tokens.start + place.offset as u32,
            // As many tokens as the text in front has by itself is close, and always within the run.
            Some(text) => {
                let num_before = if place.offset == 0 { 0 } else { self.text.tokens(&text[..place.offset]).len() };
                (run.tokens.start + num_before as u32).min(run.tokens.end)
            }
        }
    }
}

impl Run {
    fn num_characters(&self) -> u32 {
        self.text.as_ref().map_or(self.tokens.end - self.tokens.start, |text| text.chars().count() as u32)
    }

    fn num_offsets(&self) -> usize {
        self.text.as_ref().map_or((self.tokens.end - self.tokens.start) as usize, String::len)
    }
}

/// Tokens of parts that were tokenised by themselves, as they were before: each run of text is tokenised anew.
pub(super) fn rejoin(tokens: &[TokenId], specials: &Specials, text: &dyn TextTokens) -> Vec<TokenId> {
    let mut rejoined = Vec::with_capacity(tokens.len());
    for run in tokens.chunk_by(|one, next| specials.is_text(*one) == specials.is_text(*next)) {
        let of_run = if specials.is_text(run[0]) { text.text(run) } else { None };
        match of_run {
            Some(of_run) => rejoined.extend(text.tokens(&of_run)),
            None => rejoined.extend_from_slice(run),
        }
    }
    rejoined
}
