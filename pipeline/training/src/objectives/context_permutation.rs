//! Changes the order of the passages in a multi-document context (arXiv 2505.11754, `utils.py`).

use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::example::{plain, without_end};
use super::pieces::Pieces;
use super::{Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `context_permutation`. A document without passages stays as it is.
///
/// What stands between two passages moves with the first of them. The published search for the best order asks for 20
/// uniform ones of each context: as many views.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextPermutation {
    /// The order of passages.
    pub order: PassageOrder,
    /// So many noise passages stand between two gold ones in the order `forward_k`, as far as there are.
    pub k: u32,
    /// These tokens stand before the first passage, the second, …, whatever passage it is: "Document [1]" and so on.
    /// Passages beyond the list have none.
    pub headings: Vec<Vec<TokenId>>,
    /// Whether the context, all up to the end of its last passage, is seen in both directions and not learnt: the prefix
    /// mask of the published fine-tuned models (`finetune_bi.py`). The question and what follows it are predicted.
    pub bidirectional_context: bool,
}

/// The order of passages: gold ones are needed for the answer, at a step of its reasoning each; the others are noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassageOrder {
    /// The document's order, which others are compared with.
    Document,
    /// Gold passages in the order of reasoning, at the places where gold ones stood.
    Forward,
    /// Gold passages against the order of reasoning, at the places where gold ones stood.
    Backward,
    /// Noise first, then gold passages in the order of reasoning with `k` noise ones between, the last at the very end.
    ForwardK,
    /// Any order, each equally likely.
    Uniform,
    /// Gold passages alone, in the document's order; the others are left out.
    Gold,
    /// The document's order, without the gold passage that reasoning begins with.
    RmFirst,
}

impl Default for ContextPermutation {
    fn default() -> Self {
        Self { order: PassageOrder::Uniform, k: 0, headings: Vec::new(), bidirectional_context: false }
    }
}

impl ObjectiveSettings for ContextPermutation {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        Vec::new()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(PassagesMoved { settings: self.clone(), specials: *specials })
    }
}

#[derive(Debug)]
struct PassagesMoved {
    settings: ContextPermutation,
    specials: Specials,
}

impl Objective for PassagesMoved {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let blocks = blocks(document);
        let order = self.settings.order(document, random);
        let num_tokens = document.tokens.len() as u32;
        let mut pieces = Pieces::default();
        let mut passages = Vec::with_capacity(order.len());
        pieces.tokens(0..blocks.first().map_or(num_tokens, |first| first.start));
        for (place, index) in order.into_iter().enumerate() {
            for &token in self.settings.headings.get(place).into_iter().flatten() {
                pieces.special(token);
            }
            let start = pieces.len();
            pieces.tokens(blocks[index].clone());
            passages.push((index as u32, start..pieces.len()));
        }
        pieces.tokens(blocks.last().map_or(num_tokens, |last| last.end)..num_tokens);
        pieces.special(self.specials.end_of_document);
        let mut example = Example { objective: "context_permutation", ..pieces.place(document) };
        if self.settings.bidirectional_context {
            example.prefix_len = passages.last().map_or(0, |(_, last)| last.end);
            example.labels[..example.prefix_len as usize].fill(NO_LOSS);
        }
        vec![Example { passages, ..example }]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let ids = without_end(&example.input_ids, self.specials.end_of_document)?;
        let first_heading = self.settings.headings.first().map_or(0, Vec::len);
        let head = example.passages.first().map_or(ids.len(), |(_, first)| first.start as usize - first_heading);
        let tail = example.passages.last().map_or(ids.len(), |(_, last)| last.end as usize);
        let mut passages = example.passages.clone();
        passages.sort_unstable_by_key(|(index, _)| *index);
        let moved = passages.iter().flat_map(|(_, at)| &ids[at.start as usize..at.end as usize]);
        let tokens: Vec<_> = ids[..head].iter().chain(moved).chain(&ids[tail..]).copied().collect();
        plain(&tokens, &self.specials)
    }
}

// Each passage with what stands between it and the next.
fn blocks(document: &TokenDocument) -> Vec<Range<u32>> {
    let passages = &document.passages;
    let end = |index: usize| passages.get(index + 1).map_or(passages[index].tokens.end, |next| next.tokens.start);
    (0..passages.len()).map(|index| passages[index].tokens.start..end(index)).collect()
}

impl ContextPermutation {
    // Which passage stands at each place; those in no place are left out.
    fn order(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<usize> {
        let passages = &document.passages;
        let mut order: Vec<usize> = (0..passages.len()).collect();
        let (places, noise): (Vec<usize>, Vec<usize>) =
            order.iter().copied().partition(|&index| passages[index].gold_step.is_some());
        let mut gold = places.clone();
        gold.sort_by_key(|&index| passages[index].gold_step);
        match self.order {
            PassageOrder::Document => {}
            PassageOrder::Uniform => random.shuffle(&mut order),
            PassageOrder::Forward => places.into_iter().zip(gold).for_each(|(place, index)| order[place] = index),
            PassageOrder::Backward => {
                places.into_iter().zip(gold.into_iter().rev()).for_each(|(place, index)| order[place] = index);
            }
            PassageOrder::ForwardK => return forward_k(&gold, &noise, self.k as usize),
            PassageOrder::Gold => return places,
            PassageOrder::RmFirst => order.retain(|index| Some(index) != gold.first()),
        }
        order
    }
}

fn forward_k(gold: &[usize], noise: &[usize], k: usize) -> Vec<usize> {
    let num_gaps = gold.len().saturating_sub(1);
    let (first, mut between) = noise.split_at(noise.len().saturating_sub(k * num_gaps));
    let mut order = first.to_vec();
    for (step, &index) in gold.iter().enumerate() {
        order.push(index);
        let in_gap = if step < num_gaps { k.min(between.len()) } else { 0 };
        order.extend(&between[..in_gap]);
        between = &between[in_gap..];
    }
    order
}

#[cfg(test)]
mod tests {
    use super::super::Passage;
    use super::super::testing::{END, SPECIALS, check_share, stream, text};
    use super::*;

    // Head 10, passages 11 to 15 of one token each, tail 16; the third passage is needed first, then the second.
    fn context() -> TokenDocument {
        let gold_step = |index: u32| [None, Some(1), Some(0), None, None][index as usize];
        let passage = |index: u32| Passage { tokens: index + 1..index + 2, gold_step: gold_step(index) };
        TokenDocument { passages: (0..5).map(passage).collect(), ..text(7) }
    }

    fn check(order: PassageOrder, k: u32, expected: &[TokenId]) {
        let settings = ContextPermutation { order, k, ..ContextPermutation::default() };
        let objective = settings.build(&SPECIALS);
        let example = objective.apply(&context(), &mut stream(0)).swap_remove(0);
        assert_eq!(example.input_ids, expected);
        assert_eq!(objective.invert(&example), Ok(context().tokens));
    }

    fn check_some(order: PassageOrder, expected: &[TokenId], source: &[Range<u32>]) {
        let objective = ContextPermutation { order, ..ContextPermutation::default() }.build(&SPECIALS);
        let example = objective.apply(&context(), &mut stream(0)).swap_remove(0);
        assert_eq!((example.input_ids.as_slice(), example.source.as_slice()), (expected, source));
        assert_eq!(objective.invert(&example), Ok(context().tokens_of(source)));
    }

    #[test]
    fn gold_passages_change_places_among_themselves() {
        check(PassageOrder::Forward, 0, &[10, 11, 13, 12, 14, 15, 16, END]);
        check(PassageOrder::Backward, 0, &[10, 11, 12, 13, 14, 15, 16, END]);
    }

    #[test]
    fn the_last_gold_passage_stands_last_with_noise_between() {
        check(PassageOrder::ForwardK, 0, &[10, 11, 14, 15, 13, 12, 16, END]);
        check(PassageOrder::ForwardK, 1, &[10, 11, 14, 13, 15, 12, 16, END]);
        check(PassageOrder::ForwardK, 5, &[10, 13, 11, 14, 15, 12, 16, END]);
    }

    #[test]
    fn passages_may_stand_as_in_the_document() {
        check(PassageOrder::Document, 0, &[10, 11, 12, 13, 14, 15, 16, END]);
    }

    #[test]
    fn a_context_is_seen_in_both_directions_and_only_what_follows_is_learnt() {
        let (order, headings) = (PassageOrder::Backward, vec![vec![91]]);
        let settings =
            ContextPermutation { order, headings, bidirectional_context: true, ..ContextPermutation::default() };
        let objective = settings.build(&SPECIALS);
        let example = objective.apply(&context(), &mut stream(0)).swap_remove(0);
        assert_eq!(example.input_ids, [10, 91, 11, 12, 13, 14, 15, 16, END]);
        assert_eq!(
            (example.prefix_len, &example.labels[..7], &example.labels[7..]),
            (7, &[NO_LOSS; 7][..], &[16, END][..])
        );
        assert_eq!(objective.invert(&example), Ok(context().tokens));
        let page = objective.apply(&text(3), &mut stream(0)).swap_remove(0);
        assert_eq!((page.prefix_len, page.labels), (0, vec![10, 11, 12, END]));
    }

    #[test]
    fn gold_passages_stand_alone() {
        check_some(PassageOrder::Gold, &[10, 12, 13, 16, END], &[0..1, 2..4, 6..7]);
    }

    #[test]
    fn the_first_gold_passage_of_the_reasoning_is_left_out() {
        check_some(PassageOrder::RmFirst, &[10, 11, 12, 14, 15, 16, END], &[0..3, 4..7]);
    }

    #[test]
    fn a_context_of_noise_alone_loses_nothing_to_a_first_gold_passage() {
        let passages = context().passages.into_iter().map(|passage| Passage { gold_step: None, ..passage });
        let noise = TokenDocument { passages: passages.collect(), ..context() };
        let settings = ContextPermutation { order: PassageOrder::RmFirst, ..ContextPermutation::default() };
        let example = settings.build(&SPECIALS).apply(&noise, &mut stream(0)).swap_remove(0);
        assert_eq!(example.input_ids, [10, 11, 12, 13, 14, 15, 16, END]);
    }

    #[test]
    fn headings_number_places() {
        let headings = vec![vec![91], vec![92, 93]];
        let settings = ContextPermutation { order: PassageOrder::Forward, headings, ..ContextPermutation::default() };
        let objective = settings.build(&SPECIALS);
        let example = objective.apply(&context(), &mut stream(0)).swap_remove(0);
        assert_eq!(example.input_ids, [10, 91, 11, 92, 93, 13, 12, 14, 15, 16, END]);
        assert_eq!(objective.invert(&example), Ok(context().tokens));
    }

    #[test]
    fn every_passage_is_first_equally_often() {
        let objective = ContextPermutation::default().build(&SPECIALS);
        let mut counts = [0; 5];
        for number in 0..100_000 {
            let example = objective.apply(&context(), &mut stream(number)).swap_remove(0);
            counts[example.passages[0].0 as usize] += 1;
        }
        counts.into_iter().for_each(|count| check_share(count, 100_000, 0.2));
    }
}
