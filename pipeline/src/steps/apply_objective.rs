//! Turns each document's tokens into training examples.

use std::sync::Arc;

use arrow::array::{FixedSizeBinaryArray, ListArray, RecordBatch, UInt32Array};
use arrow::datatypes::Int32Type;
use pageloom_schemas::lists::{Rows, int32_rows};
use pageloom_schemas::passages::{PassagePlace, passages_of};
use pageloom_schemas::{Key, columns, runs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::random_key;
use crate::error::StepError;
use crate::examples::{PlacedExample, examples_column};
use crate::image_runs::{self, image_runs_of};
use crate::objectives::{Example, Objective, ObjectiveConfig, Passage, TokenDocument};
use crate::random::KeyedRandom;
use crate::specials::specials;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};
use crate::text_tokens::text_tokens;

/// The objective draws from the job's seed and the key of the document, or of the block, alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which objective, and its settings.
    pub objective: ObjectiveConfig,
    /// How often each document is seen, each time with draws of its own.
    #[serde(default = "one_view")]
    pub views: u32,
}

/// Each document is seen once, unless a job says otherwise.
pub fn one_view() -> u32 {
    1
}

impl StepSettings for Settings {
    fn example() -> Self {
        let objective = ObjectiveConfig::examples().swap_remove(0);
        Self { objective, views: one_view() }
    }

    fn columns(&self) -> Columns {
        // Where images stood is left beside the examples, which say where in their document each run was.
        let inputs = [columns::document_tokens().field(), columns::image_runs().field()];
        let blocks = self.objective.takes_blocks().then(|| columns::block_number().field());
        Columns::reads(inputs.into_iter().chain(blocks))
            .drops([columns::document_tokens().field()])
            .writes([columns::examples().field()])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(ApplyObjective::of(self.clone(), resources)?))
    }
}

#[derive(Debug)]
struct ApplyObjective {
    settings: Settings,
    objective: Arc<dyn Objective>,
    seed: u64,
}

impl Step for ApplyObjective {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (inputs, mut document) = (Inputs::of(&batch)?, TokenDocument::default());
        let outcome = |row: usize| -> Result<Result<Vec<PlacedExample>, Refusal>, StepError> {
            inputs.read(row, &mut document)?;
            Ok(self.examples(&inputs.random_key(row), &document))
        };
        let outcomes: Result<Vec<_>, StepError> = rejects.each_row(&batch).map(outcome).collect();
        let (batch, examples) = rejects.keep_ok(&batch, outcomes?)?;
        self.settings.columns().replace(&batch, vec![examples_column(&examples)?])
    }
}

/// The way back: what an objective makes of a document gives the document's tokens again.
#[derive(Debug)]
pub struct Inverse(ApplyObjective);

impl Inverse {
    /// The way back from a job's objective.
    pub fn build(objective: &ObjectiveConfig, views: u32, resources: &Resources) -> Result<Self, StepError> {
        Ok(Self(ApplyObjective::of(Settings { objective: objective.clone(), views }, resources)?))
    }

    /// How many examples of these documents give their tokens back, and what is wrong with those that don't.
    pub fn check(&self, batch: &RecordBatch) -> Result<(u64, Vec<String>), StepError> {
        let (inputs, mut document) = (Inputs::of(batch)?, TokenDocument::default());
        let (mut inverted, mut lost) = (0, Vec::new());
        for row in 0..batch.num_rows() {
            inputs.read(row, &mut document)?;
            for placed in self.0.examples(&inputs.random_key(row), &document).unwrap_or_default() {
                let name = Key::from_slice(inputs.key.value(row)).unwrap_or_default();
                match self.0.objective.invert(&placed.example) {
                    Ok(found) if found == document.tokens_of(&placed.example.source) => inverted += 1,
                    Ok(_) => lost.push(format!("document {name}: its example gives other tokens back")),
                    Err(error) => lost.push(format!("document {name}: {error}")),
                }
            }
        }
        Ok((inverted, lost))
    }
}

/// What the objective is given of each row.
struct Inputs<'a> {
    key: &'a FixedSizeBinaryArray,
    tokens: Rows<'a, Int32Type>,
    images: &'a ListArray,
    /// Blocks have none of their documents', but may have segments.
    passages: Option<&'a ListArray>,
    /// Where documents were retrieved.
    retrieved: Option<&'a ListArray>,
    /// Where rows are blocks.
    block_number: Option<&'a UInt32Array>,
}

impl<'a> Inputs<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, StepError> {
        let (block_number, passages) = (columns::block_number(), columns::passages());
        let retrieved = columns::retrieved_runs();
        let has = |name| batch.column_by_name(name).is_some();
        Ok(Self {
            key: columns::key().of(batch)?,
            tokens: int32_rows(columns::document_tokens().of(batch)?)?,
            images: columns::image_runs().of(batch)?,
            passages: has(passages.name()).then(|| passages.of(batch)).transpose()?,
            retrieved: has(retrieved.name()).then(|| retrieved.of(batch)).transpose()?,
            block_number: has(block_number.name()).then(|| block_number.of(batch)).transpose()?,
        })
    }

    /// Puts a row's document in the place of another, whose memory serves again.
    fn read(&self, row: usize, document: &mut TokenDocument) -> Result<(), StepError> {
        let places = self.passages.map(|passages| passages_of(passages, row)).transpose()?.unwrap_or_default();
        let passage = |place: PassagePlace| Passage { tokens: place.tokens, gold_step: place.gold_step };
        let retrieved = self.retrieved.map(|retrieved| runs::runs_of(retrieved, row)).transpose()?;
        document.tokens.clear();
        document.tokens.extend_from_slice(self.tokens.row(row));
        document.images = image_runs::tokens(&image_runs_of(self.images, row)?);
        document.passages = places.into_iter().map(passage).collect();
        document.retrieved = retrieved.unwrap_or_default();
        Ok(())
    }

    fn random_key(&self, row: usize) -> Vec<u8> {
        match self.block_number {
            Some(number) => random_key(self.key.value(row), number.value(row)),
            None => self.key.value(row).to_vec(),
        }
    }
}

impl ApplyObjective {
    fn of(settings: Settings, resources: &Resources) -> Result<Self, StepError> {
        let ids = resources.ids()?;
        let specials = specials(&ids.vocabulary);
        let objective = match settings.objective.reads_text() {
            true => settings.objective.build_with_text(&specials, &text_tokens(&ids.text)),
            false => settings.objective.build(&specials),
        };
        Ok(Self { settings, objective, seed: resources.seed })
    }

    fn examples(&self, key: &[u8], document: &TokenDocument) -> Result<Vec<PlacedExample>, Refusal> {
        let of_view = |view: u32| {
            let mut random = KeyedRandom::new(self.seed, "objective", key, view);
            let examples = self.objective.apply(document, &mut random);
            examples.into_iter().map(move |example| Example { view, ..example })
        };
        let examples: Vec<Example> = (0..self.settings.views).flat_map(of_view).collect();
        if examples.is_empty() {
            let detail = format!("the objective makes nothing of its {} tokens", document.tokens.len());
            return Err(Refusal::new("no_example", detail));
        }
        let left_out = self.settings.objective.left_out(document.tokens.len() as u32, &examples);
        let place = |(example, left_out)| PlacedExample { example, left_out };
        Ok(examples.into_iter().zip(left_out).map(place).collect())
    }
}
