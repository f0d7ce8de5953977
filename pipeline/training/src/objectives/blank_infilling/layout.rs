//! Where the tokens of a text go: masks in place of its spans, then the spans in their drawn order.

use super::super::pieces::Pieces;
use super::super::{Example, NO_LOSS, Predicts, TokenDocument};
use super::BlanksThenSpans;
use super::blanks::Blanks;
use crate::random::KeyedRandom;

impl BlanksThenSpans {
    /// The example of a document, or of a stretch of one that isn't its last.
    pub(super) fn example(&self, document: &TokenDocument, blanks: &Blanks, order: &[usize], is_last: bool) -> Example {
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

    /// Hides tokens of short spans where the spans are predicted.
    pub(super) fn mask_blocks(&self, example: &mut Example, blanks: &Blanks, random: &mut KeyedRandom) {
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
}

#[cfg(test)]
mod tests {
    use super::super::super::Objective;
    use super::super::super::testing::{END, MASK, SPECIALS, check_share, stream, text};
    use super::super::BlankInfilling;
    use super::super::testing::{all_kinds, blanks, of_pieces};
    use super::*;

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
}
