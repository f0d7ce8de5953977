//! Writes each page as CM3's minimal HTML: its text with the structure that carries it, and its images in place.

use std::sync::Arc;

use super::form::FormStep;
use crate::error::StepError;
use crate::step::{Columns, Resources, Step, StepSettings};

pub use crate::html::forms::minimal_html::Settings;

impl StepSettings for Settings {
    fn example() -> Self {
        Self { min_text_chars: 16, min_text_chars_list: 8, ..Self::default() }
    }

    fn columns(&self) -> Columns {
        FormStep::columns()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(FormStep::build(self.form()))
    }
}
