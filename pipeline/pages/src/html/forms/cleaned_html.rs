//! Writes each page as cleaned HTML: all of its text and structure, without what only machines read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::html::drops::Drops;
use crate::html::form::{Form, KeptMeta, Style, meta_about_page};
use crate::html::kept_attributes::{KeptAttributes, words};
use crate::html::tree::Limits;

/// What is kept of a page: every element and text, however short, headers, footers, navigation and forms too, empty
/// elements and nested divisions. What goes:
///
/// - comments, the document type, and the whitespace that browsers collapse;
/// - scripts, styles, templates, and what shows another file or a drawing (`drop_elements`);
/// - attributes but for those in `keep_attributes`: styles, classes, event handlers, `data-*`, `aria-*` and sizes go;
/// - `<meta>` elements for machines (`keep_meta` says which stay);
/// - an `<img>` that shows nothing, counted as in the other forms; a `<picture>` becomes its one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Elements that are dropped with all that is in them.
    pub drop_elements: Vec<String>,
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
        let keep_attributes = [
            ("*", "dir id lang role title"),
            ("a", "href"),
            ("blockquote", "cite"),
            ("button", "type"),
            ("del", "cite datetime"),
            ("details", "open"),
            ("form", "action method"),
            ("img", "alt src"),
            ("input", "checked name placeholder type value"),
            ("ins", "cite datetime"),
            ("label", "for"),
            ("li", "value"),
            ("meta", "content name property"),
            ("ol", "reversed start type"),
            ("optgroup", "label"),
            ("option", "selected value"),
            ("q", "cite"),
            ("select", "name"),
            ("td", "colspan headers rowspan"),
            ("textarea", "name placeholder"),
            ("th", "abbr colspan headers rowspan scope"),
            ("time", "datetime"),
        ];
        Self {
            drop_elements: words(
                "annotation annotation-xml applet audio base canvas embed frame frameset iframe link noembed noframes \
                 noscript object param script source style svg template track video",
            ),
            keep_attributes: keep_attributes.map(|(element, kept)| (element.to_owned(), words(kept))).into(),
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
            drops: Drops::new(&self.drop_elements, &[], &[]),
            kept_attributes: KeptAttributes::new(&self.keep_attributes, self.keep_structured_data),
            kept_meta: KeptMeta { prefixes: self.keep_meta.clone(), structured: self.keep_structured_data },
            thresholds: None,
            languages: Vec::new(),
            min_text_ratio: 0.0,
            style: Style::Html,
            limits: self.limits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    /// The inside of the cleaned body.
    fn body(html: &str) -> String {
        let url = Url::parse("file:///a/page.html").unwrap();
        let markup = Settings::default().form().document(html, &url).unwrap().markup;
        let (_, body) = markup.split_once("<body>").unwrap();
        body.strip_suffix("</body></html>").unwrap().to_owned()
    }

    #[test]
    fn structure_stays_however_empty() {
        let page = "<header><nav><ul><li>a</li><li></li></ul></nav></header><div><div><p></p>b</div></div>\
                    <form action=\"c\"><input type=\"text\" value=\"d\"><button>e</button></form><footer>f</footer>";
        assert_eq!(body(page), page);
    }

    #[test]
    fn what_only_machines_read_goes() {
        let page = "<!doctype html><!-- a --><body onload=b()><script>c</script><style>d</style><template>e</template>\
                    <p class=f style=g data-h=i aria-label=j id=k>l<svg><text>m</text></svg><iframe>n</iframe></p>";
        assert_eq!(body(page), "<p id=\"k\">l</p>");
    }

    #[test]
    fn tables_keep_their_shape() {
        let page = "<table><colgroup><col></colgroup><tbody><tr><th colspan=\"2\" scope=\"col\">a</th></tr><tr><td></td>\
                    <td>b</td></tr></tbody></table>";
        assert_eq!(body(page), page);
    }

    #[test]
    fn a_picture_is_its_one_image() {
        assert_eq!(
            body("a<picture><source srcset=b><img alt=c class=d width=9></picture><img>"),
            "a<img alt=\"c\" src=\"\">"
        );
    }
}
