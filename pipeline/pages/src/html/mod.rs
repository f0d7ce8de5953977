//! From a page's bytes to minimal HTML: charset, tree, what is kept, how it is written.

pub mod charset;
pub mod minimal;
pub mod plain_text;
pub mod tree;

mod drops;
mod image_source;
mod kept_attributes;
mod measure;
mod names;
#[cfg(any(test, feature = "testing"))]
pub mod oracle;
mod parse;
mod prescan;
mod srcset;
mod write;
