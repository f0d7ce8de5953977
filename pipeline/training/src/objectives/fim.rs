//! Moves the middle of a document to its end, to be filled in (FIM, arXiv 2207.14255).

mod in_characters;

use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pieces::Pieces;
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TextTokens, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `fim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fim {
    /// Whether documents are transformed, or those in a packed block.
    pub level: Level,
    /// Whether the two cuts of a document fall between characters or tokens.
    pub cuts: Cuts,
    /// This share of documents has its middle moved; the others stay as they are.
    pub rate: f64,
    /// This share of the transformed has its suffix before its prefix (SPM); in the others the prefix comes first (PSM).
    pub spm_rate: f64,
    /// How a document with its suffix first is written.
    pub spm: Spm,
    /// This token splits a document into fragments, each of which may be transformed by itself (Megatron-LM,
    /// `fim_split_sample`).
    pub fragment_token: Option<TokenId>,
    /// This share of the fragments of a transformed document has its middle moved.
    pub fragment_rate: f64,
    /// Whether the model is trained to predict the three tokens that precede the parts.
    pub loss_on_sentinels: bool,
}

/// What is transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A document, before packing.
    Document,
    /// Each document in a packed block, which then is cut to its former length.
    Context,
}

/// Where a document can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cuts {
    /// Between any two tokens, which is fast.
    Tokens,
    /// Between any two characters, as in the paper, so that a model can go on within a word: each part is tokenised by
    /// itself. An image token counts as a character. A document whose tokens are not those that its text is given by
    /// itself is cut between tokens, or in a block stays as it is, and so is the one that its block cuts.
    Characters,
}

/// How a document with its suffix first is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spm {
    /// `<fim_suffix> suffix <fim_prefix> prefix <fim_middle> middle`.
    Variant1,
    /// `<fim_prefix> <fim_suffix> suffix <fim_middle> prefix middle`, which the paper trains together with PSM.
    Variant2,
}

impl Default for Fim {
    fn default() -> Self {
        Self {
            level: Level::Document,
            cuts: Cuts::Tokens,
            rate: 0.5,
            spm_rate: 0.5,
            spm: Spm::Variant2,
            fragment_token: None,
            fragment_rate: 0.5,
            loss_on_sentinels: true,
        }
    }
}

impl ObjectiveSettings for Fim {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let shares = [("rate", self.rate), ("spm_rate", self.spm_rate), ("fragment_rate", self.fragment_rate)];
        let is_wrong = |(_, share): &(&str, f64)| !(0.0..=1.0).contains(share);
        let problem = |(name, share)| format!("{name} is {share}, but a share lies between 0 and 1");
        let mut problems: Vec<_> = shares.into_iter().filter(is_wrong).map(problem).collect();
        if self.reads_text() && self.fragment_token.is_some() {
            problems.push("a document in fragments is cut between tokens: leave out fragment_token or cuts".to_owned());
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(MiddleLast { settings: self.clone(), specials: *specials, text: None })
    }

    fn build_with_text(&self, specials: &Specials, text: &Arc<dyn TextTokens>) -> Arc<dyn Objective> {
        let cuts_text = self.reads_text() && self.fragment_token.is_none();
        let text = cuts_text.then(|| Arc::clone(text));
        Arc::new(MiddleLast { settings: self.clone(), specials: *specials, text })
    }

    fn reads_text(&self) -> bool {
        self.cuts == Cuts::Characters
    }

    fn cuts_text(&self) -> bool {
        self.reads_text()
    }

    fn takes_blocks(&self) -> bool {
        self.level == Level::Context
    }
}

#[derive(Debug)]
struct MiddleLast {
    settings: Fim,
    specials: Specials,
    // Where cuts fall between characters.
    text: Option<Arc<dyn TextTokens>>,
}

impl Objective for MiddleLast {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        if let Some(example) = self.text.as_deref().and_then(|text| self.cut_in_characters(document, text, random)) {
            return vec![example];
        }
        let num_tokens = document.tokens.len() as u32;
        let mut pieces = Pieces::default();
        match self.settings.level {
            Level::Document => {
                self.document(document, 0..num_tokens, &mut pieces, random);
                pieces.special(self.specials.end_of_document);
            }
            Level::Context => {
                let end_of_document = self.specials.end_of_document;
                for part in parts(&document.tokens, 0..num_tokens, Some(end_of_document)) {
                    self.document(document, part.clone(), &mut pieces, random);
                    pieces.tokens(part.end..(part.end + 1).min(num_tokens));
                }
                pieces.drop_end(pieces.len().saturating_sub(num_tokens));
            }
        }
        let objective = match self.settings.level {
            Level::Document => "fim/document",
            Level::Context => "fim/context",
        };
        vec![Example { objective, ..pieces.place(document) }]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        if let Some(text) = self.text.as_deref().filter(|_| in_characters::NAMES.contains(&example.objective)) {
            return self.join_in_characters(&example.input_ids, text);
        }
        let ids = &example.input_ids;
        let end_of_document = self.specials.end_of_document;
        let mut tokens = Vec::with_capacity(ids.len());
        if self.settings.level == Level::Document && ids.last() != Some(&end_of_document) {
            return Err(NotInvertible::NoEnd { end_of_document });
        }
        for part in parts(ids, 0..ids.len() as u32, Some(end_of_document)) {
            for fragment in parts(ids, part.clone(), self.settings.fragment_token) {
                self.restore(ids, fragment.clone(), &mut tokens)?;
                tokens.extend((fragment.end < part.end).then_some(()).and(self.settings.fragment_token));
            }
            tokens.extend(((part.end as usize) < ids.len()).then_some(end_of_document));
        }
        if self.settings.level == Level::Document {
            tokens.pop();
        }
        Ok(tokens)
    }
}

impl MiddleLast {
    // One document, of which a share is transformed, as a whole or in fragments.
    fn document(&self, document: &TokenDocument, range: Range<u32>, pieces: &mut Pieces, random: &mut KeyedRandom) {
        if range.is_empty() || !random.happens(self.settings.rate) {
            return pieces.tokens(range);
        }
        for fragment in parts(&document.tokens, range.clone(), self.settings.fragment_token) {
            let is_whole = fragment == range;
            if fragment.is_empty() || !is_whole && !random.happens(self.settings.fragment_rate) {
                pieces.tokens(fragment.clone());
            } else {
                let cuts = [(); 2].map(|()| random.within(fragment.start, fragment.end + 1));
                let suffix_first = random.happens(self.settings.spm_rate);
                self.permute(three_parts(fragment.clone(), cuts), suffix_first, pieces);
            }
            pieces.tokens(fragment.end..(fragment.end + 1).min(range.end));
        }
    }

    // Prefix, middle and suffix in the order of the form.
    fn permute(&self, [prefix, middle, suffix]: [Pieces; 3], suffix_first: bool, pieces: &mut Pieces) {
        let [before_prefix, before_middle, before_suffix] =
            [self.specials.fim_prefix, self.specials.fim_middle, self.specials.fim_suffix];
        let is_learnt = self.settings.loss_on_sentinels;
        match (suffix_first, self.settings.spm) {
            (false, _) => {
                pieces.special_if(is_learnt, before_prefix);
                pieces.append(prefix);
                pieces.special_if(is_learnt, before_suffix);
                pieces.append(suffix);
                pieces.special_if(is_learnt, before_middle);
            }
            (true, Spm::Variant1) => {
                pieces.special_if(is_learnt, before_suffix);
                pieces.append(suffix);
                pieces.special_if(is_learnt, before_prefix);
                pieces.append(prefix);
                pieces.special_if(is_learnt, before_middle);
            }
            (true, Spm::Variant2) => {
                pieces.special_if(is_learnt, before_prefix);
                pieces.special_if(is_learnt, before_suffix);
                pieces.append(suffix);
                pieces.special_if(is_learnt, before_middle);
                pieces.append(prefix);
            }
        }
        pieces.append(middle);
    }

    // A fragment in its first order: what follows each token that precedes a part, the suffix last. Parts may lack.
    fn restore(&self, ids: &[TokenId], range: Range<u32>, tokens: &mut Vec<TokenId>) -> Result<(), NotInvertible> {
        let (mut prefix, mut middle, mut suffix) = (range.start..range.start, 0..0, 0..0);
        let mut part = &mut prefix;
        for position in range {
            let token = ids[position as usize];
            match token {
                _ if token == self.specials.fim_prefix => part = &mut prefix,
                _ if token == self.specials.fim_middle => part = &mut middle,
                _ if token == self.specials.fim_suffix => part = &mut suffix,
                _ if self.specials.reserve(token) => {
                    return Err(NotInvertible::Misplaced { position: position as usize, token });
                }
                _ => {
                    part.end = position + 1;
                    continue;
                }
            }
            *part = position + 1..position + 1;
        }
        for part in [prefix, middle, suffix] {
            tokens.extend_from_slice(&ids[part.start as usize..part.end as usize]);
        }
        Ok(())
    }
}

fn three_parts(range: Range<u32>, cuts: [u32; 2]) -> [Pieces; 3] {
    let (first, second) = (cuts[0].min(cuts[1]), cuts[0].max(cuts[1]));
    [range.start..first, first..second, second..range.end].map(|range| {
        let mut part = Pieces::default();
        part.tokens(range);
        part
    })
}

// What stands between the separators in a range, of which the last may be empty; all of it if there is no separator.
fn parts(tokens: &[TokenId], range: Range<u32>, separator: Option<TokenId>) -> Vec<Range<u32>> {
    let is_separator = |position: &u32| Some(tokens[*position as usize]) == separator;
    let ends = range.clone().filter(is_separator).chain([range.end]);
    let mut start = range.start;
    let part = |end| {
        let part = start..end;
        start = end + 1;
        part
    };
    ends.map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::super::NO_LOSS;
    use super::super::testing::{END, SPECIALS, check_share, example_of, stream, text};
    use super::*;

    const P: TokenId = SPECIALS.fim_prefix;
    const M: TokenId = SPECIALS.fim_middle;
    const S: TokenId = SPECIALS.fim_suffix;

    fn permuted(spm: Spm, suffix_first: bool) -> Vec<TokenId> {
        let objective = MiddleLast { settings: Fim { spm, ..Fim::default() }, specials: SPECIALS, text: None };
        let mut pieces = Pieces::default();
        objective.permute(three_parts(0..6, [4, 1]), suffix_first, &mut pieces);
        pieces.place(&text(6)).input_ids
    }

    #[test]
    fn prefix_suffix_middle() {
        assert_eq!(permuted(Spm::Variant2, false), [P, 10, S, 14, 15, M, 11, 12, 13]);
    }

    #[test]
    fn suffix_prefix_middle_of_variant_1() {
        assert_eq!(permuted(Spm::Variant1, true), [S, 14, 15, P, 10, M, 11, 12, 13]);
    }

    #[test]
    fn suffix_prefix_middle_of_variant_2() {
        assert_eq!(permuted(Spm::Variant2, true), [P, S, 14, 15, M, 10, 11, 12, 13]);
    }

    #[test]
    fn the_end_is_learnt_when_the_other_specials_are_not() {
        let settings = Fim { rate: 1.0, loss_on_sentinels: false, ..Fim::default() };
        let labels = example_of(&settings, &text(6), 0).labels;
        assert_eq!(labels.iter().filter(|&&label| label == NO_LOSS).count(), 3);
        assert_eq!(labels.last(), Some(&END));
    }

    #[test]
    fn shares_of_forms_and_lengths_of_middles_are_as_published() {
        let settings = Fim { spm: Spm::Variant1, ..Fim::default() };
        let mut counts = [0; 3];
        let mut empty_middles = 0;
        for number in 0..100_000 {
            let ids = example_of(&settings, &text(9), number).input_ids;
            let form = [P, S].iter().position(|&first| ids[0] == first);
            counts[form.map_or(0, |form| form + 1)] += 1;
            empty_middles += usize::from(ids[ids.len() - 2] == M);
        }
        for (count, expected) in counts.into_iter().zip([0.5, 0.25, 0.25]) {
            check_share(count, 100_000, expected);
        }
        // Two of ten places where a document of nine tokens can be cut are the same with a chance of one in ten.
        check_share(empty_middles, 100_000, 0.05);
    }

    #[test]
    fn a_context_keeps_its_length_and_its_ends() {
        let settings = Fim { level: Level::Context, rate: 1.0, ..Fim::default() };
        let mut block = text(40);
        block.tokens[12] = END;
        let objective = settings.build(&SPECIALS);
        for number in 0..200 {
            let example = objective.apply(&block, &mut stream(number)).swap_remove(0);
            assert_eq!(example.input_ids.len(), 40);
            assert_eq!(example.input_ids[15], END);
            assert_eq!(objective.invert(&example), Ok(block.tokens_of(&example.source)));
        }
    }

    #[test]
    fn a_share_of_fragments_is_transformed() {
        let settings = Fim { rate: 1.0, fragment_token: Some(14), ..Fim::default() };
        let objective = settings.build(&SPECIALS);
        let mut num_middles = 0;
        for number in 0..50_000 {
            let example = objective.apply(&text(9), &mut stream(number)).swap_remove(0);
            num_middles += example.input_ids.iter().filter(|&&id| id == M).count();
            assert_eq!(objective.invert(&example), Ok(text(9).tokens));
        }
        check_share(num_middles, 100_000, 0.5);
    }
}
