//! Replaces spans by masks and has them predicted behind the text, in random order (GLM, arXiv 2103.10360).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pieces::Pieces;
use super::{
    Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Predicts, Specials, TextTokens, TokenColumns,
    TokenDocument, TokenId, ends_sentence,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

const SHORTEST_STRETCH: u32 = 32;

const LONGEST_SPAN: u32 = 39;
const DRAWS_BEFORE_ONE: u32 = 1000;

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

// A stretch of a document, and whether its document ends with it.
struct Stretch {
    tokens: Range<u32>,
    is_last: bool,
}

// Spans in order, what stands for each in the text, and how the example is called.
struct Blanks {
    spans: Vec<Range<u32>>,
    mask: TokenId,
    // Whether the last span is the end of its text, and what ends it is predicted, too.
    reach_end: bool,
    objective: &'static str,
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
        let specials = &self.specials;
        let (text, spans) = example.input_ids.split_at(text_and_end(example));
        let text = match text.last() {
            Some(&last) if last == specials.end_mask => text,
            _ => match super::example::without_end(text, specials.end_of_document) {
                Err(_) if self.settings.max_source_tokens.is_some() => text,
                body => body?,
            },
        };
        // A span's first token is the one that begins it, and all have the position of its mask.
        let mut of_mask: HashMap<usize, Vec<TokenId>> = HashMap::new();
        let first = text_and_end(example);
        for (position, (&id, &at)) in (first..).zip(spans.iter().zip(example.position_ids.iter().skip(first))) {
            let token = match id {
                _ if id == specials.begin_of_piece => continue,
                // The token before has it predicted.
                _ if id == specials.block_mask => {
                    let label = position.checked_sub(1).and_then(|before| example.labels.get(before));
                    *label.filter(|&&label| label != NO_LOSS).ok_or(NotInvertible::Hidden { position })?
                }
                _ => id,
            };
            of_mask.entry(at as usize).or_default().push(token);
        }
        let mut tokens = Vec::with_capacity(example.input_ids.len());
        for (position, &id) in text.iter().enumerate() {
            if [specials.mask, specials.sentence_mask, specials.end_mask].contains(&id) {
                let before = tokens.len();
                tokens.extend(of_mask.remove(&position).unwrap_or_default());
                if tokens.len() == before {
                    return Err(NotInvertible::Hidden { position });
                }
            } else if specials.reserve(id) {
                return Err(NotInvertible::Misplaced { position, token: id });
            } else {
                tokens.push(id);
            }
        }
        Ok(tokens)
    }
}

// How many tokens are seen in both directions.
fn text_and_end(example: &Example) -> usize {
    (example.prefix_len as usize).min(example.input_ids.len())
}

impl BlankInfilling {
    // Spans in order, with at least one token between two; which gaps they stand in is as likely for each choice.
    fn spans(&self, num_tokens: u32, random: &mut KeyedRandom) -> Vec<Range<u32>> {
        let mut remaining = (f64::from(num_tokens) * self.masked_share) as u32;
        let num_seen = num_tokens - remaining;
        let mut lengths = Vec::new();
        while remaining > 0 {
            let length = self.span_length(random).min(remaining);
            lengths.push(length);
            remaining -= length;
        }
        // A span stands before one of the seen tokens or behind the last, and no two at the same place.
        let places = random.choose(lengths.len() as u32, num_seen + 1);
        let mut num_masked = 0;
        let span = |(place, length)| {
            let start = place + num_masked;
            num_masked += length;
            start..start + length
        };
        places.into_iter().zip(lengths).map(span).collect()
    }

    fn span_length(&self, random: &mut KeyedRandom) -> u32 {
        let mut draws = (0..DRAWS_BEFORE_ONE).map(|_| random.poisson(self.mean_span_length));
        draws.find(|length| (1..=LONGEST_SPAN).contains(length)).unwrap_or(1)
    }
}

impl BlanksThenSpans {
    // A document of so many tokens in pieces; there is always one.
    fn pieces(&self, num_tokens: u32) -> Vec<Stretch> {
        let longest = self.settings.max_source_tokens.map_or(num_tokens.max(1), NonZeroU32::get);
        let piece = |number: u32| {
            let start = number * longest;
            let end = start.saturating_add(longest).min(num_tokens);
            Stretch { tokens: start..end, is_last: end == num_tokens }
        };
        (0..num_tokens.div_ceil(longest).max(1)).map(piece).collect()
    }

    // What a piece of a document gives examples of.
    fn stretches(&self, tokens: &[TokenId], piece: Stretch, random: &mut KeyedRandom) -> Vec<Stretch> {
        let settings = &self.settings;
        let Some(longest) = settings.max_source_tokens.filter(|_| settings.short_seq_prob > 0.0) else {
            return vec![piece];
        };
        if !random.happens(settings.short_seq_prob) {
            return vec![piece];
        }
        let length = random.within(SHORTEST_STRETCH, longest.get());
        let (start, end) = (piece.tokens.start, piece.tokens.end);
        if length >= end - start {
            return vec![piece];
        }
        let stretch = |_| {
            let first = start + random.within(0, end - start - length);
            let tokens = self.between_sentences(tokens, start, first..first + length);
            Stretch { is_last: piece.is_last && tokens.end == end, tokens }
        };
        (0..(end - start) / length).map(stretch).collect()
    }

    // The stretch with each end moved back to where a sentence ends, its first one no further than to `least`.
    fn between_sentences(&self, tokens: &[TokenId], least: u32, stretch: Range<u32>) -> Range<u32> {
        let length = stretch.end - stretch.start;
        let ends = |behind: u32| self.ends_sentence(tokens[behind as usize - 1]);
        let mut start = stretch.start;
        while start > least && !ends(start) {
            start -= 1;
        }
        let mut end = start + length;
        while end > start && !ends(end) {
            end -= 1;
        }
        if end - start < length / 2 { start..start + length } else { start..end }
    }

    // No token does where there is no text.
    fn ends_sentence(&self, token: TokenId) -> bool {
        self.text.as_ref().is_some_and(|text| ends_sentence(token, &self.specials, text.as_ref()))
    }

    // Where it lies between 0 and 1 says whether an end is predicted, sentences, or short spans.
    fn kind(&self, random: &mut KeyedRandom) -> f64 {
        let several_kinds = self.settings.end_share + self.settings.sentence_share > 0.0;
        if several_kinds { random.uniform() } else { 1.0 }
    }

    fn blanks(&self, document: &TokenDocument, kind: f64, random: &mut KeyedRandom) -> Blanks {
        let (settings, specials) = (&self.settings, &self.specials);
        let num_tokens = document.tokens.len() as u32;
        if kind < settings.end_share && num_tokens > 2 {
            let shortest = ((f64::from(num_tokens) * settings.min_end) as u32).clamp(1, num_tokens - 2);
            let length = random.within(shortest, num_tokens - 1);
            let reach_end = random.happens(0.5);
            let start = if reach_end { num_tokens - length } else { random.within(0, num_tokens - length + 1) };
            let spans = vec![start..start + length];
            return Blanks { spans, mask: specials.end_mask, reach_end, objective: "blank_infilling/end" };
        }
        if kind < settings.end_share + settings.sentence_share {
            let spans = self.sentences(document, random);
            if !spans.is_empty() {
                let (mask, objective) = (specials.sentence_mask, "blank_infilling/sentences");
                return Blanks { spans, mask, reach_end: false, objective };
            }
        }
        let spans = settings.spans(num_tokens, random);
        Blanks { spans, mask: specials.mask, reach_end: false, objective: "blank_infilling" }
    }

    // Sentences until they are the share that is masked; none if none ends.
    fn sentences(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Range<u32>> {
        let mut start = 0;
        let mut sentence = |tokens: &[TokenId]| {
            start += tokens.len() as u32;
            start - tokens.len() as u32..start
        };
        let mut sentences: Vec<_> =
            document.tokens.split_inclusive(|&token| self.ends_sentence(token)).map(&mut sentence).collect();
        if sentences.len() < 2 {
            return Vec::new();
        }
        random.shuffle(&mut sentences);
        let wanted = (f64::from(document.tokens.len() as u32) * self.settings.masked_share) as u32;
        let mut num_masked = 0;
        let is_wanted = |sentence: &Range<u32>| {
            let more = num_masked < wanted.max(1);
            num_masked += sentence.end - sentence.start;
            more
        };
        let mut masked: Vec<_> = sentences.into_iter().take_while(is_wanted).collect();
        masked.sort_unstable_by_key(|sentence| sentence.start);
        masked
    }

    // Hides tokens of short spans where the spans are predicted.
    fn mask_blocks(&self, example: &mut Example, blanks: &Blanks, random: &mut KeyedRandom) {
        let chance = self.settings.block_mask_prob;
        if chance <= 0.0 || blanks.mask != self.specials.mask {
            return;
        }
        for id in &mut example.input_ids[example.prefix_len as usize..] {
            if *id != self.specials.begin_of_piece && random.happens(chance) {
                *id = self.specials.block_mask;
            }
        }
    }

    // The example of a document, or of a stretch of one that isn't its last.
    fn example(&self, document: &TokenDocument, blanks: &Blanks, order: &[usize], is_last: bool) -> Example {
        let spans = &blanks.spans;
        let mut pieces = Pieces::default();
        let mut masks = Vec::with_capacity(spans.len());
        let mut after_last = 0;
        for span in spans {
            pieces.tokens(after_last..span.start);
            masks.push(pieces.len());
            pieces.special(blanks.mask);
            after_last = span.end;
        }
        pieces.tokens(after_last..document.tokens.len() as u32);
        if is_last && !blanks.reach_end {
            pieces.special(self.specials.end_of_document);
        }
        let end = match (blanks.reach_end, is_last) {
            (false, _) => self.specials.end_of_piece,
            (true, true) => self.specials.end_of_document,
            (true, false) => NO_LOSS,
        };
        let prefix_len = pieces.len();
        let mut position_ids: Vec<u32> = (0..prefix_len).collect();
        let mut block_position_ids = vec![0; prefix_len as usize];
        let mut labels = vec![NO_LOSS; prefix_len as usize];
        for &index in order {
            let span = spans[index].clone();
            let num_predicted = span.end - span.start + 1;
            position_ids.extend((0..num_predicted).map(|_| masks[index]));
            block_position_ids.extend(1..=num_predicted);
            labels.extend_from_slice(&document.tokens[span.start as usize..span.end as usize]);
            labels.push(end);
            pieces.special(self.specials.begin_of_piece);
            pieces.tokens(span);
        }
        let (predicts, objective) = (Predicts::Here, blanks.objective);
        let example = pieces.place(document);
        Example { labels, prefix_len, position_ids, block_position_ids, predicts, objective, ..example }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{END, FULL_STOP, MASK, OneCharacterEach, SPECIALS, check_share, stream, text};
    use super::*;

    fn all_kinds(sentence_share: f64, end_share: f64) -> BlanksThenSpans {
        let settings = BlankInfilling { sentence_share, end_share, ..BlankInfilling::default() };
        BlanksThenSpans { settings, specials: SPECIALS, text: Some(Arc::new(OneCharacterEach)) }
    }

    fn blanks(spans: &[Range<u32>], mask: TokenId, reach_end: bool) -> Blanks {
        Blanks { spans: spans.to_vec(), mask, reach_end, objective: "blank_infilling" }
    }

    fn drawn_blanks(objective: &BlanksThenSpans, document: &TokenDocument, number: u32) -> Blanks {
        let random = &mut stream(number);
        let kind = objective.kind(random);
        objective.blanks(document, kind, random)
    }

    fn of_pieces(max_source_tokens: u32, short_seq_prob: f64) -> BlanksThenSpans {
        let max_source_tokens = NonZeroU32::new(max_source_tokens);
        let settings = BlankInfilling { max_source_tokens, short_seq_prob, ..BlankInfilling::default() };
        BlanksThenSpans { settings, specials: SPECIALS, text: Some(Arc::new(OneCharacterEach)) }
    }

    #[test]
    fn a_piece_before_the_last_has_no_end_to_be_seen_or_predicted() {
        let objective = of_pieces(20, 0.0);
        let example = objective.example(&text(4), &blanks(&[2..4], SPECIALS.end_mask, true), &[0], false);
        assert_eq!(example.input_ids, [10, 11, SPECIALS.end_mask, SPECIALS.begin_of_piece, 12, 13]);
        assert_eq!(example.labels, [NO_LOSS, NO_LOSS, NO_LOSS, 12, 13, NO_LOSS]);
        assert_eq!(objective.invert(&example), Ok(text(4).tokens));
        let example = objective.example(&text(4), &blanks(&[1..2], MASK, false), &[0], false);
        assert_eq!(example.input_ids, [10, MASK, 12, 13, SPECIALS.begin_of_piece, 11]);
        assert_eq!(objective.invert(&example), Ok(text(4).tokens));
    }

    #[test]
    fn a_document_goes_in_pieces_of_its_tokens() {
        for num_tokens in [0, 1, 19, 20, 21, 40, 45] {
            let objective = of_pieces(20, 0.0);
            let examples = objective.apply(&text(num_tokens), &mut stream(3));
            assert_eq!(examples.len() as u32, num_tokens.div_ceil(20).max(1));
            let restored: Vec<_> = examples.iter().flat_map(|example| objective.invert(example).unwrap()).collect();
            assert_eq!(restored, text(num_tokens).tokens);
            let ends = examples.iter().map(|example| example.input_ids.contains(&END)).collect::<Vec<_>>();
            let (last, others) = ends.split_last().unwrap();
            assert!(*last && others.iter().all(|&has_end| !has_end), "{ends:?}");
        }
    }

    #[test]
    fn tokens_of_short_spans_are_hidden_with_their_chance_where_they_are_predicted_and_no_others() {
        let settings = BlankInfilling { block_mask_prob: 0.1, end_share: 0.3, ..BlankInfilling::default() };
        let objective = BlanksThenSpans { settings, specials: SPECIALS, text: None };
        let (mut num_hidden, mut num_tokens) = (0, 0);
        for number in 0..100_000 {
            let example = objective.apply(&text(60), &mut stream(number)).swap_remove(0);
            let (text_tokens, spans) = example.input_ids.split_at(example.prefix_len as usize);
            let hidden = spans.iter().filter(|&&id| id == SPECIALS.block_mask).count();
            assert!(!text_tokens.contains(&SPECIALS.block_mask));
            assert!(hidden == 0 || example.objective == "blank_infilling");
            assert!(!example.labels.contains(&SPECIALS.block_mask));
            assert_eq!(objective.invert(&example), Ok(text(60).tokens));
            if example.objective == "blank_infilling" {
                num_hidden += hidden;
                num_tokens += spans.iter().filter(|&&id| id != SPECIALS.begin_of_piece).count();
            }
        }
        check_share(num_hidden, num_tokens, 0.1);
    }

    #[test]
    fn a_hidden_token_without_its_label_is_not_invertible() {
        let objective = BlanksThenSpans { text: None, ..of_pieces(20, 0.0) };
        let mut example = objective.example(&text(4), &blanks(&[1..2], MASK, false), &[0], true);
        example.input_ids[6] = SPECIALS.block_mask;
        assert_eq!(objective.invert(&example), Ok(text(4).tokens));
        example.labels[5] = NO_LOSS;
        assert_eq!(objective.invert(&example), Err(NotInvertible::Hidden { position: 6 }));
    }

    #[test]
    fn stretches_begin_and_end_with_sentences_unless_too_little_is_left() {
        let mut document = text(60);
        [9, 29, 49].into_iter().for_each(|position| document.tokens[position] = FULL_STOP);
        let objective = of_pieces(60, 1.0);
        let moved = |stretch| objective.between_sentences(&document.tokens, 0, stretch);
        assert_eq!(moved(12..52), 10..50);
        assert_eq!(moved(5..45), 0..30);
        assert_eq!(moved(10..50), 10..50);
        assert_eq!(moved(33..59), 30..50);
        assert_eq!(moved(50..60), 50..60);
        assert_eq!(objective.between_sentences(&document.tokens, 4, 5..45), 4..30);
    }

    #[test]
    fn short_stretches_come_with_their_chance_and_any_length_from_anywhere() {
        let objective = BlanksThenSpans { text: None, ..of_pieces(100, 0.2) };
        let tokens = text(100).tokens;
        let (mut num_short, mut num_of_32, mut num_at_start) = (0, 0, 0);
        for number in 0..100_000 {
            let piece = Stretch { tokens: 0..100, is_last: true };
            let stretches = objective.stretches(&tokens, piece, &mut stream(number));
            let first = stretches[0].tokens.clone();
            if first == (0..100) {
                continue;
            }
            // Without text no sentence ends, so the first end moves back to the start.
            assert!(stretches.iter().all(|stretch| stretch.tokens.len() == first.len() && stretch.tokens.start == 0));
            assert!((32..100).contains(&first.len()));
            assert_eq!(stretches.len(), 100 / first.len());
            num_short += 1;
            num_of_32 += usize::from(first.len() == 32);
        }
        check_share(num_short, 100_000, 0.2);
        check_share(num_of_32, num_short, 1.0 / 68.0);
        // Where each token ends a sentence, nothing moves: of 100 tokens a stretch of 32 begins in 68 places.
        let (objective, tokens) = (of_pieces(33, 1.0), vec![FULL_STOP; 100]);
        for number in 0..100_000 {
            let piece = Stretch { tokens: 0..100, is_last: true };
            let stretches = objective.stretches(&tokens, piece, &mut stream(number));
            assert_eq!(stretches.len(), 3);
            num_at_start += stretches.iter().filter(|stretch| stretch.tokens == (0..32)).count();
        }
        check_share(num_at_start, 300_000, 1.0 / 68.0);
    }

    #[test]
    fn settings_that_cannot_be_met_are_refused() {
        let problems =
            |max_source_tokens, short_seq_prob| of_pieces(max_source_tokens, short_seq_prob).settings.check(16).len();
        assert_eq!([problems(32, 0.1), problems(33, 0.1), problems(33, 1.5)], [1, 0, 1]);
        assert_eq!(BlankInfilling { short_seq_prob: 0.1, ..BlankInfilling::default() }.check(16).len(), 1);
        assert_eq!(BlankInfilling { block_mask_prob: -0.1, ..BlankInfilling::default() }.check(16).len(), 1);
    }

    #[test]
    fn an_end_is_predicted_with_the_end_of_its_document() {
        let objective = all_kinds(0.0, 1.0);
        let example = objective.example(&text(4), &blanks(&[2..4], SPECIALS.end_mask, true), &[0], true);
        assert_eq!(example.input_ids, [10, 11, SPECIALS.end_mask, SPECIALS.begin_of_piece, 12, 13]);
        assert_eq!(example.labels, [NO_LOSS, NO_LOSS, NO_LOSS, 12, 13, END]);
        assert_eq!(example.position_ids, [0, 1, 2, 2, 2, 2]);
        assert_eq!(example.block_position_ids, [0, 0, 0, 1, 2, 3]);
        assert_eq!(objective.invert(&example), Ok(text(4).tokens));
    }

    #[test]
    fn sentences_are_masked_whole_until_they_are_the_share() {
        // Sentences of 4, 2 and 14 tokens.
        let mut document = text(20);
        document.tokens[3] = FULL_STOP;
        document.tokens[5] = FULL_STOP;
        let objective = all_kinds(1.0, 0.0);
        let mut counts = std::collections::BTreeMap::<_, usize>::new();
        for number in 0..100_000 {
            let blanks = drawn_blanks(&objective, &document, number);
            assert_eq!(blanks.mask, SPECIALS.sentence_mask);
            *counts.entry(blanks.spans.iter().map(|span| span.start).collect::<Vec<_>>()).or_default() += 1;
        }
        // Three of twenty tokens are wanted: the second sentence alone is too short, and takes either other with it.
        let expected = [(vec![0], 1.0 / 3.0), (vec![0, 4], 1.0 / 6.0), (vec![4, 6], 1.0 / 6.0), (vec![6], 1.0 / 3.0)];
        assert_eq!(counts.len(), expected.len());
        expected.into_iter().for_each(|(starts, share)| check_share(counts[&starts], 100_000, share));
    }

    #[test]
    fn kinds_come_with_their_shares_and_long_spans_with_theirs() {
        let objective = all_kinds(0.3, 0.2);
        let mut document = text(40);
        document.tokens[10] = FULL_STOP;
        let (mut num_sentences, mut num_ends, mut num_reaching, mut num_long) = (0, 0, 0, 0);
        for number in 0..100_000 {
            let blanks = drawn_blanks(&objective, &document, number);
            num_sentences += usize::from(blanks.objective == "blank_infilling/sentences");
            if blanks.objective == "blank_infilling/end" {
                let length = blanks.spans[0].end - blanks.spans[0].start;
                assert!((10..=38).contains(&length) && (!blanks.reach_end || blanks.spans[0].end == 40));
                num_ends += 1;
                num_reaching += usize::from(blanks.reach_end);
                num_long += usize::from(length == 38);
            }
        }
        check_share(num_sentences, 100_000, 0.3);
        check_share(num_ends, 100_000, 0.2);
        check_share(num_reaching, num_ends, 0.5);
        check_share(num_long, num_ends, 1.0 / 29.0);
    }

    #[test]
    fn spans_follow_the_text_in_their_drawn_order_at_the_positions_of_their_masks() {
        let objective = all_kinds(0.0, 0.0);
        let blanks = blanks(&[1..3, 4..5], MASK, false);
        let example = objective.example(&text(6), &blanks, &[1, 0], true);
        let (begin, end) = (SPECIALS.begin_of_piece, SPECIALS.end_of_piece);
        assert_eq!(example.input_ids, [10, MASK, 13, MASK, 15, END, begin, 14, begin, 11, 12]);
        assert_eq!(example.labels[..6], [NO_LOSS; 6]);
        assert_eq!(example.labels[6..], [14, end, 11, 12, end]);
        assert_eq!(example.position_ids, [0, 1, 2, 3, 4, 5, 3, 3, 1, 1, 1]);
        assert_eq!(example.block_position_ids, [0, 0, 0, 0, 0, 0, 1, 2, 1, 2, 3]);
        assert_eq!(example.prefix_len, 6);
        assert_eq!(objective.invert(&example), Ok(text(6).tokens));
    }

    #[test]
    fn a_share_is_masked_in_spans_apart_of_the_truncated_poisson_lengths() {
        let (mut num_spans, mut num_ones) = (0, 0);
        for number in 0..100_000 {
            let spans = BlankInfilling::default().spans(200, &mut stream(number));
            assert_eq!(spans.iter().map(|span| span.end - span.start).sum::<u32>(), 30);
            assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{spans:?}");
            num_spans += 1;
            num_ones += usize::from(BlankInfilling::default().span_length(&mut stream(number)) == 1);
        }
        let at_least_one = 1.0 - (-3.0_f64).exp();
        check_share(num_ones, num_spans, 3.0 * (-3.0_f64).exp() / at_least_one);
    }

    #[test]
    fn a_short_document_has_nothing_masked() {
        assert_eq!(BlankInfilling::default().spans(6, &mut stream(0)), []);
    }
}
