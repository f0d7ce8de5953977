//! CM3's minimal HTML: the text of a page with the structure that carries it, and its images in place.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::html::drops::Drops;
use crate::html::image_source::{NoImage, base_url, image_url};
use crate::html::kept_attributes::KeptAttributes;
use crate::html::measure::{Measure, Thresholds, document_order, kept_order, measure};
use crate::html::parse::names::Name;
use crate::html::tree::{Limits, NodeId, TooMuch, Tree, parse};
use crate::html::write::write;

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
/// - A page without text is rejected, unless it is nothing but images, one of them with an `alt`: CM3's captioned image.
/// - A `div` whose only content is another `div` is folded into it; the outer one's attributes win.
/// - `href` stays as the page wrote it, relative or not: so the model sees what pages look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinimalHtml {
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
    /// Attributes that stay, by element.
    pub keep_attributes: BTreeMap<String, Vec<String>>,
    /// A `<meta>` stays if its `property` or `name` begins with one of these (OpenGraph, Twitter, and plain summaries).
    pub keep_meta: Vec<String>,
    /// Whether microdata and RDFa attributes stay on every element.
    pub keep_structured_data: bool,
    /// Beyond these a page is rejected.
    pub limits: Limits,
}

impl Default for MinimalHtml {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Self {
            min_text_chars: 128,
            min_text_chars_list: 64,
            drop_elements: words(&[
                "annotation",
                "annotation-xml",
                "applet",
                "audio",
                "base",
                "button",
                "canvas",
                "datalist",
                "dialog",
                "embed",
                "form",
                "frame",
                "frameset",
                "iframe",
                "input",
                "link",
                "map",
                "noembed",
                "noframes",
                "noscript",
                "object",
                "script",
                "select",
                "style",
                "svg",
                "template",
                "textarea",
                "track",
                "video",
            ]),
            drop_roles: words(&["alertdialog", "banner", "contentinfo", "dialog", "search"]),
            drop_classes: words(&["copyright", "cookie-banner", "cookie-consent", "cookie-notice", "cookiebar"]),
            keep_attributes: BTreeMap::from([
                ("a".to_owned(), words(&["href", "title"])),
                ("img".to_owned(), words(&["alt", "src", "title"])),
                ("meta".to_owned(), words(&["content", "name", "property"])),
            ]),
            keep_meta: words(&[
                "article:",
                "author",
                "book:",
                "description",
                "keywords",
                "og:",
                "profile:",
                "twitter:",
            ]),
            keep_structured_data: true,
            limits: Limits::default(),
        }
    }
}

/// A page's minimal HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinimalDocument {
    /// The HTML; every image in it has `src=""`.
    pub markup: String,
    /// The images, in the order of the markup.
    pub images: Vec<ImageReference>,
    /// Images of the page that could not be kept.
    pub dropped_images: Vec<DroppedImage>,
    /// The body's text as it is read: whitespace collapsed, a line for each block, nothing for images. Without the title,
    /// which most pages repeat as a heading.
    pub text: String,
}

/// One image of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Its absolute URL, without a fragment.
    pub url: String,
    /// Its tag, in bytes of the markup.
    pub tag: Range<u32>,
    /// The byte of the markup between the quotes of `src=""`.
    pub src: u32,
}

/// An image that names nothing that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedImage {
    /// Why, in a stable word.
    pub reason: &'static str,
    /// What was found.
    pub detail: String,
}

/// A page of which nothing can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// No text is left.
    NoText,
    /// A limit is broken.
    Limit(TooMuch),
    /// Its markup passes what 32-bit offsets can address.
    TooLarge,
}

impl Unusable {
    /// A stable word for counting.
    pub fn reason(self) -> &'static str {
        match self {
            Unusable::NoText => "no_text",
            Unusable::Limit(TooMuch::Depth) => "too_deep",
            Unusable::Limit(TooMuch::Nodes) => "too_many_nodes",
            Unusable::Limit(TooMuch::Attributes) => "too_many_attributes",
            Unusable::TooLarge | Unusable::Limit(TooMuch::Bytes) => "too_large",
        }
    }
}

/// Makes a page's minimal HTML.
pub fn minimal_html(html: &str, document_url: &Url, rules: &MinimalHtml) -> Result<MinimalDocument, Unusable> {
    let tree = parse(html, &rules.limits).map_err(Unusable::Limit)?;
    let base = base_url(&tree, document_url);
    let drops = Drops::new(rules);
    let order = kept_order(&tree, |id| !drops.has(&tree, id));
    let mut images = BTreeMap::new();
    let mut dropped_images = Vec::new();
    for id in order.iter().copied().filter(|id| tree.element(*id) == Some(Name::Img)) {
        match image_url(&tree, id, &base) {
            Ok(url) => drop(images.insert(id, url)),
            Err(none) => dropped_images.push(dropped(&none, &tree, id)),
        }
    }
    let thresholds = Thresholds { standard: rules.min_text_chars, list_like: rules.min_text_chars_list };
    let measures = measure(&tree, &order, thresholds, |id| images.contains_key(&id) || rules.keeps_meta(&tree, id));
    let page = Page { tree: &tree, drops, kept_attributes: KeptAttributes::new(rules), measures, images };
    let mut written = write(&page);
    let text = written.body.map(|start| written.text.split_off(start)).unwrap_or_default();
    if text.is_empty() && !is_captioned_image(&page) {
        return Err(Unusable::NoText);
    }
    if u32::try_from(written.markup.len()).is_err() {
        return Err(Unusable::TooLarge);
    }
    let (markup, images) = (written.markup, written.images);
    Ok(MinimalDocument { markup, images, dropped_images, text })
}

/// Whether a page is nothing but images, one of them with a text: what a pair of an image and its caption becomes.
fn is_captioned_image(page: &Page<'_>) -> bool {
    let mut elements = document_order(page.tree).into_iter().filter_map(|id| page.tree.element(id));
    let captioned = |id: &NodeId| page.tree.attribute(*id, "alt").is_some_and(|alt| !alt.trim().is_empty());
    page.images.keys().any(captioned)
        && elements.all(|name| matches!(name, Name::Html | Name::Head | Name::Body | Name::Img))
}

fn dropped(none: &NoImage, tree: &Tree, id: NodeId) -> DroppedImage {
    let detail = match none {
        NoImage::Missing | NoImage::Pixel => format!("alt: {}", tree.attribute(id, "alt").unwrap_or_default()),
        NoImage::Invalid(detail) => detail.clone(),
    };
    DroppedImage { reason: none.reason(), detail }
}

/// A page, measured: what its writer goes by.
pub(super) struct Page<'a> {
    pub tree: &'a Tree<'a>,
    pub drops: Drops<'a>,
    pub kept_attributes: KeptAttributes<'a>,
    pub measures: Vec<Measure>,
    pub images: BTreeMap<NodeId, String>,
}

impl Page<'_> {
    /// Whether a node stays, given that the one around it does.
    pub fn keeps(&self, id: NodeId) -> bool {
        self.measures[id as usize].stays
    }
}

impl MinimalHtml {
    fn keeps_meta(&self, tree: &Tree, id: NodeId) -> bool {
        if tree.element(id) != Some(Name::Meta) {
            return false;
        }
        let named = ["property", "name"].into_iter().filter_map(|name| tree.attribute(id, name));
        let known = named
            .map(str::to_ascii_lowercase)
            .any(|name| self.keep_meta.iter().any(|prefix| name.starts_with(prefix.as_str())));
        let content = tree.attribute(id, "content").is_some_and(|content| !content.trim().is_empty());
        content && (known || (self.keep_structured_data && tree.attribute(id, "itemprop").is_some()))
    }
}

#[cfg(test)]
mod tests;
