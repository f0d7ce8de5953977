//! Writes each page as HTLM's minimal HTML: no attributes but `class` and `id`, and only pages that are mostly text.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::html::drops::{Drops, classes_around_content, elements_without_content, roles_around_content};
use crate::html::form::{Form, KeptMeta, Style};
use crate::html::kept_attributes::{KeptAttributes, words};
use crate::html::measure::Thresholds;
use crate::html::tree::Limits;

/// What is kept of a page by HTLM (arXiv 2107.06955, 2.1). Textual elements, containers, folding and dropped parts are as
/// `minimal_html` has them. Where the paper is silent these are our choices:
///
/// - The text ratio is that of the result: the characters of column `text`, in which each block ends a line, over the
///   characters of column `markup`, images' tokens not counted. The paper gives no unit, and removes 94 % of the characters
///   of a page before it speaks of the ratio.
/// - `lang` is that of `<html>`, or else `xml:lang`. `en-GB` is `en`; an empty one is like none.
/// - A `<meta>` would be left without its attributes, and goes.
/// - Size hints belong to the masking of a document, not to its form: they are the objective's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A container is removed if none of its paragraphs has as many characters as this.
    pub min_text_chars: u32,
    /// The same for list items, spans and tables; a table counts as a whole, since cells are short.
    pub min_text_chars_list: u32,
    /// A page whose share of text among the characters of its minimal HTML is not greater than this is rejected as
    /// `low_text_ratio`.
    pub min_text_ratio: f64,
    /// A page with a `lang` of none of these languages is rejected as `other_language`; without `lang` it passes. An empty
    /// list lets all languages pass.
    pub languages: Vec<String>,
    /// Whether images stay, as `<img src="">` with their tokens in `src`. The paper keeps none, for they are no text.
    pub keep_images: bool,
    /// Attributes that stay, on every element.
    pub keep_attributes: Vec<String>,
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
        Self {
            min_text_chars: 128,
            min_text_chars_list: 64,
            min_text_ratio: 0.46,
            languages: words("en"),
            keep_images: true,
            keep_attributes: words("class id"),
            drop_elements: elements_without_content(),
            drop_roles: roles_around_content(),
            drop_classes: classes_around_content(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// The form that these settings describe.
    pub fn form(&self) -> Form {
        let images = (!self.keep_images).then(|| "img".to_owned());
        let elements: Vec<String> = self.drop_elements.iter().cloned().chain(images).collect();
        let attributes = BTreeMap::from([("*".to_owned(), self.keep_attributes.clone())]);
        Form {
            drops: Drops::new(&elements, &self.drop_roles, &self.drop_classes),
            kept_attributes: KeptAttributes::new(&attributes, false),
            kept_meta: KeptMeta::default(),
            thresholds: Some(Thresholds { standard: self.min_text_chars, list_like: self.min_text_chars_list }),
            languages: self.languages.clone(),
            min_text_ratio: self.min_text_ratio,
            style: Style::Html,
            limits: self.limits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::html::document::{MarkupDocument, Unusable};

    const LONG: &str = "A paragraph that is long enough to be kept by the thresholds of the papers, for it has more than \
                        a hundred and twenty-eight characters of text.";

    fn written(settings: &Settings, html: &str) -> Result<MarkupDocument, Unusable> {
        settings.form().document(html, &Url::parse("file:///a/page.html").unwrap())
    }

    #[test]
    fn only_class_and_id_stay() {
        let page =
            format!("<html lang=en><meta name=author content=x><p id=a class='b c' itemprop=d>{LONG} <a href=e>f</a>");
        let markup = written(&Settings::default(), &page).unwrap().markup;
        let body = format!("<p class=\"b c\" id=\"a\">{LONG} <a>f</a></p>");
        assert_eq!(markup, format!("<html><head></head><body>{body}</body></html>"));
    }

    #[test]
    fn images_stay_if_wanted() {
        let page = format!("<p>{LONG}<img id=i alt=x src=y.png></p>");
        let document = written(&Settings::default(), &page).unwrap();
        assert!(document.markup.contains("<img id=\"i\" src=\"\">"), "{}", document.markup);
        let none = written(&Settings { keep_images: false, ..Settings::default() }, &page).unwrap();
        assert_eq!((none.images.len(), none.markup.contains("img")), (0, false));
    }

    #[test]
    fn a_page_of_more_markup_than_text_is_rejected() {
        // Six letters and a line's end are text, of 74 characters in all: 0.09459.
        let settings = Settings { min_text_chars: 1, ..Settings::default() };
        let page = "<p class=abcdefghijklm>letter</p>";
        assert_eq!(written(&settings, page), Err(Unusable::LowTextRatio(7, 74)));
        let just_not = Settings { min_text_ratio: 0.0946, ..settings.clone() };
        assert_eq!(written(&just_not, page).unwrap_err().reason(), "low_text_ratio");
        assert!(written(&Settings { min_text_ratio: 0.0945, ..settings }, page).is_ok());
    }

    #[test]
    fn a_page_in_another_language_is_rejected() {
        let check = |attribute: &str, reason: Option<&str>| {
            let found = written(&Settings::default(), &format!("<html {attribute}><p>{LONG}"));
            assert_eq!(found.err().map(|unusable| unusable.reason()), reason, "{attribute}");
        };
        check("", None);
        check("lang=''", None);
        check("lang=en", None);
        check("lang=EN-gb", None);
        check("xml:lang=en_US", None);
        check("lang=de", Some("other_language"));
        check("lang=enm", Some("other_language"));
        check("xml:lang=fr", Some("other_language"));
        let any = Settings { languages: Vec::new(), ..Settings::default() };
        assert!(written(&any, &format!("<html lang=de><p>{LONG}")).is_ok());
    }
}
