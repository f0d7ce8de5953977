//! Puts each image's tokens into its document, where the image stands.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray, RecordBatch, StructArray};
use arrow::datatypes::{Int32Type, UInt32Type};
use pageloom_schemas::lists::{ListColumn, int32_rows};
use pageloom_schemas::places::{ImagePlace, image_places_of};
use pageloom_schemas::{Key, columns};
use pageloom_tokenizers::TokenId;
use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::vocabulary::Vocabulary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::image_runs::{ImageRun, image_runs};
use crate::pair::has_visible_text;
use crate::random::KeyedRandom;
use crate::specials::{Specials, specials};
use crate::step::{Columns, Ids, Refusal, Rejects, Resources, Step, StepSettings};

mod layout;

pub use layout::Layout;
use layout::{Laid, Piece};

/// Image tokens stand where their image stands, in the layout of one family of models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How text and images follow one another: `cm3`, `cm3leon`, `chameleon` or `plain`.
    pub layout: Layout,
    /// How an image's codes are written: `ids` gives each code an id of its own; `decimal` writes the numbers as
    /// text, joined by spaces, and tokenises that, as the CM3 paper says.
    pub image_tokens: ImageTokens,
    /// What happens to an image without tokens (the paper does not say): `drop_tag` takes the whole `<img …>` out,
    /// `empty_src` leaves it with `src=""`, `reject_document` rejects the document as `image_without_tokens`.
    pub failed_image: FailedImage,
}

/// How an image's codes are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageTokens {
    /// One id of the vocabulary per code.
    #[default]
    Ids,
    /// The codes as decimal text.
    Decimal,
}

impl ImageTokens {
    /// About so many tokens for each code: a decimal number is two or three, and a space.
    fn per_code(self) -> usize {
        match self {
            Self::Ids => 1,
            Self::Decimal => 4,
        }
    }
}

/// A token by itself, laid out, and in its column, which are made by doubling.
const BYTES_FOR_A_TOKEN: usize = 4 + 2 * 4 + 2 * 4;

/// What happens to an image without tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailedImage {
    /// Its tag is taken out.
    #[default]
    DropTag,
    /// Its tag stays, with nothing in `src`.
    EmptySrc,
    /// The document goes.
    RejectDocument,
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        let inputs = || [columns::tokens().field(), columns::image_slots().field(), columns::images().field()];
        Columns::reads(inputs())
            .drops(inputs())
            .writes([columns::document_tokens().field(), columns::image_runs().field()])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        let Ids { text, vocabulary } = resources.ids()?.clone();
        let (specials, seed) = (specials(&vocabulary), resources.seed);
        let tokens_per_image = resources.images.codes_per_image() as usize * self.image_tokens.per_code();
        Ok(Arc::new(InterleaveImages { settings: self.clone(), vocabulary, specials, seed, text, tokens_per_image }))
    }
}

#[derive(Debug)]
struct InterleaveImages {
    settings: Settings,
    vocabulary: Arc<Vocabulary>,
    specials: Specials,
    seed: u64,
    text: Arc<TextTokenizer>,
    /// About as many stand for each image.
    tokens_per_image: usize,
}

#[derive(Debug, Default)]
struct Interleaved {
    laid: Laid,
    /// The image of each of its runs of image tokens.
    shown: Vec<Key>,
    failed: Vec<String>,
}

impl Step for InterleaveImages {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let outcomes: Result<Vec<_>, StepError> = self.outcomes(&batch)?;
        let mut outcomes = outcomes?;
        for (row, outcome) in outcomes.iter_mut().enumerate() {
            let failed = outcome.as_mut().map(|document| std::mem::take(&mut document.failed)).unwrap_or_default();
            for url in failed {
                let refusal = Refusal::new("image_without_tokens", "see the images stage for why");
                rejects.drop_image(&batch, row, &url, refusal)?;
            }
        }
        let (batch, documents) = rejects.keep_ok(&batch, outcomes)?;
        let mut tokens = ListColumn::<Int32Type>::default();
        for document in &documents {
            tokens.push(&document.laid.tokens)?;
        }
        let runs: Vec<_> = documents.iter().map(Interleaved::runs).collect();
        self.settings.columns().replace(&batch, vec![tokens.finish()?, image_runs(&runs)?])
    }

    /// An image takes as many bytes here as its tokens have, however few its place in the document has.
    fn working_bytes(&self, batch: &RecordBatch) -> u64 {
        let slots = columns::image_slots();
        let shown = slots.of(batch).map_or(0, |slots| slots.value_offsets()[slots.len()] - slots.value_offsets()[0]);
        shown as u64 * (self.tokens_per_image * BYTES_FOR_A_TOKEN) as u64
    }
}

impl Interleaved {
    /// Which images stand where: no layout changes their order.
    fn runs(&self) -> Vec<ImageRun> {
        let run = |(tokens, image): (&Range<u32>, &Key)| ImageRun { image: image.0, tokens: tokens.clone(), offset: 0 };
        self.laid.images.iter().zip(&self.shown).map(run).collect()
    }
}

type Outcomes = Result<Vec<Result<Interleaved, Refusal>>, StepError>;

impl InterleaveImages {
    fn outcomes(&self, batch: &RecordBatch) -> Result<Outcomes, StepError> {
        let (key, tokens) = (columns::key(), columns::tokens());
        let (slots, images) = (columns::image_slots(), columns::images());
        let (key, tokens) = (key.of(batch)?, int32_rows(tokens.of(batch)?)?);
        let (slots, images) = (slots.of(batch)?, images.of(batch)?);
        let document = |row: usize| {
            let mut random = KeyedRandom::new(self.seed, "layout", key.value(row), 0);
            self.document(tokens.row(row), &image_places_of(slots, row)?, codes(images, row)?, &mut random)
        };
        Ok((0..batch.num_rows()).map(document).collect())
    }

    fn document(
        &self,
        tokens: &[TokenId],
        slots: &[ImagePlace],
        codes: BTreeMap<Key, Vec<u32>>,
        random: &mut KeyedRandom,
    ) -> Result<Result<Interleaved, Refusal>, StepError> {
        let (mut pieces, mut shown, mut failed) = (Vec::with_capacity(2 * slots.len() + 1), Vec::new(), Vec::new());
        let mut from = 0;
        let upto = |from: u32, to: u32, pieces: &mut Vec<Piece>| -> Result<(), StepError> {
            let text = piece(tokens, from, to)?;
            match pieces.last_mut() {
                _ if text.is_empty() => {}
                Some(Piece::Text(before)) => before.extend_from_slice(text),
                _ => pieces.push(Piece::Text(text.to_vec())),
            }
            Ok(())
        };
        for slot in slots {
            let Some(codes) = codes.get(&slot.key) else {
                if self.settings.failed_image == FailedImage::RejectDocument {
                    return Ok(Err(Refusal::new("image_without_tokens", slot.url.clone())));
                }
                if self.settings.failed_image == FailedImage::DropTag {
                    upto(from, slot.tag_start, &mut pieces)?;
                    from = slot.tag_end;
                }
                failed.push(slot.url.clone());
                continue;
            };
            let keeps_tag = self.settings.layout.keeps_tags();
            upto(from, if keeps_tag { slot.src } else { slot.tag_start }, &mut pieces)?;
            from = if keeps_tag { slot.src } else { slot.tag_end };
            pieces.push(Piece::Image(self.image_tokens(codes)?));
            shown.push(slot.key);
        }
        upto(from, tokens.len() as u32, &mut pieces)?;
        if pieces.is_empty() {
            return Ok(Err(Refusal::new("no_tokens", "nothing is left of the document")));
        }
        let laid = self.settings.layout.lay(pieces, &self.specials, random, &|text| self.is_seen(text));
        Ok(Ok(Interleaved { laid, shown, failed }))
    }

    /// Whether a reader sees any of this text. Tokens that are no text of the tokenizer's are taken for some.
    fn is_seen(&self, tokens: &[TokenId]) -> bool {
        self.text.decode(tokens).map_or(true, |text| has_visible_text(&text))
    }

    fn image_tokens(&self, codes: &[u32]) -> Result<Vec<TokenId>, StepError> {
        match self.settings.image_tokens {
            ImageTokens::Ids => {
                let id = |code: &u32| self.vocabulary.image_token(*code);
                let ids: Option<Vec<TokenId>> = codes.iter().map(id).collect();
                ids.ok_or_else(|| StepError::Bug("an image code is outside the vocabulary".into()))
            }
            ImageTokens::Decimal => {
                let numbers: Vec<String> = codes.iter().map(u32::to_string).collect();
                self.text.encode(&numbers.join(" ")).map_err(|error| StepError::Bug(error.to_string()))
            }
        }
    }
}

fn piece(tokens: &[TokenId], from: u32, to: u32) -> Result<&[TokenId], StepError> {
    let piece = tokens.get(from as usize..to as usize);
    piece.ok_or_else(|| StepError::Bug(format!("an image stands at token {to} of {}", tokens.len())))
}

/// The codes of each image of one document that has them.
fn codes(images: &ListArray, row: usize) -> Result<BTreeMap<Key, Vec<u32>>, StepError> {
    if images.is_null(row) {
        return Ok(BTreeMap::new());
    }
    let values = images.value(row);
    let values: &StructArray = values.as_struct();
    let batch = RecordBatch::from(values.clone());
    let (key, codes) = (columns::key(), columns::codes());
    let (key, codes) = (key.of(&batch)?, codes.of(&batch)?);
    let mut found = BTreeMap::new();
    for image in 0..batch.num_rows() {
        let key = Key::from_slice(key.value(image)).unwrap_or_default();
        found.insert(key, codes.value(image).as_primitive::<UInt32Type>().values().to_vec());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pageloom_schemas::places::PlaceTexts;

    use crate::steps::fixture::resources;

    /// Tokens 1, 2, 3 with an image at a place, whose only code is 7 or which failed.
    fn interleaved(tag_start: u32, src: u32, tag_end: u32, code: Option<u32>) -> Vec<TokenId> {
        let Resources { ids, seed, .. } = resources();
        let Ids { text, vocabulary } = ids.unwrap();
        let specials = specials(&vocabulary);
        let step = InterleaveImages { settings: Settings::default(), vocabulary, specials, seed, text, tokens_per_image: 1 };
        let slot = ImagePlace { key: Key::default(), url: "https://a.example/i".into(), tag_start, src, tag_end, texts: PlaceTexts::default() };
        let codes = code.map(|code| (slot.key, vec![code])).into_iter().collect();
        let random = &mut KeyedRandom::new(seed, "layout", b"", 0);
        step.document(&[1, 2, 3], &[slot], codes, random).unwrap().unwrap().laid.tokens
    }

    #[test]
    fn tokens_stand_in_a_tag_or_bare_and_a_failed_image_takes_its_tag_along() {
        let seven = resources().ids.unwrap().vocabulary.image_token(7).unwrap();
        assert_eq!(interleaved(0, 1, 2, Some(7)), [1, seven, 2, 3]);
        assert_eq!(interleaved(0, 1, 2, None), [3]);
        assert_eq!(interleaved(1, 1, 1, Some(7)), [1, seven, 2, 3]);
        assert_eq!(interleaved(1, 1, 1, None), [1, 2, 3]);
        assert_eq!(interleaved(1, 2, 2, None), [1, 3]);
        assert_eq!(interleaved(3, 3, 3, Some(7)), [1, 2, 3, seven]);
    }

    #[test]
    fn markup_is_no_text_that_keeps_an_image_from_being_one_of_a_pair() {
        let Resources { ids, seed, .. } = resources();
        let Ids { text, vocabulary } = ids.unwrap();
        let specials = specials(&vocabulary);
        let settings = Settings { layout: Layout::Cm3leon, ..Settings::default() };
        let step = InterleaveImages { settings, vocabulary, specials, seed, text: text.clone(), tokens_per_image: 1 };
        let ends_in_its_image = |before: &str, behind: &str| {
            let tokens = [text.encode(before).unwrap(), text.encode(behind).unwrap()];
            let at = tokens[0].len() as u32;
            let (url, texts) = ("https://a.example/i".to_owned(), PlaceTexts::default());
            let slot = ImagePlace { key: Key::default(), url, tag_start: at, src: at, tag_end: at, texts };
            let codes = [(slot.key, vec![7])].into();
            let random = &mut KeyedRandom::new(seed, "layout", b"", 0);
            let laid = step.document(&tokens.concat(), &[slot], codes, random).unwrap().unwrap().laid;
            laid.images[0].end as usize == laid.tokens.len()
        };
        assert!(ends_in_its_image("<figure>", "<figcaption>A cat.</figcaption></figure>"));
        assert!(ends_in_its_image("<p>A cat.</p><p>", "</p>"));
        assert!(!ends_in_its_image("<p>Before.</p>", "<p>After.</p>"));
        assert!(!ends_in_its_image("<p>", "</p>"));
    }
}
