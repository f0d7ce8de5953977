//! Every step: one file, and one line here with what it does.

#[cfg(test)]
mod any_page;
#[cfg(test)]
pub(crate) mod fixture;
mod form;
#[cfg(test)]
mod laws;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::step::{Columns, Resources, Step, StepSettings};

macro_rules! register {
    ($($(#[$about:meta])* $name:ident,)*) => {
        $(pub mod $name;)*

        /// One step of a job file: a one-key table, `name = { settings }`.
        #[derive(Debug, Clone, Serialize, Deserialize, PartialEq, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[allow(non_camel_case_types)]
        pub enum StepConfig { $($(#[$about])* $name($name::Settings),)* }

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

            /// The step, ready to run.
            pub fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
                match self { $(Self::$name(settings) => settings.build(resources),)* }
            }
        }
    };
}

register! {
    /// Decodes each page's bytes as browsers do, and makes HTML of plain text.
    decode_charset,
    /// Rejects pages whose makers forbid what they are to be used for.
    filter_robots,
    /// Rejects documents, or images, by their addresses.
    filter_url,
    /// Writes each page as CM3's minimal HTML: its text with the structure that carries it, and its images in place.
    minimal_html,
    /// Writes each page as HTLM's minimal HTML: no attributes but `class` and `id`, and only pages that are mostly text.
    htlm_html,
    /// Writes each page as plain text with its images in place, as OBELICS has documents: no markup at all.
    interleaved_text,
    /// Writes each page as cleaned HTML: all of its text and structure, without what only machines read.
    cleaned_html,
    /// Rejects documents with too little text, or too much.
    filter_length,
    /// Rejects documents with little text for their markup.
    filter_text_ratio,
    /// Rejects documents that are not in one of the languages that are wanted.
    filter_language,
    /// Rejects documents that don't read like prose.
    filter_quality,
    /// Rejects documents that repeat themselves.
    filter_repetition,
    /// Rejects documents with too few whole sentences, and with code or filler in them.
    filter_c4,
    /// Rejects documents with too few images, or too many.
    filter_image_count,
    /// Turns a page's markup or text into tokens, and keeps each image's place among them.
    tokenize_text,
    /// Turns documents that come as passages into tokens, and keeps each passage's place among them.
    tokenize_passages,
    /// Reads each image's bytes from where they lie.
    fetch_image,
    /// Rejects images by their format, size and shape, before they are decoded.
    filter_image_file,
    /// Decodes, resizes and crops each image to what the encoder takes.
    prepare_image,
    /// Turns each prepared image into a grid of codes.
    encode_image,
    /// Draws patch masks for each image, as a column of the table of images.
    draw_masks,
    /// Puts each image's tokens into its document, where the image stands.
    interleave_images,
    /// Turns each document's tokens into training examples.
    apply_objective,
}
