//! Leaves the tokens as they are and ends the document.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::example::{plain, with_end, without_end};
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `left_to_right`, of which there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftToRight {}

impl ObjectiveSettings for LeftToRight {
    fn example() -> Self {
        Self {}
    }

    fn check(&self, _: u32) -> Vec<String> {
        Vec::new()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(InOrder { specials: *specials })
    }
}

#[derive(Debug)]
struct InOrder {
    specials: Specials,
}

impl Objective for InOrder {
    fn apply(&self, document: &TokenDocument, _: &mut KeyedRandom) -> Vec<Example> {
        vec![left_to_right(document, &self.specials)]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        plain(without_end(&example.input_ids, self.specials.end_of_document)?, &self.specials)
    }
}

/// The document as it is, each token and its end to be predicted from what is before.
pub(super) fn left_to_right(document: &TokenDocument, specials: &Specials) -> Example {
    let input_ids = with_end(&document.tokens, specials);
    Example { labels: input_ids.clone(), input_ids, objective: "left_to_right", ..Example::of_all(document) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{END, SPECIALS, example_of};
    use super::*;

    #[test]
    fn the_document_ends_in_its_token_and_all_of_it_is_learnt() {
        let document = TokenDocument { tokens: vec![10, 11, 12], images: vec![1..3], ..TokenDocument::default() };
        let example = example_of(&LeftToRight {}, &document, 0);
        assert_eq!(example.input_ids, [10, 11, 12, END]);
        assert_eq!(example.labels, example.input_ids);
        assert_eq!((example.images, example.source), (vec![1..3], vec![0..3]));
    }

    #[test]
    fn an_example_with_a_sentinel_is_not_of_this_form() {
        let sentinel = SPECIALS.first_sentinel;
        let example = Example { input_ids: vec![10, sentinel, END], ..Example::default() };
        let refused = LeftToRight {}.build(&SPECIALS).invert(&example);
        assert_eq!(refused, Err(NotInvertible::Misplaced { position: 1, token: sentinel }));
    }
}
