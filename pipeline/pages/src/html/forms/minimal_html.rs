//! Writes each page as CM3's minimal HTML: its text with the structure that carries it, and its images in place.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::html::drops::{Drops, classes_around_content, elements_without_content, roles_around_content};
use crate::html::form::{Form, KeptMeta, Style, meta_about_page};
use crate::html::kept_attributes::{KeptAttributes, words};
use crate::html::measure::Thresholds;
use crate::html::tree::Limits;

/// What is kept of a page. CM3 (arXiv 2201.07520, 3.1) follows HTLM (2107.06955, 2.1); where both are silent these are
/// our choices:
///
/// - A *textual element* is a block with text of its own (through inline elements), a `span`, or a table as a whole. A
///   *container* (a division, list, table, article …) is removed unless a textual element in it reaches its threshold, or
///   an image is in it, or it wraps headings alone. What is no container stays with the container around it, however
///   short, so that headings, short paragraphs and links beside a long text survive.
/// - `header` and `footer` are dropped where they are the page's own (ARIA's banner and contentinfo), not an article's.
/// - A `form` around an `article`, `main` or `h1` is the page itself, and stays.
/// - Elements without text and images are removed, but for table cells and line breaks.
/// - A `div` whose only content is another `div` is folded into it; the outer one's attributes win.
/// - `href` stays as the page wrote it, relative or not: so the model sees what pages look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A container is removed if none of its paragraphs has as many characters as this.
    pub min_text_chars: u32,
    /// The same for list items, spans and tables; a table counts as a whole, since cells are short.
    pub min_text_chars_list: u32,
    /// Elements that are dropped with all that is in them.
    pub drop_elements: Vec<String>,
    /// Elements with one of these ARIA roles are dropped with all that is in them.
    pub drop_roles: Vec<String>,
    /// Elements with one of these words in their `class` or `id` are dropped with all that is in them.
    pub drop_classes: Vec<String>,
    /// Attributes that stay, by element; `"*"` is every element.
    pub keep_attributes: BTreeMap<String, Vec<String>>,
    /// A `<meta>` stays if its `property` or `name` begins with one of these (OpenGraph, Twitter, and plain summaries).
    pub keep_meta: Vec<String>,
    /// Whether microdata and RDFa attributes stay on every element.
    pub keep_structured_data: bool,
    /// Beyond these a page is rejected.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_text_chars: 128,
            min_text_chars_list: 64,
            drop_elements: elements_without_content(),
            drop_roles: roles_around_content(),
            drop_classes: classes_around_content(),
            keep_attributes: BTreeMap::from([
                ("a".to_owned(), words("href title")),
                ("img".to_owned(), words("alt src title")),
                ("meta".to_owned(), words("content name property")),
            ]),
            keep_meta: meta_about_page(),
            keep_structured_data: true,
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// The form that these settings describe.
    pub fn form(&self) -> Form {
        Form {
            drops: Drops::new(&self.drop_elements, &self.drop_roles, &self.drop_classes),
            kept_attributes: KeptAttributes::new(&self.keep_attributes, self.keep_structured_data),
            kept_meta: KeptMeta { prefixes: self.keep_meta.clone(), structured: self.keep_structured_data },
            thresholds: Some(Thresholds { standard: self.min_text_chars, list_like: self.min_text_chars_list }),
            languages: Vec::new(),
            min_text_ratio: 0.0,
            style: Style::Html,
            limits: self.limits.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
