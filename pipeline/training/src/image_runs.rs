//! Which image a run of tokens is of.

use std::ops::Range;

use crate::objectives::Example;

/// Some tokens of one image, where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRun {
    /// The image's key.
    pub image: [u8; 16],
    /// Where they stand, in tokens of a document, an example or a piece of one. Never none.
    pub tokens: Range<u32>,
    /// How many of the image's tokens come before them: 0 where the run has its first one.
    pub offset: u32,
}

impl ImageRun {
    /// What of these runs, which are in order, lies in the stretch `from`, which now starts `at`.
    pub fn within(runs: &[Self], from: Range<u32>, at: u32) -> impl Iterator<Item = Self> {
        let first = runs.partition_point(|run| run.tokens.end <= from.start);
        let inside = runs[first..].iter().take_while(move |run| run.tokens.start < from.end);
        inside.map(move |run| {
            let (start, end) = (run.tokens.start.max(from.start), run.tokens.end.min(from.end));
            Self {
                image: run.image,
                tokens: start - from.start + at..end - from.start + at,
                offset: run.offset + start - run.tokens.start,
            }
        })
    }

    /// The runs of an example, where these are its document's.
    pub fn of_example(runs: &[Self], example: &Example) -> Vec<Self> {
        let of_run = |(tokens, source): (&Range<u32>, &u32)| {
            let run = runs.get(runs.partition_point(|run| run.tokens.end <= *source))?;
            Some(Self { image: run.image, tokens: tokens.clone(), offset: run.offset + source - run.tokens.start })
        };
        example.images.iter().zip(&example.image_sources).filter_map(of_run).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(image: u8, tokens: Range<u32>, offset: u32) -> ImageRun {
        ImageRun { image: [image; 16], tokens, offset }
    }

    #[test]
    fn a_stretch_has_the_middle_of_an_image_from_its_own_token_on() {
        let runs = [run(1, 0..4, 0), run(2, 6..10, 3), run(3, 12..13, 0)];
        let within = |from, at| ImageRun::within(&runs, from, at).collect::<Vec<_>>();
        assert_eq!(within(2..8, 100), [run(1, 100..102, 2), run(2, 104..106, 3)]);
        assert_eq!(within(7..9, 0), [run(2, 0..2, 4)]);
        assert_eq!(within(4..6, 0), []);
        assert_eq!(within(0..20, 5), [run(1, 5..9, 0), run(2, 11..15, 3), run(3, 17..18, 0)]);
    }

    #[test]
    fn runs_that_an_objective_has_moved_are_traced_to_their_images() {
        let runs = [run(1, 0..4, 0), run(2, 6..10, 3)];
        let example = Example { images: vec![1..3, 5..9, 9..11], image_sources: vec![8, 0, 6], ..Example::default() };
        assert_eq!(ImageRun::of_example(&runs, &example), [run(2, 1..3, 5), run(1, 5..9, 0), run(2, 9..11, 3)]);
    }
}
