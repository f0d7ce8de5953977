//! Puts retrieved documents in front of a document (RA-CM3, arXiv 2211.12561; CM3Leon, arXiv 2309.02591, figure 9).
//!
//! Who retrieves is the caller: this draws how many of its neighbours a document is given, and lays them out as
//! `[neighbour <break>] × k document`. The result is a document: `causal_masking` as `cm3leon` hides no span across a
//! break of it, and in blocks its end follows as any other's. RA-CM3 gives what was retrieved a tenth of the loss:
//! `causal_masking` with a `retrieved_loss_weight` of 0.1. CM3Leon gives it all of it, which is the default.

use crate::objectives::{Passage, Specials, TokenDocument};
use crate::random::KeyedRandom;

/// How many neighbours a document is given, and which.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retrieval {
    /// At most so many.
    pub max_documents: u32,
    /// Whether that number is drawn.
    pub number: NumRetrieved,
    /// A neighbour with a higher score is too much like the document, and never given.
    pub max_score: f32,
}

/// Whether the number of neighbours is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumRetrieved {
    /// From none to all, each number as likely: the nearest ones (RA-CM3).
    Uniform,
    /// As many as there are: of all neighbours in a drawn order, the first (CM3Leon, `num_retrieved_doc`).
    AsManyAsThereAre,
}

/// A document that was found for another.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour<'a> {
    /// The document.
    pub document: &'a TokenDocument,
    /// How near it is: the cosine of the two, or whatever `max_score` means.
    pub score: f32,
}

impl Retrieval {
    /// RA-CM3's: none, one or two, with a score of 0.9 at most.
    pub const RA_CM3: Self = Self { max_documents: 2, number: NumRetrieved::Uniform, max_score: 0.9 };

    /// CM3Leon's: two of those found by text or image, with a score of 0.9 at most.
    pub const CM3LEON: Self = Self { number: NumRetrieved::AsManyAsThereAre, ..Self::RA_CM3 };

    /// Which of these neighbours, the nearest first, stand in front, in that order.
    pub fn choose(&self, neighbours: &[Neighbour], random: &mut KeyedRandom) -> Vec<usize> {
        let mut chosen: Vec<usize> =
            (0..neighbours.len()).filter(|&index| neighbours[index].score <= self.max_score).collect();
        let number = match self.number {
            NumRetrieved::Uniform => random.within(0, self.max_documents.saturating_add(1)),
            NumRetrieved::AsManyAsThereAre => {
                random.shuffle(&mut chosen);
                self.max_documents
            }
        };
        chosen.truncate(number as usize);
        chosen
    }
}

/// These documents and then this one, with a break behind each but the last, and each as a passage. All in front of the
/// last, breaks included, counts as retrieved.
pub fn in_front(retrieved: &[&TokenDocument], document: &TokenDocument, specials: &Specials) -> TokenDocument {
    let mut joined = TokenDocument::default();
    for (index, part) in retrieved.iter().copied().chain([document]).enumerate() {
        let start = joined.tokens.len() as u32;
        joined.tokens.extend_from_slice(&part.tokens);
        joined.images.extend(part.images.iter().map(|image| image.start + start..image.end + start));
        if index < retrieved.len() {
            joined.passages.push(Passage { tokens: start..joined.tokens.len() as u32, gold_step: None });
            joined.tokens.push(specials.break_);
            joined.retrieved.push(start..joined.tokens.len() as u32);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::{CausalMasking, ObjectiveSettings, TokenId, Variant};

    fn specials() -> Specials {
        Specials::consecutive(1000, 64)
    }

    fn text(first: TokenId, length: i32) -> TokenDocument {
        TokenDocument { tokens: (first..first + length).collect(), images: vec![1..2], ..TokenDocument::default() }
    }

    fn random(number: u32) -> KeyedRandom {
        KeyedRandom::new(4, "retrieval", &number.to_le_bytes(), 0)
    }

    fn choose(retrieval: Retrieval, scores: &[f32]) -> std::collections::BTreeMap<Vec<usize>, u32> {
        let document = TokenDocument::default();
        let neighbours: Vec<_> = scores.iter().map(|&score| Neighbour { document: &document, score }).collect();
        let mut counts = std::collections::BTreeMap::new();
        for number in 0..100_000 {
            *counts.entry(retrieval.choose(&neighbours, &mut random(number))).or_default() += 1;
        }
        counts
    }

    // Four standard deviations of a count of a third of 100,000 are 597, of less likely ones fewer.
    fn check(counts: &std::collections::BTreeMap<Vec<usize>, u32>, expected: &[&[usize]]) {
        assert_eq!(counts.keys().map(Vec::as_slice).collect::<Vec<_>>(), expected);
        let each = 100_000 / expected.len() as u32;
        assert!(counts.values().all(|count| count.abs_diff(each) < 597), "{counts:?}");
    }

    #[test]
    fn none_one_and_two_of_the_nearest_are_as_likely() {
        check(&choose(Retrieval::RA_CM3, &[0.95, 0.9, 0.8, 0.7]), &[&[], &[1], &[1, 2]]);
    }

    #[test]
    fn any_two_in_any_order_are_as_likely() {
        let expected: [&[usize]; 6] = [&[0, 1], &[0, 2], &[1, 0], &[1, 2], &[2, 0], &[2, 1]];
        check(&choose(Retrieval::CM3LEON, &[0.9, 0.8, 0.1, 0.91]), &expected);
    }

    #[test]
    fn fewer_neighbours_are_fewer_documents() {
        check(&choose(Retrieval::CM3LEON, &[0.99, 0.5]), &[&[1]]);
    }

    #[test]
    fn retrieved_documents_stand_in_front_with_a_break_behind_each() {
        let joined = in_front(&[&text(10, 3), &text(20, 2)], &text(30, 2), &specials());
        let break_ = specials().break_;
        assert_eq!(joined.tokens, [10, 11, 12, break_, 20, 21, break_, 30, 31]);
        assert_eq!(joined.images, [1..2, 5..6, 8..9]);
        assert_eq!(joined.passages.iter().map(|passage| passage.tokens.clone()).collect::<Vec<_>>(), [0..3, 4..6]);
        assert_eq!(joined.retrieved, [0..4, 4..7]);
        assert_eq!(in_front(&[], &text(30, 2), &specials()), text(30, 2));
    }

    #[test]
    fn the_loss_on_what_was_retrieved_is_a_tenth_wherever_it_stands() {
        let settings = CausalMasking { lambda: 3.0, retrieved_loss_weight: 0.1, ..CausalMasking::example() };
        let objective = settings.build(&specials());
        let joined = in_front(&[&text(10, 30), &text(100, 30)], &text(200, 30), &specials());
        for number in 0..100_000 {
            let example = objective.apply(&joined, &mut random(number)).swap_remove(0);
            let learnt = example.input_ids.iter().zip(&example.labels).zip(&example.loss_weights);
            for ((&id, &label), &weight) in learnt {
                // The end of a span weighs as much as the token before it, so it may be either.
                let expected = match id {
                    _ if label == crate::objectives::NO_LOSS => 0.0,
                    _ if id == specials().end_of_span => continue,
                    _ if id < 200 || id == specials().break_ => 0.1,
                    _ => 1.0,
                };
                assert_eq!(weight, expected, "{id} in {example:?}");
            }
        }
    }

    #[test]
    fn no_span_of_cm3leon_reaches_from_one_document_into_the_next() {
        let settings = CausalMasking { variant: Variant::Cm3leon, lambda: 3.0, ..CausalMasking::example() };
        let objective = settings.build(&specials());
        let joined = in_front(&[&text(10, 30), &text(100, 30)], &text(200, 30), &specials());
        for number in 0..1000 {
            let example = objective.apply(&joined, &mut random(number)).swap_remove(0);
            assert_eq!(objective.invert(&example), Ok(joined.tokens_of(&example.source)));
            let ids = &example.input_ids;
            let spans_start = ids.iter().rposition(|&id| id == specials().sentinel(0)).unwrap_or(ids.len());
            assert!(!ids[spans_start..].contains(&specials().break_));
        }
    }
}
