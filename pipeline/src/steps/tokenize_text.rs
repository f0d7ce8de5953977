//! Turns minimal HTML into text tokens, and keeps each image's place among them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Int32Type;
use pageloom_schemas::columns;
use pageloom_schemas::lists::ListColumn;
use pageloom_schemas::places::{ImagePlace, image_places, image_places_of};
use pageloom_tokenizers::TokenId;
use pageloom_tokenizers::text::TextTokenizer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// Text is tokenised on either side of an image's tag and of its `src` value apart, so that a tag can be taken out,
/// or tokens be put into it, without touching its neighbours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        let inputs = || [columns::markup().field(), columns::markup_images().field()];
        Columns::reads(inputs()).drops(inputs()).writes([columns::tokens().field(), columns::image_slots().field()])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(TokenizeText { tokenizer: resources.ids()?.text.clone() }))
    }
}

#[derive(Debug)]
struct TokenizeText {
    tokenizer: Arc<TextTokenizer>,
}

type Tokenized = (Vec<TokenId>, Vec<ImagePlace>);

impl Step for TokenizeText {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (markup, images) = (columns::markup(), columns::markup_images());
        let (markup, images) = (markup.of(&batch)?, images.of(&batch)?);
        let rows = rejects.each_row(&batch);
        let outcomes: Result<Vec<_>, StepError> = rows
            .map(|row| Ok(tokenize(markup.value(row), &image_places_of(images, row)?, &self.tokenizer)))
            .collect();
        let (batch, documents) = rejects.keep_ok(&batch, outcomes?)?;
        let mut tokens = ListColumn::<Int32Type>::default();
        let mut slots = Vec::with_capacity(documents.len());
        for (document, places) in documents {
            tokens.push(&document)?;
            slots.push(places);
        }
        Settings::default().columns().replace(&batch, vec![tokens.finish()?, image_places(&slots)?])
    }
}

/// The document's tokens, and its images' places counted in them.
fn tokenize(markup: &str, images: &[ImagePlace], tokenizer: &TextTokenizer) -> Result<Tokenized, Refusal> {
    let mut tokens = Vec::with_capacity(markup.len() / 3);
    let mut from = 0;
    let mut upto = |end: u32, tokens: &mut Vec<TokenId>| -> Result<u32, Refusal> {
        let end = end as usize;
        let piece = markup.get(from..end).ok_or_else(|| Refusal::new("bad_image_place", format!("{from}..{end}")))?;
        let encoded = tokenizer.encode(piece).map_err(|error| Refusal::new("not_tokenizable", error.to_string()))?;
        tokens.extend_from_slice(&encoded);
        from = end;
        u32::try_from(tokens.len()).map_err(|_| Refusal::new("too_many_tokens", tokens.len().to_string()))
    };
    let mut places = Vec::with_capacity(images.len());
    for image in images {
        places.push(ImagePlace {
            tag_start: upto(image.tag_start, &mut tokens)?,
            src: upto(image.src, &mut tokens)?,
            tag_end: upto(image.tag_end, &mut tokens)?,
            ..image.clone()
        });
    }
    upto(u32::try_from(markup.len()).map_err(|_| Refusal::new("too_large", markup.len().to_string()))?, &mut tokens)?;
    Ok((tokens, places))
}
