//! What is wrong with settings that would mask nothing, or less than is asked for, or that do nothing.

use std::num::NonZeroU32;

use super::variants::Unit;
use super::{CausalMasking, NumSpans, SpansAcross};

/// `<s> <s> token <eoss>` and the document's end: an example in which a token is masked.
const SHORTEST: u32 = 5;

/// A vocabulary may have fewer sentinels than a variant if no more documents than this have fewer spans for it.
const LOSS_OF_SPANS: f64 = 0.001;

impl CausalMasking {
    /// Whether the vocabulary has fewer sentinels than documents are given spans, unless those asked for are refused as such.
    pub(super) fn too_few_sentinels(&self, num_sentinels: u32) -> Option<String> {
        let asked = [self.min_spans, self.num_sentinels].into_iter().flatten();
        if self.max_spans.is_some() || asked.into_iter().any(|asked| asked > num_sentinels) {
            return None;
        }
        if num_sentinels == 0 {
            return Some("the vocabulary's num_sentinels is 0, but each span needs a sentinel: raise it".to_owned());
        }
        let published = self.variant.max_spans(self.num_sentinels());
        let most = self.variant.max_spans(self.num_sentinels().min(num_sentinels));
        let share = match self.num_spans {
            NumSpans::Fixed => f64::from(u32::from(self.lambda as u32 > most)),
            NumSpans::Poisson => poisson_above(self.lambda, most),
        };
        (most < published && share > LOSS_OF_SPANS).then(|| {
            format!(
                "the vocabulary's num_sentinels is {num_sentinels}, so that no document has more than {most} spans, but \
                 lambda = {} is more for {:.1} % of them: raise the vocabulary's num_sentinels, or set max_spans to {most}",
                self.lambda,
                100.0 * share
            )
        })
    }

    /// Whether examples are so short that nothing could be masked in any.
    pub(super) fn too_few_tokens(&self) -> Option<String> {
        let shortest = SHORTEST - u32::from(self.variant.unit() == Unit::Block);
        let max_tokens = self.max_tokens.map(NonZeroU32::get).filter(|&max_tokens| max_tokens < shortest)?;
        Some(format!("max_tokens is {max_tokens}, but an example in which one token is masked has {shortest}"))
    }

    /// Settings that were given and do nothing beside the others.
    pub(super) fn without_effect(&self) -> Vec<&'static str> {
        let is_block = self.variant.unit() == Unit::Block;
        let clips_documents = self.spans_across == Some(SpansAcross::Clip) && !is_block;
        let rotates = self.full_document_rotation > 0.0;
        [
            (
                rotates && !is_block,
                "full_document_rotation does nothing for single documents: choose the variant `metaseq` or `cm3leon`",
            ),
            (
                rotates && is_block && !self.clips(),
                "full_document_rotation does nothing where spans aren't clipped: set spans_across to `clip`",
            ),
            (
                clips_documents,
                "spans_across does nothing for single documents: leave it out, or choose the variant `metaseq` or `cm3leon`",
            ),
            (
                self.over_length.is_some() && self.max_tokens.is_none() && !is_block,
                "over_length does nothing where no example is too long: set max_tokens, or leave it out",
            ),
            (
                self.reference_compat && self.size_hints.is_some(),
                "size_hints are not in the published code that reference_compat follows: leave out one of the two",
            ),
        ]
        .into_iter()
        .filter_map(|(does_nothing, problem)| does_nothing.then_some(problem))
        .collect()
    }
}

// How likely a Poisson number of mean `lambda` is above this one.
fn poisson_above(lambda: f64, number: u32) -> f64 {
    let (mut likely, mut upto) = (libm::exp(-lambda), 0.0);
    for next in 1..=number.saturating_add(1) {
        upto += likely;
        likely *= lambda / f64::from(next);
    }
    1.0 - upto
}

#[cfg(test)]
mod tests {
    use super::super::{ObjectiveSettings, OverLength, SizeHints, Variant};
    use super::*;

    fn check(settings: &CausalMasking, num_sentinels: u32, expected: &[&str]) {
        let problems = settings.check(num_sentinels);
        let matches = problems.iter().zip(expected).all(|(problem, part)| problem.contains(part));
        assert!(problems.len() == expected.len() && matches, "{settings:?}: {problems:?}");
    }

    #[test]
    fn a_vocabulary_with_fewer_sentinels_than_spans_are_drawn_is_refused() {
        let of = |lambda, num_spans| CausalMasking { lambda, num_spans, ..CausalMasking::default() };
        check(&of(1.0, NumSpans::Poisson), 0, &["num_sentinels is 0"]);
        check(&of(1.0, NumSpans::Poisson), 1, &["more for 26.4 % of them"]);
        check(&of(1.0, NumSpans::Poisson), 8, &[]);
        check(&of(1.0, NumSpans::Fixed), 1, &[]);
        check(&of(3.0, NumSpans::Fixed), 2, &["more for 100.0 % of them"]);
        check(&of(3.0, NumSpans::Fixed), 3, &[]);
        // What is published has no more either.
        check(&of(30.0, NumSpans::Poisson), 16, &[]);
        check(&CausalMasking { variant: Variant::Metaseq, ..CausalMasking::default() }, 256, &[]);
    }

    #[test]
    fn as_many_spans_as_a_job_limits_itself_to_may_have_as_many_sentinels() {
        check(&CausalMasking { max_spans: Some(1), ..CausalMasking::default() }, 1, &[]);
        check(&CausalMasking { num_sentinels: Some(1), ..CausalMasking::default() }, 1, &[]);
        check(&CausalMasking { max_spans: Some(2), ..CausalMasking::default() }, 1, &["max_spans is 2"]);
    }

    #[test]
    fn examples_that_cannot_have_a_span_are_refused() {
        let of = |variant, max_tokens| CausalMasking {
            variant,
            max_tokens: NonZeroU32::new(max_tokens),
            ..CausalMasking::default()
        };
        check(&of(Variant::Fairseq, 1), 256, &["max_tokens is 1"]);
        check(&of(Variant::Paper, 4), 256, &["has 5"]);
        check(&of(Variant::Paper, 5), 256, &[]);
        check(&of(Variant::Metaseq, 3), 256, &["has 4"]);
        check(&of(Variant::Metaseq, 4), 256, &[]);
    }

    #[test]
    fn settings_that_do_nothing_are_refused_and_no_defaults() {
        let of = |variant| CausalMasking { variant, ..CausalMasking::default() };
        for variant in [Variant::Paper, Variant::Fairseq, Variant::Incoder, Variant::Metaseq, Variant::Cm3leon] {
            check(&of(variant), 512, &[]);
            check(&CausalMasking { reference_compat: true, ..of(variant) }, 512, &[]);
        }
        let clip = Some(SpansAcross::Clip);
        check(&CausalMasking { spans_across: clip, ..of(Variant::Paper) }, 16, &["spans_across does nothing"]);
        check(&CausalMasking { spans_across: clip, ..of(Variant::Metaseq) }, 512, &[]);
        let rotation = |settings| CausalMasking { full_document_rotation: 0.5, ..settings };
        check(&rotation(of(Variant::Paper)), 16, &["full_document_rotation does nothing for single documents"]);
        check(&rotation(of(Variant::Metaseq)), 512, &["full_document_rotation does nothing where spans"]);
        check(&rotation(of(Variant::Cm3leon)), 512, &[]);
        let over_length = Some(OverLength::DropEnd);
        check(&CausalMasking { over_length, ..of(Variant::Paper) }, 16, &["over_length does nothing"]);
        check(&CausalMasking { over_length, ..of(Variant::Metaseq) }, 512, &[]);
        let hints = CausalMasking { size_hints: Some(SizeHints::default()), ..of(Variant::Paper) };
        check(&CausalMasking { reference_compat: true, ..hints.clone() }, 16, &["size_hints are not in"]);
        check(&hints, 16, &[]);
    }
}
