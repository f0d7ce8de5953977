//! Counts the tokens of a document that are in none of its examples.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Example, ObjectiveConfig};

impl ObjectiveConfig {
    /// For each of a document's examples, how many of its tokens were left out: the first example of each view and
    /// [pass](super::ObjectiveSettings::pass) has those that are in no example of that pass, the others have none.
    ///
    /// So they add up: over all examples, and over all documents.
    pub fn left_out(&self, num_tokens: u32, examples: &[Example]) -> Vec<u32> {
        let mut passes: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, example) in examples.iter().enumerate() {
            let pass = (example.view, self.pass(example.part, example.branch));
            passes.entry(pass).or_default().push(index);
        }
        let mut left_out = vec![0; examples.len()];
        for of_pass in passes.values() {
            let sources = of_pass.iter().flat_map(|&index| examples[index].source.iter().cloned()).collect();
            left_out[of_pass[0]] = num_tokens.saturating_sub(num_covered(sources));
        }
        left_out
    }
}

// How many numbers are in these ranges, each counted once.
fn num_covered(mut ranges: Vec<Range<u32>>) -> u32 {
    ranges.sort_unstable_by_key(|range| range.start);
    let (mut covered, mut upto) = (0, 0);
    for range in ranges {
        covered += range.end.saturating_sub(upto.max(range.start));
        upto = upto.max(range.end);
    }
    covered
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::testing::{SPECIALS, stream, text};
    use super::super::{
        BidirectionalCausal, Biphasic, Branches, CausalMasking, MaskedDiffusion, Mixture, ObjectiveSettings, Part,
        SpanCorruption, Variant,
    };
    use super::*;

    fn example(view: u32, branch: u32, source: &[Range<u32>]) -> Example {
        Example { view, branch, source: source.to_vec(), ..Example::default() }
    }

    fn in_pieces() -> ObjectiveConfig {
        ObjectiveConfig::SpanCorruption(SpanCorruption::example())
    }

    #[test]
    fn pieces_leave_out_what_none_of_them_has() {
        let examples = [example(0, 0, &[0..4, 5..8]), example(0, 1, &[8..9]), example(0, 2, &[2..6, 12..20])];
        // 9, 10 and 11 of twenty.
        assert_eq!(in_pieces().left_out(20, &examples), [3, 0, 0]);
    }

    #[test]
    fn each_view_counts_by_itself() {
        let examples = [example(0, 0, &[0..10]), example(1, 0, &[0..4]), example(1, 1, &[4..9])];
        assert_eq!(in_pieces().left_out(10, &examples), [0, 1, 0]);
    }

    #[test]
    fn each_phase_counts_by_itself() {
        let examples = [example(0, 0, &[0..10]), example(0, 1, &[0..7])];
        assert_eq!(ObjectiveConfig::Biphasic(Biphasic::example()).left_out(10, &examples), [0, 3]);
    }

    #[test]
    fn no_example_leaves_out_nothing_to_be_counted_here() {
        assert_eq!(in_pieces().left_out(10, &[]), [0; 0]);
        assert_eq!(in_pieces().left_out(10, &[example(0, 0, &[])]), [10]);
    }

    fn num_left_out(objective: &ObjectiveConfig, num_tokens: u32) -> u32 {
        let examples = objective.build(&SPECIALS).apply(&text(num_tokens), &mut stream(1));
        objective.left_out(num_tokens, &examples).into_iter().sum()
    }

    #[test]
    fn objectives_that_lose_nothing_leave_out_nothing_and_others_what_they_lose() {
        let both = BidirectionalCausal { branches: Branches::Both, ..BidirectionalCausal::example() };
        let max_tokens = NonZeroU32::new(20);
        let pieces =
            CausalMasking { variant: Variant::Fairseq, max_tokens, min_spans: Some(3), ..CausalMasking::example() };
        let diffusion = MaskedDiffusion { max_tokens, random_length_share: Some(0.0), ..MaskedDiffusion::example() };
        let whole = [
            ObjectiveConfig::Biphasic(Biphasic::example()),
            ObjectiveConfig::BidirectionalCausal(both),
            ObjectiveConfig::SpanCorruption(SpanCorruption { max_tokens, ..SpanCorruption::example() }),
            ObjectiveConfig::MaskedDiffusion(diffusion.clone()),
        ];
        for objective in whole {
            assert_eq!(num_left_out(&objective, 90), 0, "{objective:?}");
            let part = Part { weight: 1.0, objective };
            assert_eq!(num_left_out(&ObjectiveConfig::Mixture(Mixture { parts: vec![part] }), 90), 0);
        }
        // Each piece of 20 loses its end to the three tokens or more that were added, and the last has room.
        assert!(num_left_out(&ObjectiveConfig::CausalMasking(pieces), 90) >= 4 * 3);
        let one_token = MaskedDiffusion { max_tokens: NonZeroU32::new(2), random_length_share: Some(1.0), ..diffusion };
        assert!((1..90).contains(&num_left_out(&ObjectiveConfig::MaskedDiffusion(one_token), 90)));
    }
}
