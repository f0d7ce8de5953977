//! Rejects documents with little text for their markup.

use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::plain_text::chars;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// Shares of characters. HTLM (arXiv 2107.06955, 2.2) skips documents whose ratio of text to minimal HTML is not greater
/// than 0.46; its markup keeps `class` and `id` alone, where ours keeps addresses, so that ours is stricter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A document whose text is no greater share of its minimal HTML than this is rejected as `low_text_ratio`; at 0 none
    /// is.
    pub above_of_markup: f64,
    /// A document whose text is no greater share of the page's own HTML, scripts and all, than this is rejected as
    /// `low_text_ratio_of_page`; at 0 none is.
    pub above_of_page: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { above_of_markup: 0.46, above_of_page: 0.0 }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self { above_of_markup: 0.46, above_of_page: 0.1 }
    }

    fn columns(&self) -> Columns {
        let page = (self.above_of_page > 0.0).then(|| columns::page_chars().field());
        let document =
            [columns::key().field(), columns::url().field(), columns::markup().field(), columns::text().field()];
        Columns::reads(document.into_iter().chain(page))
    }

    fn check(&self) -> Vec<String> {
        let shares = [("above_of_markup", self.above_of_markup), ("above_of_page", self.above_of_page)];
        let wrong = shares.into_iter().filter(|(_, share)| !(0.0..1.0).contains(share));
        wrong.map(|(name, share)| format!("`{name}` is {share}, but a share is from 0 to below 1")).collect()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Step for Settings {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (text, markup, page) = (columns::text(), columns::markup(), columns::page_chars());
        let (text, markup) = (text.of(&batch)?, markup.of(&batch)?);
        let page = if self.above_of_page > 0.0 { Some(page.of(&batch)?) } else { None };
        let judge = |row: usize| {
            let text = chars(text.value(row)) as f64;
            above(self.above_of_markup, text, chars(markup.value(row)) as f64, "low_text_ratio")?;
            match page {
                Some(page) => above(self.above_of_page, text, page.value(row) as f64, "low_text_ratio_of_page"),
                None => Ok(()),
            }
        };
        let outcomes = (0..batch.num_rows()).map(judge).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

fn above(least: f64, text: f64, all: f64, reason: &'static str) -> Result<(), Refusal> {
    if least == 0.0 || text > least * all {
        return Ok(());
    }
    Err(Refusal::new(reason, format!("{text} of {all} characters are text, {:.2}", text / all.max(1.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_must_be_above_the_least() {
        assert!(above(0.5, 6.0, 10.0, "low").is_ok() && above(0.0, 0.0, 10.0, "low").is_ok());
        assert_eq!(above(0.5, 5.0, 10.0, "low").unwrap_err().detail, "5 of 10 characters are text, 0.50");
    }

    #[test]
    fn the_size_of_the_page_is_read_only_where_it_is_asked_for() {
        let document =
            [columns::key().field(), columns::url().field(), columns::markup().field(), columns::text().field()];
        let columns_of_documents = arrow::datatypes::Schema::new(document.to_vec());
        assert!(Settings::default().columns().apply(&columns_of_documents).is_ok());
        assert!(Settings::example().columns().apply(&columns_of_documents).unwrap_err().contains("page_chars"));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert_eq!(Settings { above_of_markup: 1.0, above_of_page: -0.1 }.check().len(), 2);
        assert_eq!(Settings { above_of_markup: f64::NAN, ..Settings::default() }.check().len(), 1);
    }
}
