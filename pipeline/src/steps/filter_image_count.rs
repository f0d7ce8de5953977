//! Rejects documents with too few images, or too many.

use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// Counts the images that the markup shows, each as often as it stands there, before it is known which of them can be
/// had. The defaults are OBELICS' (arXiv 2306.16527, its `config_filter_web_documents.yaml`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A document with fewer images than this is rejected as `too_few_images`.
    pub min_images: u32,
    /// A document with more images than this is rejected as `too_many_images`.
    pub max_images: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { min_images: 1, max_images: 30 }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::key().field(), columns::url().field(), columns::markup_images().field()])
    }

    fn check(&self) -> Vec<String> {
        let (least, most) = (self.min_images, self.max_images);
        let message =
            || format!("`min_images` is {least}, above `max_images` of {most}, so every document would be rejected");
        (least > most).then(message).into_iter().collect()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Step for Settings {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let images = columns::markup_images();
        let ends = images.of(&batch)?.value_offsets().windows(2);
        let outcomes = ends.map(|ends| self.judge(ends[1].abs_diff(ends[0]))).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl Settings {
    fn judge(&self, images: u32) -> Result<(), Refusal> {
        match images {
            few if few < self.min_images => Err(Refusal::new("too_few_images", format!("{few} images"))),
            many if many > self.max_images => Err(Refusal::new("too_many_images", format!("{many} images"))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_itself_kept() {
        let reason = |images| Settings::default().judge(images).err().map(|refusal| refusal.reason);
        assert_eq!([reason(0), reason(31)], [Some("too_few_images"), Some("too_many_images")]);
        assert_eq!([reason(1), reason(30)], [None, None]);
    }

    #[test]
    fn a_least_above_the_most_is_refused() {
        assert_eq!(Settings { min_images: 3, max_images: 2 }.check().len(), 1);
    }
}
