//! Every step: one file and one line here.

#[cfg(test)]
mod any_page;
#[cfg(test)]
pub(crate) mod fixture;
mod form;
#[cfg(test)]
mod laws;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::step::{Columns, Resources, Step, StepSettings, UnusableLines};

macro_rules! register {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// One step of a job file: a one-key table, `name = { settings }`.
        #[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
        #[serde(deny_unknown_fields)]
        #[allow(non_camel_case_types, missing_docs)]
        pub enum StepConfig { $($name($name::Settings),)* }

        impl StepConfig {
            /// One of each, with settings that work.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$name($name::Settings::example()),)*]
            }

            /// The name in the job file.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// Which columns it reads, writes and drops.
            pub fn columns(&self) -> Columns {
                match self { $(Self::$name(settings) => settings.columns(),)* }
            }

            /// Whatever is wrong with the settings by themselves.
            pub fn check(&self) -> Vec<String> {
                match self { $(Self::$name(settings) => settings.check(),)* }
            }

            /// The text files it reads, each with the setting that names it.
            pub fn files(&self) -> Vec<(&'static str, PathBuf)> {
                match self { $(Self::$name(settings) => settings.files(),)* }
            }

            /// What it can't use of the text of one of these files, by the setting that names it.
            pub fn unusable_lines(&self, setting: &str, text: &str) -> UnusableLines {
                match self { $(Self::$name(settings) => settings.unusable_lines(setting, text),)* }
            }

            /// The step, ready to run.
            pub fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
                match self { $(Self::$name(settings) => settings.build(resources),)* }
            }
        }
    };
}

register! {
    decode_charset,
    filter_robots,
    filter_url,
    minimal_html,
    htlm_html,
    interleaved_text,
    cleaned_html,
    filter_length,
    filter_text_ratio,
    filter_language,
    filter_quality,
    filter_repetition,
    filter_c4,
    filter_image_count,
    tokenize_text,
    tokenize_passages,
    fetch_image,
    filter_image_file,
    prepare_image,
    encode_image,
    draw_masks,
    interleave_images,
    apply_objective,
}
