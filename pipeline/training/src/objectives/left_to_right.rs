//! Leaves the tokens as they are and ends the document.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::example::without_end;
use super::{Example, NotInvertible, Objective, ObjectiveSettings, Specials, TokenDocument, TokenId};
use crate::random::KeyedRandom;

/// Settings of `left_to_right`, of which there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    fn apply(&self, document: &TokenDocument, _: &mut KeyedRandom) -> Example {
        let mut input_ids = Vec::with_capacity(document.tokens.len() + 1);
        input_ids.extend_from_slice(&document.tokens);
        input_ids.push(self.specials.end_of_document);
        Example { labels: input_ids.clone(), input_ids, images: document.images.clone() }
    }

    fn invert(&self, example: &[TokenId]) -> Result<Vec<TokenId>, NotInvertible> {
        let tokens = without_end(example, self.specials.end_of_document)?;
        match tokens.iter().position(|&token| self.specials.contain(token)) {
            Some(position) => Err(NotInvertible::Misplaced { position, token: tokens[position] }),
            None => Ok(tokens.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIALS: Specials =
        Specials { pad: 90, end_of_document: 91, end_of_span: 92, first_sentinel: 93, num_sentinels: 4 };

    #[test]
    fn the_document_ends_in_its_token_and_all_of_it_is_learnt() {
        let document = TokenDocument { tokens: vec![10, 11, 12], images: vec![1..3] };
        let example = LeftToRight {}.build(&SPECIALS).apply(&document, &mut KeyedRandom::new(0, "test", b"", 0));
        let expected = Example { input_ids: vec![10, 11, 12, 91], labels: vec![10, 11, 12, 91], images: vec![1..3] };
        assert_eq!(example, expected);
    }

    #[test]
    fn an_example_with_a_sentinel_is_not_of_this_form() {
        assert_eq!(
            LeftToRight {}.build(&SPECIALS).invert(&[10, 93, 91]),
            Err(NotInvertible::Misplaced { position: 1, token: 93 })
        );
    }
}
