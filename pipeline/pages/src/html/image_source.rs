//! Which one image an `<img>` shows, as an absolute URL.

use url::Url;

use crate::html::measure::document_order;
use crate::html::parse::names::Name;
use crate::html::srcset::largest_candidate;
use crate::html::tree::{NodeId, Tree};
use crate::sources::canonical;

/// Attributes in which pages keep the image that a script puts into `src` later; the first found wins.
const LAZY: [&str; 7] =
    ["data-src", "data-original", "data-lazy-src", "data-actualsrc", "data-hi-res-src", "data-image", "data-url"];
const LAZY_SETS: [&str; 2] = ["data-srcset", "data-lazy-srcset"];
/// A `data:` URL shorter than this is taken for a placeholder where the image has another source too.
const PLACEHOLDER: usize = 1024;

/// Why an `<img>` shows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoImage {
    /// It names no image.
    Missing,
    /// What it names is no URL.
    Invalid(String),
    /// It says that it is one pixel large: it counts visitors.
    Pixel,
}

impl NoImage {
    /// A stable word for counting.
    pub fn reason(&self) -> &'static str {
        match self {
            NoImage::Missing => "image_without_src",
            NoImage::Invalid(_) => "image_invalid_url",
            NoImage::Pixel => "image_of_one_pixel",
        }
    }
}

/// The image's URL, resolved as a browser does, without its fragment.
///
/// `src` wins, unless it is a placeholder beside something better; then come the lazy attributes, the largest candidate
/// of `srcset`, and the largest of the first `<source>` of a `<picture>` around it.
pub fn image_url(tree: &Tree, image: NodeId, base: &Url) -> Result<String, NoImage> {
    let is_pixel =
        |side| tree.attribute(image, side).is_some_and(|side| matches!(side.trim(), "0" | "1" | "0px" | "1px"));
    if is_pixel("width") && is_pixel("height") {
        return Err(NoImage::Pixel);
    }
    let source = source(tree, image).ok_or(NoImage::Missing)?;
    let url = base.join(source).map_err(|error| NoImage::Invalid(format!("{error}: {source}")))?;
    Ok(canonical(url))
}

fn source<'a>(tree: &'a Tree<'_>, image: NodeId) -> Option<&'a str> {
    let usable = |value: &&str| !value.trim().is_empty();
    let attribute = |name: &&str| tree.attribute(image, name).filter(usable);
    let lazy = LAZY.iter().find_map(attribute);
    let lazy = lazy.or_else(|| LAZY_SETS.iter().find_map(attribute).and_then(largest_candidate));
    let placeholder = |source: &&str| source.trim_start().starts_with("data:") && source.len() < PLACEHOLDER;
    match attribute(&"src") {
        Some(source) if !placeholder(&source) => Some(source),
        there => lazy
            .or_else(|| attribute(&"srcset").and_then(largest_candidate))
            .or_else(|| of_picture(tree, image))
            .or(there),
    }
}

fn of_picture<'a>(tree: &'a Tree<'_>, image: NodeId) -> Option<&'a str> {
    let picture = tree.parent(image).filter(|parent| tree.name(*parent) == "picture")?;
    // Pictures hold a handful of sources; a page made to be slow has a million images in one.
    let sources = tree.children(picture).take(64).filter(|child| tree.name(*child) == "source");
    sources.filter_map(|source| tree.attribute(source, "srcset")).find_map(largest_candidate)
}

/// The URL that the page's links are relative to: the first `<base href>`, itself relative to the page.
pub fn base_url(tree: &Tree<'_>, document: &Url) -> Url {
    let base = base_of(tree).and_then(|href| document.join(href).ok());
    base.filter(|base| !matches!(base.scheme(), "data" | "javascript")).unwrap_or_else(|| document.clone())
}

fn base_of<'a>(tree: &'a Tree<'_>) -> Option<&'a str> {
    let is_base = |id: &NodeId| tree.element(*id) == Some(Name::Base);
    // Most pages have none, so that their order need not be known.
    (0..tree.node_count() as NodeId).find(is_base)?;
    document_order(tree).into_iter().filter(is_base).find_map(|id| tree.attribute(id, "href"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::measure::document_order;
    use crate::html::tree::{Limits, parse};

    fn urls(html: &str) -> Vec<Result<String, NoImage>> {
        let tree = parse(html, &Limits::default()).unwrap();
        let order = document_order(&tree);
        let base = base_url(&tree, &Url::parse("file:///a/page.html").unwrap());
        let images = order.iter().filter(|id| tree.name(**id) == "img");
        images.map(|image| image_url(&tree, *image, &base)).collect()
    }

    fn check(html: &str, url: &str) {
        assert_eq!(urls(html), [Ok(url.to_owned())], "{html}");
    }

    #[test]
    fn a_source_is_resolved_as_a_browser_does() {
        check("<img src=' ../b c.png?v=2#x '>", "file:///b%20c.png");
        check("<base href='https://h.example/d/'><img src=i.png?v=2#x>", "https://h.example/d/i.png?v=2");
        check("<img src=//h.example/i.png>", "file://h.example/i.png");
        check("<img src=data:image/gif;base64,R0lG>", "data:image/gif;base64,R0lG");
        check("<img src='%28%c3%a4%29.png'>", "file:///a/(%C3%A4).png");
    }

    #[test]
    fn a_visitor_counter_is_no_image() {
        check("<img src=b.gif height=1>", "file:///a/b.gif");
        assert_eq!(urls("<img src=a.gif width=1 height=1px>"), [Err(NoImage::Pixel)]);
    }

    #[test]
    fn the_lazy_attribute_beats_a_placeholder_and_nothing_else() {
        check("<img src='data:image/gif;base64,R0lG' data-src=real.png>", "file:///a/real.png");
        check("<img src=real.png data-src=other.png>", "file:///a/real.png");
        check("<img data-srcset='s.png 1x, l.png 2x'>", "file:///a/l.png");
    }

    #[test]
    fn candidates_stand_in_where_there_is_no_source() {
        check("<img srcset='s.png 1w, l.png 2w'>", "file:///a/l.png");
        check("<picture><source srcset='p.webp'><img></picture>", "file:///a/p.webp");
    }

    #[test]
    fn an_image_that_names_none_says_why() {
        assert_eq!(
            urls("<img alt=x><img src='http://[bad'>")
                .iter()
                .map(|url| url.clone().unwrap_err().reason())
                .collect::<Vec<_>>(),
            ["image_without_src", "image_invalid_url"]
        );
    }
}
