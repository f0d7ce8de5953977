//! Turns each document's tokens into one training example.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Int32Type;
use pageloom_schemas::lists::{ListColumn, int32_rows};
use pageloom_schemas::{columns, runs};
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::objectives::{Example, Objective, ObjectiveConfig, TokenDocument};
use crate::random::KeyedRandom;
use crate::specials::specials;
use crate::step::{Columns, Rejects, Resources, Step, StepSettings};

/// The objective draws from the job's seed and the document's key alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings {
    /// Which objective, and its settings.
    pub objective: ObjectiveConfig,
}

impl StepSettings for Settings {
    fn example() -> Self {
        let objective = ObjectiveConfig::examples().swap_remove(0);
        Self { objective }
    }

    fn columns(&self) -> Columns {
        let inputs = || [columns::document_tokens().field(), columns::image_runs().field()];
        Columns::reads(inputs()).drops(inputs()).writes([
            columns::input_ids().field(),
            columns::labels().field(),
            columns::image_runs().field(),
        ])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        let objective = self.objective.build(&specials(&resources.vocabulary));
        Ok(Arc::new(ApplyObjective { settings: self.clone(), objective, seed: resources.seed }))
    }
}

#[derive(Debug)]
struct ApplyObjective {
    settings: Settings,
    objective: Arc<dyn Objective>,
    seed: u64,
}

impl Step for ApplyObjective {
    fn process(&self, batch: RecordBatch, _: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (key, tokens, images) = (columns::key(), columns::document_tokens(), columns::image_runs());
        let (key, images) = (key.of(&batch)?, images.of(&batch)?);
        let tokens = int32_rows(tokens.of(&batch)?)?;
        let example = |row: usize| -> Result<Example, StepError> {
            let document = TokenDocument { tokens: tokens.row(row).to_vec(), images: runs::runs_of(images, row)? };
            let mut random = KeyedRandom::new(self.seed, "objective", key.value(row), 0);
            Ok(self.objective.apply(&document, &mut random))
        };
        let examples: Result<Vec<Example>, StepError> = (0..batch.num_rows()).map(example).collect();
        let mut input_ids = ListColumn::<Int32Type>::default();
        let mut labels = ListColumn::<Int32Type>::default();
        let mut image_runs = Vec::with_capacity(batch.num_rows());
        for example in examples? {
            input_ids.push(&example.input_ids)?;
            labels.push(&example.labels)?;
            image_runs.push(example.images);
        }
        let new = vec![input_ids.finish()?, labels.finish()?, runs::runs(&image_runs)?];
        self.settings.columns().replace(&batch, new)
    }
}
