//! Turns documents that come as passages into text tokens, and keeps each passage's place among them.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Int32Type;
use pageloom_schemas::columns;
use pageloom_schemas::lists::ListColumn;
use pageloom_schemas::passages::{PassagePlace, passages};
use pageloom_schemas::places::image_places;
use pageloom_tokenizers::TokenId;
use pageloom_tokenizers::text::TextTokenizer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::sources::{PASSAGES, Passages};
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// The only step of documents whose source tells passages apart (`jsonl` with a `passages_field`, `parquet` with a
/// `passages_column`); any other page is rejected as `no_passages`. Each passage, and what follows the last, is tokenised
/// by itself, so that an objective can move it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What ends each passage, and moves with it.
    pub separator: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { separator: "\n\n".into() }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        let inputs = || [columns::content_type().field(), columns::body().field()];
        Columns::reads(inputs()).drops(inputs()).writes([
            columns::tokens().field(),
            columns::image_slots().field(),
            columns::passages().field(),
        ])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(TokenizePassages { settings: self.clone(), tokenizer: resources.ids()?.text.clone() }))
    }
}

#[derive(Debug)]
struct TokenizePassages {
    settings: Settings,
    tokenizer: Arc<TextTokenizer>,
}

type Tokenized = (Vec<TokenId>, Vec<PassagePlace>);

impl Step for TokenizePassages {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (content_type, body) = (columns::content_type(), columns::body());
        let (content_type, body) = (content_type.of(&batch)?, body.of(&batch)?);
        let outcome = |row: usize| {
            if content_type.is_null(row) || content_type.value(row) != PASSAGES {
                return Err(Refusal::new("no_passages", "its source tells no passages apart"));
            }
            let document = Passages::of_body(body.value(row)).map_err(|error| Refusal::new("no_passages", error))?;
            self.tokenize(&document)
        };
        let outcomes = (0..batch.num_rows()).map(outcome).collect();
        let (batch, documents) = rejects.keep_ok(&batch, outcomes)?;
        let (mut tokens, mut places) = (ListColumn::<Int32Type>::default(), Vec::with_capacity(documents.len()));
        for (of_document, of_passages) in documents {
            tokens.push(&of_document)?;
            places.push(of_passages);
        }
        let no_images = image_places(&vec![Vec::new(); places.len()])?;
        self.settings.columns().replace(&batch, vec![tokens.finish()?, no_images, passages(&places)?])
    }
}

impl TokenizePassages {
    fn tokenize(&self, document: &Passages) -> Result<Tokenized, Refusal> {
        let (mut tokens, mut places) = (Vec::new(), Vec::with_capacity(document.passages.len()));
        for passage in &document.passages {
            let start = tokens.len() as u32;
            let end = self.append(&format!("{}{}", passage.text, self.settings.separator), &mut tokens)?;
            places.push(PassagePlace { tokens: start..end, gold_step: passage.gold_step });
        }
        self.append(&document.text, &mut tokens)?;
        Ok((tokens, places))
    }

    /// How many tokens there are with this text's.
    fn append(&self, text: &str, tokens: &mut Vec<TokenId>) -> Result<u32, Refusal> {
        let of_text = self.tokenizer.encode(text);
        tokens.extend(of_text.map_err(|error| Refusal::new("not_tokenizable", error.to_string()))?);
        u32::try_from(tokens.len()).map_err(|_| Refusal::new("too_many_tokens", tokens.len().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::PassageText;
    use crate::steps::fixture::resources;

    #[test]
    fn passages_stand_where_they_are_said_to_with_the_rest_around_them() {
        let tokenizer = resources().ids.unwrap().text;
        let step = TokenizePassages { settings: Settings::default(), tokenizer: tokenizer.clone() };
        let passage = |text: &str, gold_step| PassageText { text: text.into(), gold_step };
        let passages = vec![passage("The lamp is lit.", Some(1)), passage("", None), passage("It is out.", None)];
        let (tokens, places) = step.tokenize(&Passages { passages, text: "Why?".into() }).unwrap();
        let said = |range: std::ops::Range<u32>| {
            tokenizer.decode(&tokens[range.start as usize..range.end as usize]).unwrap()
        };
        let texts: Vec<_> = places.iter().map(|place| (said(place.tokens.clone()), place.gold_step)).collect();
        let expected = [("The lamp is lit.\n\n", Some(1)), ("\n\n", None), ("It is out.\n\n", None)];
        assert_eq!(texts, expected.map(|(text, step)| (text.to_owned(), step)));
        assert_eq!(said(0..tokens.len() as u32), "The lamp is lit.\n\n\n\nIt is out.\n\nWhy?");
    }
}
