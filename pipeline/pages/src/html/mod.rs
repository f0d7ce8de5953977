//! From a page's bytes to a form of it: charset, tree, what is kept, how it is written.

pub mod charset;
pub mod document;
pub mod drops;
pub mod form;
pub mod forms;
pub mod image_texts;
pub mod kept_attributes;
pub mod measure;
pub mod oracle;
pub mod plain_text;
pub mod tree;

mod html_markup;
mod image_source;
mod names;
mod noscript;
mod parse;
mod prescan;
mod srcset;
mod text_markup;
mod work;
mod write;

#[cfg(test)]
mod test_pages;
