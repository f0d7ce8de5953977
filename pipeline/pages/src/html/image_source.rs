//! Which one image an `<img>` shows, as an absolute URL.

use std::collections::BTreeMap;

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
/// Words in the file name of a placeholder.
const PLACEHOLDER_WORDS: [&str; 10] =
    ["1x1", "blank", "empty", "grey", "lazy", "loading", "pixel", "placeholder", "spacer", "transparent"];
/// Media types of a `<source>` that the images stage can't decode.
const UNDECODED: [&str; 6] = ["image/avif", "image/heic", "image/heif", "image/jp2", "image/jxl", "image/svg+xml"];
/// An address longer than this is none, but for `data:` URLs; no browser sends a longer one.
const MOST_BYTES: usize = 32 << 10;

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

/// The images of a page, each with the one address that it is shown from:
///
/// 1. `src`, unless it is empty or a placeholder: `about:blank`, a short `data:` URL, or a file whose name says so
///    (`blank.gif`, `lazy-loading.png`).
/// 2. Else the first of the lazy-loading attributes `data-src`, `data-original` and their kin, then the largest candidate of
///    `data-srcset` and `data-lazy-srcset`.
/// 3. Else the largest candidate of `srcset`, by width or density. `sizes` is not looked at, for there is no screen.
/// 4. Else the largest candidate of the first `<source>` of the `<picture>` around it whose `type` can be decoded here.
///    `media` is not looked at either.
/// 5. Else the placeholder, if there is one.
///
/// The address is resolved as a browser does, against the first `<base href>`, and loses its fragment. What says that it is
/// one pixel large is no image. Pictures behind `<video poster>`, `<input type=image>`, `<object>`, SVG's `<image>` and
/// style sheets are none either.
pub struct Images<'a> {
    tree: &'a Tree<'a>,
    base: &'a Url,
    /// What each `<picture>` offers, for a page may have a million images in one.
    pictures: BTreeMap<NodeId, Option<&'a str>>,
}

impl<'a> Images<'a> {
    /// The images of a page whose links are relative to `base`.
    pub fn new(tree: &'a Tree<'a>, base: &'a Url) -> Self {
        Self { tree, base, pictures: BTreeMap::new() }
    }

    /// The image's URL.
    pub fn url(&mut self, image: NodeId) -> Result<String, NoImage> {
        if is_one_pixel(self.tree, image) {
            return Err(NoImage::Pixel);
        }
        let source = match own_source(self.tree, image) {
            Source::Image(source) => source,
            Source::Placeholder(source) => self.of_picture(image).unwrap_or(source),
            Source::None => self.of_picture(image).ok_or(NoImage::Missing)?,
        };
        self.tree.work().spend(source.len() + self.base.as_str().len());
        if source.len() > MOST_BYTES && !is_data(source) {
            return Err(NoImage::Invalid(format!("{} bytes long", source.len())));
        }
        let url = self.base.join(source).map_err(|error| NoImage::Invalid(format!("{error}: {source}")))?;
        Ok(canonical(url))
    }

    fn of_picture(&mut self, image: NodeId) -> Option<&'a str> {
        let tree = self.tree;
        let picture = tree.parent(image).filter(|parent| tree.element(*parent) == Some(Name::Picture))?;
        *self.pictures.entry(picture).or_insert_with(|| source_of_picture(tree, picture))
    }
}

/// What an `<img>` names by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source<'a> {
    None,
    Placeholder(&'a str),
    Image(&'a str),
}

fn own_source<'a>(tree: &'a Tree<'_>, image: NodeId) -> Source<'a> {
    let attribute = |name: &&str| tree.attribute(image, name).filter(|value| !value.trim().is_empty());
    let candidate = |name: &&str| attribute(name).and_then(largest_candidate);
    let src = attribute(&"src");
    if let Some(source) = src.filter(|source| !is_placeholder(source)) {
        return Source::Image(source);
    }
    let is_address = |value: &&str| !value.trim_start().starts_with(['{', '[', '<']);
    let lazy = LAZY.iter().find_map(|name| attribute(name).filter(is_address));
    let other = lazy.or_else(|| LAZY_SETS.iter().find_map(candidate)).or_else(|| candidate(&"srcset"));
    match (other, src) {
        (Some(source), _) => Source::Image(source),
        (None, Some(source)) => Source::Placeholder(source),
        (None, None) => Source::None,
    }
}

/// How an `<img>` comes to show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    /// Not by itself.
    Placeholder,
    /// A script looks into one of its attributes.
    Lazily,
    /// As browsers do.
    Plainly,
}

/// How an image shows what it shows.
pub fn showing(tree: &Tree<'_>, image: NodeId) -> Showing {
    // It counts visitors: an image that waits to be loaded has its own size.
    if is_one_pixel(tree, image) {
        return Showing::Plainly;
    }
    let is_lazy = LAZY.iter().chain(&LAZY_SETS).any(|name| tree.attribute(image, name).is_some());
    let picture = tree.parent(image).filter(|parent| tree.element(*parent) == Some(Name::Picture));
    let shows = matches!(own_source(tree, image), Source::Image(_))
        || picture.is_some_and(|picture| source_of_picture(tree, picture).is_some());
    match (shows, is_lazy) {
        (false, _) => Showing::Placeholder,
        (true, true) => Showing::Lazily,
        (true, false) => Showing::Plainly,
    }
}

fn is_one_pixel(tree: &Tree<'_>, image: NodeId) -> bool {
    let is_pixel =
        |side| tree.attribute(image, side).is_some_and(|side| matches!(side.trim(), "0" | "1" | "0px" | "1px"));
    is_pixel("width") && is_pixel("height")
}

fn is_data(source: &str) -> bool {
    source.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

fn is_placeholder(source: &str) -> bool {
    if is_data(source) {
        return source.len() < PLACEHOLDER;
    }
    let path = source.split(['?', '#']).next().unwrap_or_default().trim();
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    // Whole words, so that a picture of a `blanket` is none.
    let mut words = stem.split(|character: char| !character.is_ascii_alphanumeric());
    let is_known = |word: &str| PLACEHOLDER_WORDS.iter().any(|known| word.eq_ignore_ascii_case(known));
    path.eq_ignore_ascii_case("about:blank") || (name.len() <= 64 && words.any(is_known))
}

fn source_of_picture<'a>(tree: &'a Tree<'_>, picture: NodeId) -> Option<&'a str> {
    let sources = tree.children(picture).filter(|child| tree.element(*child) == Some(Name::Source));
    let decoded = sources.filter(|source| {
        let kind = tree.attribute(*source, "type").unwrap_or_default().trim();
        !UNDECODED.iter().any(|undecoded| kind.eq_ignore_ascii_case(undecoded))
    });
    let sets = ["srcset", "data-srcset", "data-lazy-srcset"];
    let mut candidates = decoded
        .filter_map(|source| sets.iter().find_map(|name| tree.attribute(source, name).and_then(largest_candidate)));
    candidates.next()
}

/// The URL that the page's links are relative to: the first `<base href>`, itself relative to the page.
pub fn base_url(tree: &Tree<'_>, document: &Url) -> Url {
    let base = base_of(tree).filter(|href| href.len() <= MOST_BYTES).and_then(|href| document.join(href).ok());
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
        let mut sources = Images::new(&tree, &base);
        let images = order.iter().filter(|id| tree.name(**id) == "img");
        images.map(|image| sources.url(*image)).collect()
    }

    fn check(html: &str, url: &str) {
        assert_eq!(urls(html), [Ok(url.to_owned())], "{html}");
    }

    #[test]
    fn a_source_is_resolved_as_a_browser_does() {
        check("<img src=' ../b c.png?v=2#x '>", "file:///b%20c.png");
        check("<base href='https://h.example/d/'><img src=i.png?v=2#x>", "https://h.example/d/i.png?v=2");
        check("<base target=x><base href=/d/><base href=/e/><img src=i.png>", "file:///d/i.png");
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
        check("<img src=about:blank data-original=real.png>", "file:///a/real.png");
        check("<img src='/i/lazy_placeholder.gif?x' data-lazy-src=real.png>", "file:///a/real.png");
        check("<img src=real.png data-src=other.png>", "file:///a/real.png");
        check("<img src=blanket.png data-src=other.png>", "file:///a/blanket.png");
        check("<img data-srcset='s.png 1x, l.png 2x'>", "file:///a/l.png");
        check("<img data-image='{\"id\": 1}' srcset=s.png>", "file:///a/s.png");
    }

    #[test]
    fn candidates_stand_in_where_there_is_no_source() {
        check("<img srcset='s.png 1w, l.png 2w' sizes=1px>", "file:///a/l.png");
        check("<picture><source srcset='p.webp'><img></picture>", "file:///a/p.webp");
        check("<img src=spacer.gif>", "file:///a/spacer.gif");
        check("<picture><source srcset='p.webp'><img src=spacer.gif></picture>", "file:///a/p.webp");
    }

    #[test]
    fn a_picture_shows_what_can_be_decoded_whatever_the_screen() {
        let avif = "<source type=image/avif srcset=a.avif>";
        let webp = "<source type=image/webp media='(min-width: 9px)' srcset='s.webp 1x, l.webp 2x'>";
        check(&format!("<picture>{avif}{webp}<source srcset=c.png><img></picture>"), "file:///a/l.webp");
        check(&format!("<picture>{avif}{webp}<img src=i.jpg></picture>"), "file:///a/i.jpg");
        check("<picture><source data-srcset=d.webp><img></picture>", "file:///a/d.webp");
        assert_eq!(urls(&format!("<picture>{avif}<img></picture>")), [Err(NoImage::Missing)]);
    }

    #[test]
    fn an_image_that_names_none_says_why() {
        let long = format!("<img src={}>", "a".repeat(MOST_BYTES + 1));
        let found = urls(&format!("<img alt=x><img src='http://[bad'>{long}"));
        let reasons: Vec<_> = found.iter().map(|url| url.clone().unwrap_err().reason()).collect();
        assert_eq!(reasons, ["image_without_src", "image_invalid_url", "image_invalid_url"]);
    }
}
