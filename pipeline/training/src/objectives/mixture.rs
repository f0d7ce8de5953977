//! Draws one of several objectives for each document, which its example says.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CausalMasking, Example, LeftToRight, NotInvertible, Objective, ObjectiveConfig, ObjectiveSettings, Specials,
    TextTokens, TokenColumns, TokenDocument, TokenId,
};
use crate::random::KeyedRandom;

/// Settings of `mixture`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// What is drawn from. An example's `part` is an index into this list.
    pub parts: Vec<Part>,
}

/// One objective of a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// How often this objective is drawn, as a share of all weights.
    pub weight: f64,
    /// What is made then; any but another mixture.
    pub objective: ObjectiveConfig,
}

impl ObjectiveSettings for Mixture {
    fn example() -> Self {
        let left_to_right = ObjectiveConfig::LeftToRight(LeftToRight::example());
        let causal_masking = ObjectiveConfig::CausalMasking(CausalMasking::example());
        let parts = [(0.25, left_to_right), (0.75, causal_masking)];
        Self { parts: parts.map(|(weight, objective)| Part { weight, objective }).into() }
    }

    fn check(&self, num_sentinels: u32) -> Vec<String> {
        let mut problems = Vec::new();
        let is_weight = |part: &Part| (0.0..=1e9).contains(&part.weight);
        if !self.parts.iter().all(is_weight) || !self.parts.iter().any(|part| part.weight > 0.0) {
            problems.push("no weight may be negative, and one must be above 0".to_owned());
        }
        let of_blocks = self.parts.iter().position(|part| part.objective.takes_blocks());
        let of_documents = self.parts.iter().position(|part| !part.objective.takes_blocks());
        if let (Some(blocks), Some(documents)) = (of_blocks, of_documents) {
            problems.push(format!(
                "part {blocks} takes packed blocks, but part {documents} single documents: a mixture has the one or the other"
            ));
        }
        for (index, part) in self.parts.iter().enumerate() {
            if matches!(part.objective, ObjectiveConfig::Mixture(_)) {
                problems.push(format!("part {index} is a mixture itself: give its parts here"));
            }
            if part.objective.next_sentence().is_some() {
                problems.push(format!(
                    "part {index} has `next_sentence`: documents are cut into pairs before a part is drawn, so it stands alone"
                ));
            }
            let of_part = part.objective.check(num_sentinels);
            problems.extend(of_part.into_iter().map(|problem| format!("part {index}: {problem}")));
        }
        problems
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        let objectives = self.parts.iter().map(|part| part.objective.build(specials)).collect();
        Arc::new(OneOf { weights: self.parts.iter().map(|part| part.weight).collect(), objectives })
    }

    fn build_with_text(&self, specials: &Specials, text: &Arc<dyn TextTokens>) -> Arc<dyn Objective> {
        let objectives = self.parts.iter().map(|part| part.objective.build_with_text(specials, text)).collect();
        Arc::new(OneOf { weights: self.parts.iter().map(|part| part.weight).collect(), objectives })
    }

    fn reads_text(&self) -> bool {
        self.parts.iter().any(|part| part.objective.reads_text())
    }

    fn cuts_text(&self) -> bool {
        self.parts.iter().any(|part| part.objective.cuts_text())
    }

    fn takes_blocks(&self) -> bool {
        self.parts.iter().any(|part| part.objective.takes_blocks())
    }

    fn token_columns(&self) -> TokenColumns {
        self.parts.iter().map(|part| part.objective.token_columns()).fold(TokenColumns::default(), TokenColumns::or)
    }

    fn pass(&self, part: u32, branch: u32) -> u32 {
        self.parts.get(part as usize).map_or(0, |part| part.objective.pass(0, branch))
    }

    fn phase(&self, part: u32, branch: u32) -> u32 {
        self.parts.get(part as usize).map_or(0, |part| part.objective.phase(0, branch))
    }

    fn num_phases(&self) -> u32 {
        self.parts.iter().map(|part| part.objective.num_phases()).max().unwrap_or(1)
    }

    fn is_invertible(&self) -> bool {
        self.parts.iter().all(|part| part.objective.is_invertible())
    }
}

#[derive(Debug)]
struct OneOf {
    weights: Vec<f64>,
    objectives: Vec<Arc<dyn Objective>>,
}

impl Objective for OneOf {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let drawn = random.weighted(&self.weights);
        let Some(objective) = self.objectives.get(drawn) else {
            return Vec::new(); // of no objectives there is no example, which `check` says
        };
        let of_part = |example| Example { part: drawn as u32, ..example };
        objective.apply(document, random).into_iter().map(of_part).collect()
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let other = NotInvertible::OtherObjective { objective: example.objective };
        self.objectives.get(example.part as usize).ok_or(other)?.invert(example)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{SPECIALS, check_share, example_of, text};
    use super::*;

    #[test]
    fn each_part_is_drawn_with_its_weight_and_named() {
        let examples: Vec<_> = (0..100_000).map(|number| example_of(&Mixture::example(), &text(4), number)).collect();
        let first = examples.iter().filter(|example| example.objective == "left_to_right");
        assert!(first.clone().all(|example| example.part == 0));
        check_share(first.count(), 100_000, 0.25);
        let second = examples.iter().filter(|example| example.objective == "causal_masking/paper" && example.part == 1);
        check_share(second.count(), 100_000, 0.75);
    }

    #[test]
    fn an_unknown_part_is_not_invertible() {
        let example = Example { part: 7, ..example_of(&Mixture::example(), &text(4), 0) };
        assert!(Mixture::example().build(&SPECIALS).invert(&example).is_err());
    }

    #[test]
    fn problems_of_parts_are_named_with_their_part() {
        let mut mixture = Mixture::example();
        mixture.parts[0].weight = -1.0;
        mixture.parts[1].objective = ObjectiveConfig::Mixture(Mixture { parts: Vec::new() });
        let problems = mixture.check(16);
        assert_eq!(problems.len(), 3);
        assert!(problems[2].starts_with("part 1: no weight"), "{problems:?}");
    }
}
