//! The text of an example with its spans back in their places.

use std::collections::HashMap;

use super::super::example::without_end;
use super::super::{Example, NO_LOSS, NotInvertible, TokenId};
use super::BlanksThenSpans;

impl BlanksThenSpans {
    /// The tokens of the document, or of its stretch, that this is the example of.
    pub(super) fn restore(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        let specials = &self.specials;
        let (text, spans) = example.input_ids.split_at(text_and_end(example));
        let text = match text.last() {
            Some(&last) if last == specials.end_mask => text,
            _ => match without_end(text, specials.end_of_document) {
                Err(_) if self.settings.max_source_tokens.is_some() => text,
                body => body?,
            },
        };
        // A span's first token is the one that begins it, and all have the position of its mask.
        let mut of_mask: HashMap<usize, Vec<TokenId>> = HashMap::new();
        let first = text_and_end(example);
        for (position, (&id, &at)) in (first..).zip(spans.iter().zip(example.position_ids.iter().skip(first))) {
            let token = match id {
                _ if id == specials.begin_of_piece => continue,
                // The token before has it predicted.
                _ if id == specials.block_mask => {
                    let label = position.checked_sub(1).and_then(|before| example.labels.get(before));
                    *label.filter(|&&label| label != NO_LOSS).ok_or(NotInvertible::Hidden { position })?
                }
                _ => id,
            };
            of_mask.entry(at as usize).or_default().push(token);
        }
        let mut tokens = Vec::with_capacity(example.input_ids.len());
        for (position, &id) in text.iter().enumerate() {
            if [specials.mask, specials.sentence_mask, specials.end_mask].contains(&id) {
                let before = tokens.len();
                tokens.extend(of_mask.remove(&position).unwrap_or_default());
                if tokens.len() == before {
                    return Err(NotInvertible::Hidden { position });
                }
            } else if specials.reserve(id) {
                return Err(NotInvertible::Misplaced { position, token: id });
            } else {
                tokens.push(id);
            }
        }
        Ok(tokens)
    }
}

// How many tokens are seen in both directions.
fn text_and_end(example: &Example) -> usize {
    (example.prefix_len as usize).min(example.input_ids.len())
}

#[cfg(test)]
mod tests {
    use super::super::super::Objective;
    use super::super::super::testing::{MASK, SPECIALS, text};
    use super::super::testing::{blanks, of_pieces};
    use super::*;

    #[test]
    fn a_hidden_token_without_its_label_is_not_invertible() {
        let objective = BlanksThenSpans { text: None, ..of_pieces(20, 0.0) };
        let mut example = objective.example(&text(4), &blanks(&[1..2], MASK, false), &[0], true);
        example.input_ids[6] = SPECIALS.block_mask;
        assert_eq!(objective.invert(&example), Ok(text(4).tokens));
        example.labels[5] = NO_LOSS;
        assert_eq!(objective.invert(&example), Err(NotInvertible::Hidden { position: 6 }));
    }
}
