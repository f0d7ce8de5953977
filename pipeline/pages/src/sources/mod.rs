//! Where pages and images come from: one file and one line here per source.

mod fetching;
mod file_url;
mod http;
mod input;
mod manifest;
mod parquet_file;
mod passages;
mod paths;
mod range_reader;
mod records;
mod tar_members;

pub mod html_files;
pub mod image_table;
pub mod jsonl;
pub mod parquet;
pub mod text_files;
pub mod warc;
pub mod webdataset;

use std::fmt::Debug;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use fetching::{FetchError, Fetched, fetch, fetch_response};
pub use file_url::{canonical, file_url};
pub use input::{FileReader, Files, Input, InputError, InputObject, read_file};
pub use parquet_file::Footers;
pub use passages::{PASSAGES, PassageText, Passages};
pub use paths::{Paths, SourceFile, Unmatched};
pub use records::{Container, ImageLocation, Location, RawDocument, Records, RejectedRecord};

/// The `Content-Type` of text that is no HTML.
pub const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// An independent piece of a source; part of a unit's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// What is read, in this order.
    pub pieces: Vec<Piece>,
}

/// A range of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The file, as [`Input`] names it.
    pub path: String,
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// Reads pages, and says where images lie.
pub trait Source: Debug + Send + Sync {
    /// Cuts the source into splits of about `unit_bytes`, in a fixed order, from the listing alone.
    fn splits(&self, input: &dyn Input, unit_bytes: u64) -> Result<Vec<Split>, SourceError>;

    /// Looks at the beginning of what is there: an error says that the settings don't fit it.
    fn suits(&self, _: &dyn Input) -> Result<(), SourceError> {
        Ok(())
    }

    /// Reads one split in order, and stops where `records` breaks off. A bad record goes to `records.reject`; an `Err`
    /// means that the split can't be read at all.
    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError>;
}

/// What a job file says about a source.
pub trait SourceSettings {
    /// Used in the docs and by the tests that every source must pass.
    fn example() -> Self;
    /// What is wrong with the settings, in the user's words.
    fn check(&self) -> Vec<String>;
}

/// A source can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its storage failed.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is no such source.
    #[error("{path}: {message}")]
    Unsuitable {
        /// The source's path.
        path: String,
        /// What was looked for.
        message: String,
    },
}

macro_rules! register {
    ($($(#[$about:meta])* $name:ident,)*) => {
        /// A source of a job file: a one-key table, `name = { settings }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[allow(non_camel_case_types)]
        pub enum SourceConfig { $($(#[$about])* $name($name::Settings),)* }

        impl SourceConfig {
            /// One of each, with settings that work.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$name($name::Settings::example()),)*]
            }

            /// The name in the job file.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// What is wrong with the settings, in the user's words.
            pub fn check(&self) -> Vec<String> {
                let mut problems = self.files().check();
                problems.extend(match self { $(Self::$name(settings) => settings.check(),)* });
                problems
            }

            /// Where its files lie, relative to the job file.
            pub fn files(&self) -> &Paths {
                match self { $(Self::$name(settings) => &settings.files,)* }
            }

            /// The same source over one other file or folder.
            pub fn with_path(&self, path: &str) -> Self {
                let mut with_path = self.clone();
                match &mut with_path { $(Self::$name(settings) => settings.files = Paths::at(path),)* }
                with_path
            }

            /// The source, ready to read.
            pub fn build(&self) -> Arc<dyn Source> {
                match self { $(Self::$name(settings) => Arc::new(settings.clone()),)* }
            }
        }
    };
}

register! {
    /// Pages in a folder tree or a tar, with their images beside them.
    html_files,
    /// Images that lie apart from the pages: tables or tars of a URL, or a key, and an image's bytes.
    image_table,
    /// Pages as lines of JSON: one object with a URL and its HTML on each line.
    jsonl,
    /// Pages as rows of Parquet tables: a URL and its HTML in each, perhaps with the page's images.
    parquet,
    /// Plain text in files: each is a document without images.
    text_files,
    /// Web archives: HTML responses are pages, image responses are images, matched by their URLs.
    warc,
    /// Tars of samples: pages with their images, images with captions, and texts.
    webdataset,
}

#[cfg(test)]
mod laws;
#[allow(clippy::unwrap_used, missing_docs)]
pub mod memory;
