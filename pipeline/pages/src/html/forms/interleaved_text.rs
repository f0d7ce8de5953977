//! Writes each page as plain text with its images in place, as OBELICS has documents: no markup at all.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::html::drops::{Drops, classes_around_content, elements_without_content, roles_around_content};
use crate::html::form::{AltText, Form, KeptMeta, Style};
use crate::html::kept_attributes::KeptAttributes;
use crate::html::measure::Thresholds;
use crate::html::tree::Limits;

/// What is kept of a page, and how it is parted. The text is that of `minimal_html`'s markup (without the title) in the
/// same order. An empty line parts paragraphs, headings and all other blocks; a line's end parts the items of a list, the
/// rows of a table and what `<br>` parts; a tab parts cells. Nothing is written for what is empty.
///
/// An image's tokens stand bare where its tag stood. If it fails, the break before it goes with it, so that nothing shows
/// that it was there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A container is removed if none of its paragraphs has as many characters as this.
    pub min_text_chars: u32,
    /// The same for list items, spans and tables; a table counts as a whole, since cells are short.
    pub min_text_chars_list: u32,
    /// Whether an image's `alt` stands before it. It goes with an image that fails.
    pub keep_alt_text: bool,
    /// Elements that are dropped with all that is in them.
    pub drop_elements: Vec<String>,
    /// Elements with one of these ARIA roles are dropped with all that is in them.
    pub drop_roles: Vec<String>,
    /// Elements with one of these words in their `class` or `id` are dropped with all that is in them.
    pub drop_classes: Vec<String>,
    /// Beyond these a page is rejected.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        let mut drop_elements = elements_without_content();
        drop_elements.push("title".to_owned());
        Self {
            min_text_chars: 128,
            min_text_chars_list: 64,
            keep_alt_text: false,
            drop_elements,
            drop_roles: roles_around_content(),
            drop_classes: classes_around_content(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// The form that these settings describe.
    pub fn form(&self) -> Form {
        Form {
            drops: Drops::new(&self.drop_elements, &self.drop_roles, &self.drop_classes),
            kept_attributes: KeptAttributes::new(&BTreeMap::new(), false),
            kept_meta: KeptMeta::default(),
            thresholds: Some(Thresholds { standard: self.min_text_chars, list_like: self.min_text_chars_list }),
            languages: Vec::new(),
            min_text_ratio: 0.0,
            style: Style::Text(if self.keep_alt_text { AltText::Kept } else { AltText::Left }),
            limits: self.limits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::html::document::MarkupDocument;

    fn written(settings: &Settings, html: &str) -> MarkupDocument {
        settings.form().document(html, &Url::parse("file:///a/page.html").unwrap()).unwrap()
    }

    fn short() -> Settings {
        Settings { min_text_chars: 1, min_text_chars_list: 1, ..Settings::default() }
    }

    /// The markup with `[` at the beginning, `*` at the place and `]` at the end of what goes with each image.
    fn marked(document: &MarkupDocument) -> String {
        let mut text = document.markup.clone();
        for image in document.images.iter().rev() {
            for (place, mark) in [(image.tag.end, "]"), (image.src, "*"), (image.tag.start, "[")] {
                text.insert_str(place as usize, mark);
            }
        }
        text
    }

    /// The markup without the images that failed.
    fn without(document: &MarkupDocument, failed: &[usize]) -> String {
        let mut text = document.markup.clone();
        for number in failed.iter().rev() {
            let tag = &document.images[*number].tag;
            text.replace_range(tag.start as usize..tag.end as usize, "");
        }
        text
    }

    fn check(html: &str, expected: &str) {
        assert_eq!(marked(&written(&short(), html)), expected, "{html}");
    }

    #[test]
    fn blocks_are_paragraphs_and_items_and_rows_are_lines() {
        check("<title>t</title><h1>a</h1><p>b <b>c</b>\n d<div>e</div>f", "a\n\nb c d\n\ne\n\nf");
        check("<p>a<ul><li>b<li><p>c</p><ul><li>d<li>e</ul></ul>f", "a\n\nb\n\nc\n\nd\ne\n\nf");
        check("<ul><li>a<ul><li>b</ul><li>c</ul>", "a\nb\nc");
        check("<p>a<br>b<br><br>c", "a\nb\nc");
        check("<table><caption>a</caption><tr><th>b<th></th><th>c<tr><td>d<td>e</table>f", "a\n\nb\tc\nd\te\n\nf");
        check("<dl><dt>a<dd>b</dl><hr>c<pre>d\n  e</pre>", "a\nb\n\nc\n\nd\n  e");
        check("<p>1 &lt; 2 &amp;amp;", "1 < 2 &amp;");
    }

    #[test]
    fn an_image_stands_bare_at_its_place() {
        check("<p>a <img src=i> b", "a[*] b");
        check("<p>a<img src=i>b", "a[*]b");
        check("<p>a</p><img src=i><p>b", "a[\n\n*]\n\nb");
        check("<figure><img src=i alt=x><figcaption>a</figcaption></figure>", "[*\n\n]a");
        check("<p>a</p><p><img src=i></p><p><img src=j></p>", "a[\n\n*][\n\n*]");
    }

    #[test]
    fn a_failed_image_leaves_no_trace() {
        let document = written(&short(), "<img src=i><p><img src=j></p><p>a</p><p><img src=k></p><p>b");
        assert_eq!(marked(&document), "[*\n\n][*\n\n]a[\n\n*]\n\nb");
        assert_eq!(without(&document, &[0, 1, 2]), "a\n\nb");
        assert_eq!(without(&document, &[0]), "\n\na\n\n\n\nb");
        assert_eq!(without(&document, &[2]), "\n\n\n\na\n\nb");
    }

    #[test]
    fn alternative_text_stands_before_its_image_if_wanted() {
        let settings = Settings { keep_alt_text: true, ..short() };
        let page = "<p>a <img src=i alt=' the  cat '> b</p><img src=j alt=dog><img src=k>";
        let document = written(&settings, page);
        assert_eq!(marked(&document), "a[ the cat*] b[\n\ndog*][*]");
        assert_eq!(document.text, "a b\n");
    }
}
