//! Turns each prepared image into a grid of codes.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt16Array};
use arrow::datatypes::UInt32Type;
use pageloom_schemas::columns;
use pageloom_schemas::lists::ListColumn;
use pageloom_vq::ImageTokenizer;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::step::{Columns, Rejects, Resources, Step, StepSettings};

/// The encoder is the job's `tokenizers.image`; an image's codes don't depend on what shares its batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::pixels().field()]).drops([columns::pixels().field()]).writes([
            columns::grid_width().field(),
            columns::grid_height().field(),
            columns::codes().field(),
        ])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(EncodeImage { encoder: resources.images.clone() }))
    }
}

#[derive(Debug)]
struct EncodeImage {
    encoder: Arc<dyn ImageTokenizer>,
}

impl Step for EncodeImage {
    fn process(&self, batch: RecordBatch, _: &mut Rejects) -> Result<RecordBatch, StepError> {
        let pixels = columns::pixels();
        let images: Vec<&[u8]> = pixels.of(&batch)?.iter().flatten().collect();
        let mut codes = ListColumn::<UInt32Type>::default();
        for image in self.encoder.encode(&images)? {
            codes.push(&image)?;
        }
        let grid = self.encoder.grid();
        let repeat = |side: u16| -> ArrayRef { Arc::new(UInt16Array::from_value(side, batch.num_rows())) };
        Settings::default()
            .columns()
            .replace(&batch, vec![repeat(grid.width), repeat(grid.height), codes.finish()?])
    }
}
