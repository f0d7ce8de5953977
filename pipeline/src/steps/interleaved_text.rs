//! Writes each page as plain text with its images in place, as OBELICS has documents: no markup at all.

use std::sync::Arc;

use super::form::FormStep;
use crate::error::StepError;
use crate::step::{Columns, Resources, Step, StepSettings};

pub use crate::html::forms::interleaved_text::Settings;

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
