//! Writes each page as cleaned HTML: all of its text and structure, without what only machines read.

use std::sync::Arc;

use super::form::FormStep;
use crate::error::StepError;
use crate::step::{Columns, Resources, Step, StepSettings};

pub use crate::html::forms::cleaned_html::Settings;

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        FormStep::columns()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(FormStep::build(self.form()))
    }
}
