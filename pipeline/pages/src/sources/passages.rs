//! Documents that come as passages, with what follows them: a context of several texts, and what is asked of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The `Content-Type` of a page whose body is [`Passages`], as JSON.
pub const PASSAGES: &str = "application/vnd.pageloom.passages+json";

/// Passages, told apart, and the text behind the last of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passages {
    /// The passages, in order.
    pub passages: Vec<PassageText>,
    /// What follows them: a question and its answer, or nothing.
    pub text: String,
}

/// One passage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassageText {
    /// What it says.
    pub text: String,
    /// At which step of the answer's reasoning it is needed, from 0; none if it is noise.
    #[serde(default)]
    pub gold_step: Option<u32>,
}

impl Passages {
    /// The passages of a list of texts, or of objects with `text` and `gold_step`; an error says what is there instead.
    pub fn of_json(passages: Value, text: String) -> Result<Self, String> {
        let Value::Array(items) = passages else { return Err("they are no list".to_owned()) };
        let passage = |(index, item): (usize, Value)| match item {
            Value::String(text) => Ok(PassageText { text, gold_step: None }),
            item => serde_json::from_value(item).map_err(|error| format!("passage {index}: {error}")),
        };
        Ok(Self { passages: items.into_iter().enumerate().map(passage).collect::<Result<_, String>>()?, text })
    }

    /// The body of a page of the type [`PASSAGES`].
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The passages of such a body.
    pub fn of_body(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn passages_are_texts_or_objects_and_come_back_from_their_body() {
        let items = json!(["noise", {"text": "gold", "gold_step": 1}, {"text": "more", "gold_step": null}]);
        let passages = Passages::of_json(items, "why?".into()).unwrap();
        let steps: Vec<_> = passages.passages.iter().map(|passage| passage.gold_step).collect();
        assert_eq!(steps, [None, Some(1), None]);
        assert_eq!(Passages::of_body(&passages.body()), Ok(passages));
    }

    #[test]
    fn what_is_no_passage_is_refused() {
        let refused = |value| Passages::of_json(value, String::new()).unwrap_err();
        assert_eq!(refused(json!("text")), "they are no list");
        assert!(refused(json!(["a", {"text": "b", "gold_step": -1}])).starts_with("passage 1: "));
        assert!(refused(json!([{"title": "b"}])).starts_with("passage 0: "));
    }
}
