//! Lays out two segments for a model that says whether the second follows the first (BERT, arXiv 1810.04805 section 3.1).

use std::ops::Range;

use super::example::{plain, runs_within};
use super::hidden::all_seen;
use super::{Example, NotInvertible, Specials, TokenDocument, TokenId};

/// `[CLS] A [SEP] B [SEP]`, nothing hidden yet; `<bod>` is `[CLS]`, `<eod>` both `[SEP]`.
///
/// A document of two passages is A and B, and B follows A if it has a gold step. Any other is all A.
pub(super) fn two_segments(document: &TokenDocument, specials: &Specials) -> Example {
    let split = split_of(document) as usize;
    let mut input_ids = Vec::with_capacity(document.tokens.len() + 3);
    input_ids.push(specials.begin_of_document);
    input_ids.extend_from_slice(&document.tokens[..split]);
    input_ids.push(specials.end_of_document);
    let mut token_type_ids = vec![0; input_ids.len()];
    input_ids.extend_from_slice(&document.tokens[split..]);
    input_ids.push(specials.end_of_document);
    token_type_ids.resize(input_ids.len(), 1);
    let of_segment = |segment: Range<u32>, at: u32| {
        runs_within(&document.images, segment.clone(), at).map(move |run| (run.start - at + segment.start, run))
    };
    // An image that both segments have tokens of is two runs: a token stands between them.
    let (split, end) = (split as u32, document.tokens.len() as u32);
    let (image_sources, images) = of_segment(0..split, 1).chain(of_segment(split..end, split + 2)).unzip();
    let is_random_next = document.passages.get(1).map(|second| second.gold_step.is_none());
    Example { images, image_sources, token_type_ids, is_random_next, ..all_seen(document, input_ids) }
}

/// Where the token at this position of the document stands in its example.
pub(super) fn laid_out(document: &TokenDocument, position: u32) -> u32 {
    position + 1 + u32::from(position >= split_of(document))
}

/// The tokens of both segments, one after the other, with what is hidden put back.
pub(super) fn segments_of(example: &Example, specials: &Specials) -> Result<Vec<TokenId>, NotInvertible> {
    let tokens = example.revealed(specials)?;
    let split = example.token_type_ids.iter().position(|&segment| segment == 1).unwrap_or(0);
    let expected = |position: usize, token: TokenId| match tokens.get(position) {
        Some(&found) if found == token => Ok(()),
        Some(&token) => Err(NotInvertible::Misplaced { position, token }),
        None => Err(NotInvertible::NoEnd { end_of_document: specials.end_of_document }),
    };
    expected(0, specials.begin_of_document)?;
    // The one behind A is none of `[CLS]`, and the one behind B none of A's.
    let [behind_first, last] = [split.max(2) - 1, tokens.len().saturating_sub(1).max(split)];
    expected(behind_first, specials.end_of_document)?;
    expected(last, specials.end_of_document)?;
    plain(&[&tokens[1..behind_first], &tokens[behind_first + 1..last]].concat(), specials)
}

// Where B begins.
fn split_of(document: &TokenDocument) -> u32 {
    document.passages.get(1).map_or(document.tokens.len() as u32, |second| second.tokens.start)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{BEGIN, END, MASK, SPECIALS, example_of, text};
    use super::super::{Mlm, NO_LOSS, ObjectiveSettings, Passage};
    use super::*;

    // Three tokens and then two.
    fn two(follows: bool) -> TokenDocument {
        let passage = |tokens, gold_step| Passage { tokens, gold_step };
        let passages = vec![passage(0..3, Some(0)), passage(3..5, follows.then_some(1))];
        TokenDocument { images: vec![1..2, 3..5], passages, ..text(5) }
    }

    #[test]
    fn two_segments_have_one_token_in_front_and_one_behind_each() {
        let example = two_segments(&two(true), &SPECIALS);
        assert_eq!(example.input_ids, [BEGIN, 10, 11, 12, END, 13, 14, END]);
        assert_eq!(example.token_type_ids, [0, 0, 0, 0, 0, 1, 1, 1]);
        assert_eq!((example.images, example.prefix_len), (vec![2..3, 5..7], 8));
        assert_eq!((example.image_sources, example.is_random_next), (vec![1, 3], Some(false)));
        let across = TokenDocument { images: vec![2..4], ..two(true) };
        let Example { images, image_sources, .. } = two_segments(&across, &SPECIALS);
        assert_eq!((images, image_sources), (vec![3..4, 5..6], vec![2, 3]));
        assert_eq!(two_segments(&two(false), &SPECIALS).is_random_next, Some(true));
    }

    #[test]
    fn tokens_around_segments_are_never_predicted_and_count_for_the_share() {
        let settings =
            Mlm { next_sentence: true, probability: 0.25, random_share: 0.0, keep_share: 0.0, ..Mlm::example() };
        for number in 0..200 {
            let example = example_of(&settings, &two(true), number);
            let hidden: Vec<usize> = (0..8).filter(|&position| example.labels[position] != NO_LOSS).collect();
            // A quarter of eight, of which five may be hidden.
            assert_eq!(hidden.len(), 2);
            assert!(hidden.iter().all(|position| ![0, 4, 7].contains(position)));
            assert!(hidden.iter().all(|&position| example.input_ids[position] == MASK));
            assert_eq!(settings.build(&SPECIALS).invert(&example), Ok(text(5).tokens));
        }
    }

    #[test]
    fn what_does_not_stand_around_its_segments_is_no_pair() {
        let whole = two_segments(&two(true), &SPECIALS);
        for (position, token) in [(0, 10), (4, 10), (7, 10)] {
            let mut example = whole.clone();
            example.input_ids[position] = token;
            assert_eq!(segments_of(&example, &SPECIALS), Err(NotInvertible::Misplaced { position, token }));
        }
        for length in 0..8 {
            let mut example = whole.clone();
            example.input_ids.truncate(length);
            example.labels.truncate(length);
            example.token_type_ids.truncate(length);
            assert!(segments_of(&example, &SPECIALS).is_err(), "{length}");
        }
    }
}
