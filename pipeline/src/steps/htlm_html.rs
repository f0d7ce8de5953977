//! Writes each page as HTLM's minimal HTML: no attributes but `class` and `id`, and only pages that are mostly text.

use std::sync::Arc;

use super::form::FormStep;
use crate::error::StepError;
use crate::step::{Columns, Resources, Step, StepSettings};

pub use crate::html::forms::htlm_html::Settings;

impl StepSettings for Settings {
    fn example() -> Self {
        Self { min_text_chars: 16, min_text_chars_list: 8, min_text_ratio: 0.3, ..Self::default() }
    }

    fn columns(&self) -> Columns {
        FormStep::columns()
    }

    fn check(&self) -> Vec<String> {
        let is_share = (0.0..1.0).contains(&self.min_text_ratio);
        (!is_share)
            .then(|| "`min_text_ratio` is not a share from 0 up to, but not including, 1".to_owned())
            .into_iter()
            .collect()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(FormStep::build(self.form()))
    }
}
