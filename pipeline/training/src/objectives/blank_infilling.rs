//! Replaces spans by masks and has them predicted behind the text, in random order (GLM, arXiv 2103.10360).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pieces::Pieces;
use super::{
    Example, NO_LOSS, NotInvertible, Objective, ObjectiveSettings, Predicts, Specials, TextTokens, TokenColumns,
    TokenDocument, TokenId,
};
use crate::random::KeyedRandom;

/// Settings of `blank_infilling`: GLM's short spans (`[MASK]`) and, as shares of documents, its sentences and ends.
///
/// An example is `text with <mask> <eod>`, which is seen in both directions, then each span as
/// `<begin_of_piece> span`, whose labels are `span <end_of_piece>`, each at the position that predicts it.
/// `position_ids` count the text, in which spans have the position of their mask; `block_position_ids` are 0 in the
/// text and count each span from 1 (`blocklm_utils.py`, `ConstructBlockStrategy`). Sentences stand behind
/// `<sentence_mask>` and ends behind `<end_mask>`; where the document's very end is predicted, the text has no `<eod>`,
/// which is the last label instead of `<end_of_piece>`. GLM-10B has 0.3 of sentences and 0.2 of ends.
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
}

const LONGEST_SPAN: u32 = 39;
const DRAWS_BEFORE_ONE: u32 = 1000;

impl Default for BlankInfilling {
    fn default() -> Self {
        Self { masked_share: 0.15, mean_span_length: 3.0, sentence_share: 0.0, end_share: 0.0, min_end: 0.25 }
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
        self.sentence_share > 0.0
    }

    fn token_columns(&self) -> TokenColumns {
        TokenColumns { position_ids: true, block_position_ids: true, ..TokenColumns::default() }
    }
}

#[derive(Debug)]
struct BlanksThenSpans {
    settings: BlankInfilling,
    specials: Specials,
    // Where sentences are predicted.
    text: Option<Arc<dyn TextTokens>>,
}

// Spans in order, what stands for each in the text, and how the example is called.
struct Blanks {
    spans: Vec<Range<u32>>,
    mask: TokenId,
    // Whether the last span is the document's end, and its end is predicted, too.
    reach_end: bool,
    objective: &'static str,
}

impl Objective for BlanksThenSpans {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let blanks = self.blanks(document, random);
        let mut order: Vec<usize> = (0..blanks.spans.len()).collect();
        random.shuffle(&mut order);
        vec![self.example(document, &blanks, &order)]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let specials = &self.specials;
        let (text, spans) = example.input_ids.split_at((example.prefix_len as usize).min(example.input_ids.len()));
        let text = match text.last() {
            Some(&last) if last == specials.end_mask => text,
            _ => super::example::without_end(text, specials.end_of_document)?,
        };
        // A span's first token is the one that begins it, and all have the position of its mask.
        let mut of_mask: HashMap<usize, Vec<TokenId>> = HashMap::new();
        for (&id, &at) in spans.iter().zip(example.position_ids.iter().skip(example.prefix_len as usize)) {
            if id != specials.begin_of_piece {
                of_mask.entry(at as usize).or_default().push(id);
            }
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
    fn blanks(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Blanks {
        let (settings, specials) = (&self.settings, &self.specials);
        let num_tokens = document.tokens.len() as u32;
        let several_kinds = settings.end_share + settings.sentence_share > 0.0;
        let kind = if several_kinds { random.uniform() } else { 1.0 };
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
        let Some(text) = &self.text else { return Vec::new() };
        let ends = |&token: &TokenId| {
            let of_token = if self.specials.is_text(token) { text.text(&[token]) } else { None };
            of_token.is_some_and(|of_token| of_token.contains(['.', '?', '!', ';', ':', '\n']))
        };
        let mut start = 0;
        let mut sentence = |tokens: &[TokenId]| {
            start += tokens.len() as u32;
            start - tokens.len() as u32..start
        };
        let mut sentences: Vec<_> = document.tokens.split_inclusive(ends).map(&mut sentence).collect();
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

    fn example(&self, document: &TokenDocument, blanks: &Blanks, order: &[usize]) -> Example {
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
        if !blanks.reach_end {
            pieces.special(self.specials.end_of_document);
        }
        let end = if blanks.reach_end { self.specials.end_of_document } else { self.specials.end_of_piece };
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

    #[test]
    fn an_end_is_predicted_with_the_end_of_its_document() {
        let objective = all_kinds(0.0, 1.0);
        let example = objective.example(&text(4), &blanks(&[2..4], SPECIALS.end_mask, true), &[0]);
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
            let blanks = objective.blanks(&document, &mut stream(number));
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
            let blanks = objective.blanks(&document, &mut stream(number));
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
        let example = objective.example(&text(6), &blanks, &[1, 0]);
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
