//! What can go wrong before a store is used: its address, its settings, or what it promises.

use std::error::Error;

use object_store::path;

/// A store that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The address names no store. User names and passwords in it are not repeated.
    #[error("storage `{url}`: {problem}; {remedy}")]
    Address {
        /// The address without secrets.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A setting can't be used as it is.
    #[error("`{name}` {problem}; {remedy}")]
    Setting {
        /// The setting, as a job names it.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The store does not create without overwriting, and says so.
    #[error(
        "{store} does not take `If-None-Match: *` (Google: `x-goog-if-generation-match: 0`), so two attempts at one unit could \
         both count as committed; put commits on a store that honours it (AWS S3, Google Cloud Storage, Azure, MinIO, \
         Cloudflare R2, a local folder), or upgrade this one"
    )]
    Unconditional {
        /// The store.
        store: String,
    },
    /// The store overwrites where it was asked to create.
    #[error(
        "{store} ignores `If-None-Match: *` (Google: `x-goog-if-generation-match: 0`) and overwrites objects that are there, \
         so two attempts at one unit could both count as committed; put commits on a store that honours it (AWS S3, Google \
         Cloud Storage, Azure, MinIO, Cloudflare R2, a local folder), or upgrade this one"
    )]
    Overwrites {
        /// The store.
        store: String,
    },
    /// The store answered with an error.
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

/// That an object's key is none that can be asked for.
pub(crate) fn unusable_key(bucket: &str, error: &path::Error) -> object_store::Error {
    let remedy = "rename the object, or narrow the path so that it is not listed";
    object_store::Error::Generic { store: "listing", source: format!("{bucket}: {error}; {remedy}").into() }
}

/// An error's words and those of each of its causes, each once.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}
