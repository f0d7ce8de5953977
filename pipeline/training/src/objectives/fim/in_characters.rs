//! Documents cut between characters, whose parts are tokenised each by itself.

use std::ops::Range;

use super::super::characters::{Characters, Place, TextTokens, rejoin};
use super::super::pieces::Pieces;
use super::super::{Example, NotInvertible, TokenDocument, TokenId};
use super::{Level, MiddleLast, parts, three_parts};
use crate::random::KeyedRandom;

/// What examples are called that were cut between characters.
pub(super) const NAMES: [&str; 2] = ["fim/document_characters", "fim/context_characters"];

// Where a document's parts begin, and whether its suffix comes first.
struct Draw {
    cuts: [Place; 2],
    suffix_first: bool,
}

impl MiddleLast {
    /// The example of a document or a block; none if it is a document that can't be cut so.
    pub(super) fn cut_in_characters(
        &self,
        document: &TokenDocument,
        text: &dyn TextTokens,
        random: &mut KeyedRandom,
    ) -> Option<Example> {
        let num_tokens = document.tokens.len() as u32;
        let pieces = match self.settings.level {
            Level::Document => {
                let characters = Characters::of(document, 0..num_tokens, &self.specials, text)?;
                let mut pieces = match self.draw(&characters, random) {
                    Some(draw) => self.permuted(&characters, &draw),
                    None => whole(0..num_tokens),
                };
                pieces.special(self.specials.end_of_document);
                pieces
            }
            Level::Context => self.block(document, text, random),
        };
        let objective = NAMES[usize::from(self.settings.level == Level::Context)];
        Some(Example { objective, ..pieces.place(document) })
    }

    fn block(&self, block: &TokenDocument, text: &dyn TextTokens, random: &mut KeyedRandom) -> Pieces {
        let num_tokens = block.tokens.len() as u32;
        let mut pieces = Pieces::default();
        for part in parts(&block.tokens, 0..num_tokens, Some(self.specials.end_of_document)) {
            let end = part.end..(part.end + 1).min(num_tokens);
            let room = block.room().saturating_sub(pieces.len() + (end.end - end.start));
            let characters = Characters::of(block, part.clone(), &self.specials, text);
            let drawn = characters.and_then(|characters| Some((self.draw(&characters, random)?, characters)));
            match drawn {
                None => pieces.tokens(part.clone()),
                Some((draw, characters)) => {
                    let permuted = self.permuted(&characters, &draw);
                    if permuted.len() <= room && !end.is_empty() {
                        pieces.append(permuted);
                    } else {
                        // What the block's end cuts could not be told from its parts.
                        let cuts = draw.cuts.map(|cut| characters.token_at(cut));
                        self.permute(three_parts(part.clone(), cuts), draw.suffix_first, &mut pieces);
                    }
                }
            }
            pieces.tokens(end);
        }
        pieces.drop_end(pieces.len().saturating_sub(block.room()));
        pieces
    }

    fn draw(&self, characters: &Characters, random: &mut KeyedRandom) -> Option<Draw> {
        let length = characters.len();
        if length == 0 || !random.happens(self.settings.rate) {
            return None;
        }
        let mut cuts = [(); 2].map(|()| characters.place(random.within(0, length + 1)));
        cuts.sort_unstable();
        Some(Draw { cuts, suffix_first: random.happens(self.settings.spm_rate) })
    }

    fn permuted(&self, characters: &Characters, draw: &Draw) -> Pieces {
        let [first, second] = draw.cuts;
        let ends = [(characters.start(), first), (first, second), (second, characters.end())];
        let three = ends.map(|(from, to)| {
            let mut part = Pieces::default();
            characters.push(from, to, &mut part);
            part
        });
        let mut pieces = Pieces::default();
        self.permute(three, draw.suffix_first, &mut pieces);
        pieces
    }

    /// The tokens of the document or block: parts are joined as text, but for a document without its end.
    pub(super) fn join_in_characters(
        &self,
        ids: &[TokenId],
        text: &dyn TextTokens,
    ) -> Result<Vec<TokenId>, NotInvertible> {
        let end_of_document = self.specials.end_of_document;
        if self.settings.level == Level::Document && ids.last() != Some(&end_of_document) {
            return Err(NotInvertible::NoEnd { end_of_document });
        }
        let mut tokens = Vec::with_capacity(ids.len());
        for part in parts(ids, 0..ids.len() as u32, Some(end_of_document)) {
            let (has_end, mut of_part) = ((part.end as usize) < ids.len(), Vec::new());
            let is_permuted = ids[part.start as usize..part.end as usize].contains(&self.specials.fim_middle);
            self.restore(ids, part, &mut of_part)?;
            match is_permuted && has_end {
                true => tokens.extend(rejoin(&of_part, &self.specials, text)),
                false => tokens.append(&mut of_part),
            }
            tokens.extend(has_end.then_some(end_of_document));
        }
        if self.settings.level == Level::Document {
            tokens.pop();
        }
        Ok(tokens)
    }
}

fn whole(range: Range<u32>) -> Pieces {
    let mut pieces = Pieces::default();
    pieces.tokens(range);
    pieces
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::super::super::testing::{
        BytesAndMerges, END, FIRST_IMAGE_TOKEN, OneCharacterEach, SPECIALS, check_share, stream,
    };
    use super::super::super::{Objective, ObjectiveSettings};
    use super::super::{Cuts, Fim};
    use super::*;

    const P: TokenId = SPECIALS.fim_prefix;
    const M: TokenId = SPECIALS.fim_middle;
    const S: TokenId = SPECIALS.fim_suffix;

    fn objective(level: Level) -> std::sync::Arc<dyn Objective> {
        let settings = Fim { rate: 1.0, cuts: Cuts::Characters, level, ..Fim::default() };
        settings.build_with_text(&SPECIALS, &BytesAndMerges::shared())
    }

    // Texts of merged, plain and long characters, with images of three tokens between some.
    fn document(number: u32) -> TokenDocument {
        let mut random = KeyedRandom::new(2, "characters", &number.to_le_bytes(), 0);
        let mut below = |bound| random.below(NonZeroU64::new(bound).unwrap()) as usize;
        let mut document = TokenDocument::default();
        for _ in 0..below(4) {
            let characters = ['a', 'b', 'a', 'b', 'é', '中', ' '];
            let text: String = (0..below(12)).map(|_| characters[below(7)]).collect();
            document.tokens.extend(BytesAndMerges.tokens(&text));
            let start = document.tokens.len() as u32;
            document.images.push(start..start + 3);
            document.tokens.extend((0..3).map(|_| FIRST_IMAGE_TOKEN + below(9) as TokenId));
        }
        document
    }

    #[test]
    fn a_token_is_cut_where_its_characters_are() {
        let ids = |suffix_first| {
            let document = TokenDocument { tokens: BytesAndMerges.tokens("ababé"), ..TokenDocument::default() };
            let characters = Characters::of(&document, 0..3, &SPECIALS, &BytesAndMerges).unwrap();
            let objective =
                MiddleLast { settings: Fim::default(), specials: SPECIALS, text: Some(BytesAndMerges::shared()) };
            let draw = Draw { cuts: [characters.place(1), characters.place(4)], suffix_first };
            objective.permuted(&characters, &draw).place(&document).input_ids
        };
        // "a", "bab" and "é"
        assert_eq!(ids(false), [P, 97, S, 0xc3, 0xa9, M, 302, 98]);
        assert_eq!(ids(true), [P, S, 0xc3, 0xa9, M, 97, 302, 98]);
    }

    #[test]
    fn documents_come_back_from_parts_that_were_tokenised_by_themselves() {
        let objective = objective(Level::Document);
        let mut num_retokenised = 0;
        for number in 0..20_000 {
            let document = document(number);
            let example = objective.apply(&document, &mut stream(number)).swap_remove(0);
            assert_eq!(example.objective, NAMES[0]);
            assert_eq!(document.tokens_of(&example.source), document.tokens);
            assert_eq!(objective.invert(&example), Ok(document.tokens.clone()), "{document:?} {example:?}");
            let images = example.images.iter().map(|run| run.end - run.start).sum::<u32>();
            assert_eq!(images as usize, 3 * document.images.len());
            num_retokenised += usize::from(example.input_ids.len() > document.tokens.len() + 4);
        }
        assert!(num_retokenised > 1000, "{num_retokenised}");
    }

    #[test]
    fn blocks_come_back_as_far_as_they_are_there_and_never_grow() {
        let objective = objective(Level::Context);
        let (mut num_characters, mut num_shorter) = (0, 0);
        for number in 0..10_000 {
            let mut block = TokenDocument::default();
            for index in 0..5 {
                block.tokens.extend(document(number * 5 + index).tokens);
                block.tokens.push(END);
            }
            block.tokens.truncate(60);
            let example = objective.apply(&block, &mut stream(number)).swap_remove(0);
            // Written anew, a document may have fewer tokens; what its block then lacks is the packing's to pad.
            assert!(example.input_ids.len() <= block.tokens.len() && !example.input_ids.contains(&SPECIALS.pad));
            num_shorter += usize::from(example.input_ids.len() < block.tokens.len());
            assert_eq!(objective.invert(&example), Ok(block.tokens_of(&example.source)), "{block:?} {example:?}");
            num_characters += example.num_source_tokens();
        }
        assert!(num_characters > 200_000 && num_shorter < 10_000, "{num_characters} {num_shorter}");
    }

    // As in Megatron-LM's `GPTFIMDataset`, which drops the end of a block that is longer than before, and of no other.
    #[test]
    fn a_document_that_just_fits_its_block_is_cut_between_characters() {
        let objective = objective(Level::Context);
        let of_block = |tokens_behind: usize, number| {
            let mut block = TokenDocument { tokens: BytesAndMerges.tokens("ababéab"), ..TokenDocument::default() };
            block.tokens.push(END);
            block.tokens.resize(block.tokens.len() + tokens_behind, FIRST_IMAGE_TOKEN);
            objective.apply(&block, &mut stream(number)).swap_remove(0).input_ids
        };
        let num_tokens = BytesAndMerges.tokens("ababéab").len() + 1;
        let mut num_retokenised = 0;
        for number in 0..200 {
            let whole = of_block(40, number);
            let with_end = &whole[..=whole.iter().position(|&id| id == END).unwrap()];
            assert_eq!(of_block(with_end.len() - num_tokens, number), with_end);
            num_retokenised += usize::from(with_end.len() > num_tokens + 3);
        }
        assert!(num_retokenised > 50, "{num_retokenised}");
    }

    #[test]
    fn a_text_that_its_tokens_do_not_follow_from_is_cut_between_tokens() {
        // `a`, `b` where the tokenizer has `ab`; and half of a character.
        for tokens in [vec![97, 98], vec![0xc3]] {
            let document = TokenDocument { tokens, ..TokenDocument::default() };
            let objective = objective(Level::Document);
            let example = objective.apply(&document, &mut stream(0)).swap_remove(0);
            assert_eq!(example.objective, "fim/document");
            assert_eq!(objective.invert(&example), Ok(document.tokens));
        }
    }

    // Ten places in nine characters; the same two with a chance of one in ten.
    #[test]
    fn every_place_between_characters_is_as_likely() {
        let document = TokenDocument { tokens: (10..19).collect(), ..TokenDocument::default() };
        let characters = Characters::of(&document, 0..9, &SPECIALS, &OneCharacterEach).unwrap();
        let objective = MiddleLast { settings: Fim { rate: 1.0, ..Fim::default() }, specials: SPECIALS, text: None };
        let (mut num_empty, mut num_at_start, mut num_suffix_first) = (0, 0, 0);
        for number in 0..100_000 {
            let draw = objective.draw(&characters, &mut stream(number)).unwrap();
            num_empty += usize::from(draw.cuts[0] == draw.cuts[1]);
            num_at_start += usize::from(draw.cuts[0] == characters.start());
            num_suffix_first += usize::from(draw.suffix_first);
        }
        check_share(num_empty, 100_000, 0.1);
        check_share(num_at_start, 100_000, 0.19);
        check_share(num_suffix_first, 100_000, 0.5);
    }
}
