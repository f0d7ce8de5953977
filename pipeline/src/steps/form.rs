//! What the steps share that write each page in one of the forms: pages in, markup and its images' places out.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use pageloom_schemas::columns;
use pageloom_schemas::places::{ImagePlace, PlaceTexts, image_places};
use url::Url;

use crate::error::StepError;
use crate::html::document::{ImageReference, MarkupDocument};
use crate::html::form::Form;
use crate::html::image_texts::ImageTexts;
use crate::keys::image_key;
use crate::step::{Columns, Refusal, Rejects, Step};

/// Writes pages in a form.
#[derive(Debug)]
pub struct FormStep {
    form: Form,
}

impl FormStep {
    /// The step, ready to run.
    pub fn build(form: Form) -> Arc<dyn Step> {
        Arc::new(Self { form })
    }

    /// What it does to the columns, whichever the form.
    pub fn columns() -> Columns {
        let inputs = [columns::key().field(), columns::url().field(), columns::html().field()];
        Columns::reads(inputs).drops([columns::html().field()]).writes([
            columns::markup().field(),
            columns::markup_images().field(),
            columns::text().field(),
        ])
    }

    fn document(&self, html: &str, url: &str) -> Result<MarkupDocument, Refusal> {
        let url = Url::parse(url).map_err(|error| Refusal::new("bad_url", error.to_string()))?;
        let refusal =
            |unusable: crate::html::document::Unusable| Refusal::new(unusable.reason(), unusable.detail(html.len()));
        self.form.document(html, &url).map_err(refusal)
    }
}

impl Step for FormStep {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (url, html) = (columns::url(), columns::html());
        let (url, html) = (url.of(&batch)?, html.of(&batch)?);
        let rows = rejects.each_row(&batch);
        let mut outcomes: Vec<Result<MarkupDocument, Refusal>> =
            rows.map(|row| self.document(html.value(row), url.value(row))).collect();
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
        Self::columns().replace(&batch, vec![markup, image_places(&places)?, text])
    }
}

fn place(image: &ImageReference) -> ImagePlace {
    let (tag_start, src, tag_end) = (image.tag.start, image.src, image.tag.end);
    let ImageTexts { alt, title, caption } = image.texts.clone();
    let texts = PlaceTexts { alt, title, caption };
    ImagePlace { key: image_key(&image.url), url: image.url.clone(), tag_start, src, tag_end, texts }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;

    use super::*;
    use crate::html::forms;
    use crate::steps::StepConfig;

    #[test]
    fn every_step_that_writes_markup_is_one_of_the_forms() {
        let page = Schema::new(vec![columns::key().field(), columns::url().field(), columns::html().field()]);
        let writes =
            |step: &StepConfig| step.columns().apply(&page).is_ok_and(|left| left.field_with_name("markup").is_ok());
        let writing: Vec<&str> =
            StepConfig::examples().iter().filter(|step| writes(step)).map(StepConfig::name).collect();
        assert_eq!(writing, forms::all().iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
