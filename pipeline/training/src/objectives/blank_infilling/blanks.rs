//! Which tokens of a text are predicted: short spans, sentences, or one long span.

use std::ops::Range;

use super::super::{TokenDocument, TokenId};
use super::{BlankInfilling, BlanksThenSpans};
use crate::random::KeyedRandom;

/// No short span has more tokens than this.
pub(super) const LONGEST_SPAN: u32 = 39;

const DRAWS_BEFORE_ONE: u32 = 1000;

/// Spans in order, what stands for each in the text, and how the example is called.
pub(super) struct Blanks {
    pub(super) spans: Vec<Range<u32>>,
    pub(super) mask: TokenId,
    /// Whether the last span is the end of its text, and what ends it is predicted, too.
    pub(super) reach_end: bool,
    pub(super) objective: &'static str,
}

impl BlanksThenSpans {
    /// Where it lies between 0 and 1 says whether an end is predicted, sentences, or short spans.
    pub(super) fn kind(&self, random: &mut KeyedRandom) -> f64 {
        let several_kinds = self.settings.end_share + self.settings.sentence_share > 0.0;
        if several_kinds { random.uniform() } else { 1.0 }
    }

    /// The blanks of this kind in a text.
    pub(super) fn blanks(&self, document: &TokenDocument, kind: f64, random: &mut KeyedRandom) -> Blanks {
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
}

impl BlankInfilling {
    // Spans in order, with at least one token between two.
    fn spans(&self, num_tokens: u32, random: &mut KeyedRandom) -> Vec<Range<u32>> {
        let wanted = (f64::from(num_tokens) * self.masked_share) as u32;
        let (mut lengths, mut num_masked) = (Vec::new(), 0);
        while num_masked < wanted {
            // GLM leaves out a text that has no room for its spans; here the last one is as long as there is room.
            let room = num_tokens - num_masked - lengths.len() as u32;
            let length = self.span_length(random).min(room);
            lengths.push(length);
            num_masked += length;
        }
        // The last one drawn is longer than others in the mean, and may stand anywhere.
        random.shuffle(&mut lengths);
        apart(&lengths, num_tokens, random)
    }

    fn span_length(&self, random: &mut KeyedRandom) -> u32 {
        let mut draws = (0..DRAWS_BEFORE_ONE).map(|_| random.poisson(self.mean_span_length));
        draws.find(|length| (1..=LONGEST_SPAN).contains(length)).unwrap_or(1)
    }
}

// Spans of these lengths among so many tokens, at places that are drawn each by itself (`sample_spans`).
fn apart(lengths: &[u32], num_tokens: u32, random: &mut KeyedRandom) -> Vec<Range<u32>> {
    let num_spans = lengths.len() as u32;
    let num_seen = num_tokens - lengths.iter().sum::<u32>();
    // One seen token stands behind each span but the last, and the others may stand anywhere.
    let mut places: Vec<u32> = lengths.iter().map(|_| random.within(0, num_seen + 2 - num_spans)).collect();
    places.sort_unstable();
    let mut before = 0;
    let span = |(place, &length)| {
        let start = place + before;
        before += length + 1;
        start..start + length
    };
    places.into_iter().zip(lengths).map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{FULL_STOP, SPECIALS, check_share, stream, text};
    use super::super::testing::all_kinds;
    use super::*;

    fn drawn_blanks(objective: &BlanksThenSpans, document: &TokenDocument, number: u32) -> Blanks {
        let random = &mut stream(number);
        let kind = objective.kind(random);
        objective.blanks(document, kind, random)
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
    fn spans_apart_of_the_truncated_poisson_lengths_reach_the_share_and_none_is_shortened() {
        let (mut num_spans, mut num_ones, mut num_beyond) = (0, 0, 0);
        for number in 0..100_000 {
            let spans = BlankInfilling::default().spans(200, &mut stream(number));
            let num_masked = spans.iter().map(|span| span.end - span.start).sum::<u32>();
            let longest = spans.iter().map(|span| span.end - span.start).max().unwrap_or(0);
            assert!((30..30 + longest).contains(&num_masked), "{spans:?}");
            assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{spans:?}");
            assert!(spans.last().is_some_and(|last| last.end <= 200), "{spans:?}");
            num_spans += 1;
            num_ones += usize::from(BlankInfilling::default().span_length(&mut stream(number)) == 1);
            num_beyond += num_masked - 30;
        }
        let at_least_one = 1.0 - (-3.0_f64).exp();
        check_share(num_ones, num_spans, 3.0 * (-3.0_f64).exp() / at_least_one);
        // A length X goes beyond by (E[X (X - 1)] / 2) / E[X] in the mean: 9 / 2 over 3, whatever was cut off at 0. Four
        // standard deviations of the mean are 0.02.
        let beyond = f64::from(num_beyond) / 100_000.0;
        assert!((beyond - 1.5).abs() < 0.02, "{beyond}");
    }

    #[test]
    fn places_are_drawn_each_by_itself_so_that_spans_are_seldom_as_near_as_can_be() {
        let mut counts = std::collections::BTreeMap::<_, usize>::new();
        for number in 0..100_000 {
            let spans = apart(&[1, 1], 4, &mut stream(number));
            *counts.entry(spans.iter().map(|span| span.start).collect::<Vec<_>>()).or_default() += 1;
        }
        let expected = [(vec![0, 2], 0.25), (vec![0, 3], 0.5), (vec![1, 3], 0.25)];
        assert_eq!(counts.len(), expected.len());
        expected.into_iter().for_each(|(starts, share)| check_share(counts[&starts], 100_000, share));
    }

    #[test]
    fn any_span_of_a_document_may_be_the_one_that_reaches_the_share() {
        // Of two spans, the one that was drawn first is shorter than what is wanted.
        let settings = BlankInfilling { masked_share: 0.25, ..BlankInfilling::default() };
        let (mut num_pairs, mut num_longer_first) = (0, 0);
        for number in 0..100_000 {
            let spans = settings.spans(20, &mut stream(number));
            if let [first, second] = &spans[..] {
                num_pairs += usize::from(first.len() != second.len());
                num_longer_first += usize::from(first.len() > second.len());
            }
        }
        check_share(num_longer_first, num_pairs, 0.5);
    }

    #[test]
    fn a_document_without_room_for_its_last_span_has_as_much_of_it_as_there_is() {
        let settings = BlankInfilling { mean_span_length: 39.0, ..BlankInfilling::default() };
        for number in 0..1000 {
            assert_eq!(settings.spans(7, &mut stream(number)), [0..7]);
            let most = BlankInfilling { masked_share: 0.5, mean_span_length: 0.01, ..BlankInfilling::default() };
            assert!(most.spans(9, &mut stream(number)).last().is_some_and(|last| last.end <= 9));
        }
    }

    #[test]
    fn a_short_document_has_nothing_masked() {
        assert_eq!(BlankInfilling::default().spans(6, &mut stream(0)), []);
    }
}
