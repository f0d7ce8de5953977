//! Makes each page's minimal HTML, and says where its images stand.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use pageloom_schemas::columns;
use pageloom_schemas::places::{ImagePlace, image_places};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::keys::image_key;
use crate::error::StepError;
use crate::html::minimal::{ImageReference, MinimalDocument, MinimalHtml, minimal_html};
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// The rules of `html::minimal`, under the step's name in the job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings {
    /// What is kept of a page.
    pub rules: MinimalHtml,
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self { rules: MinimalHtml { min_text_chars: 16, min_text_chars_list: 8, ..MinimalHtml::default() } }
    }

    fn columns(&self) -> Columns {
        let inputs = [columns::key().field(), columns::url().field(), columns::html().field()];
        Columns::reads(inputs)
            .drops([columns::html().field()])
            .writes([columns::markup().field(), columns::markup_images().field(), columns::text().field()])
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Step for Settings {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (url, html) = (columns::url(), columns::html());
        let (url, html) = (url.of(&batch)?, html.of(&batch)?);
        let rows = 0..batch.num_rows();
        let mut outcomes: Vec<Result<MinimalDocument, Refusal>> =
            rows.map(|row| self.minimal(html.value(row), url.value(row))).collect();
        for (row, outcome) in outcomes.iter_mut().enumerate() {
            let dropped = outcome.as_mut().map(|document| std::mem::take(&mut document.dropped_images));
            for image in dropped.unwrap_or_default() {
                rejects.drop_image(&batch, row, url.value(row), Refusal::new(image.reason, image.detail))?;
            }
        }
        let (batch, documents) = rejects.keep_ok(&batch, outcomes)?;
        let places: Vec<Vec<ImagePlace>> =
            documents.iter().map(|document| document.images.iter().map(place).collect()).collect();
        let markup: ArrayRef =
            Arc::new(StringArray::from_iter_values(documents.iter().map(|document| &document.markup)));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(documents.iter().map(|document| &document.text)));
        self.columns().replace(&batch, vec![markup, image_places(&places)?, text])
    }
}

impl Settings {
    fn minimal(&self, html: &str, url: &str) -> Result<MinimalDocument, Refusal> {
        let url = Url::parse(url).map_err(|error| Refusal::new("bad_url", error.to_string()))?;
        let detail = || format!("{} bytes of HTML", html.len());
        minimal_html(html, &url, &self.rules).map_err(|unusable| Refusal::new(unusable.reason(), detail()))
    }
}

fn place(image: &ImageReference) -> ImagePlace {
    let (tag_start, src, tag_end) = (image.tag.start, image.src, image.tag.end);
    ImagePlace { key: image_key(&image.url), url: image.url.clone(), tag_start, src, tag_end }
}
