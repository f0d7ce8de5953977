//! The forms a page may be written in: all parse, choose images and measure alike, and differ in what they keep.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::html::document::{DroppedImage, MarkupDocument, Unusable};
use crate::html::drops::{Drops, PageDrops};
use crate::html::html_markup::HtmlMarkup;
use crate::html::image_source::{Images, NoImage, base_url};
use crate::html::kept_attributes::{KeptAttributes, words};
use crate::html::measure::{Measure, Thresholds, kept_order, measure};
use crate::html::noscript::release_images;
use crate::html::parse::names::Name;
use crate::html::text_markup::TextMarkup;
use crate::html::tree::{Limits, NodeId, TooMuch, Tree, parse};
use crate::html::write::{Written, write};

/// A form of a page. What becomes of each part of one:
///
/// - Comments and the document type go. Entities are text; in HTML, only `&`, `<`, `>` and quotes are written as such.
/// - Scripting is off, so that `<noscript>` is parsed. Where the form drops it, its images stay in its place, unless the
///   page shows them anyway: [`release_images`] has the rule.
/// - `<picture>`, `srcset` and lazy-loading attributes come down to one image: [`Images`] has the rule.
/// - What a `<template>` holds is not part of the page, nor are frames and the text for browsers without them: a frameset is
///   a page without text.
/// - Microdata and RDFa attributes, OpenGraph's and Twitter's `<meta>` stay where the form keeps metadata. JSON-LD goes
///   with all scripts: the papers keep attributes, and it says again what the page says.
/// - A page without text is rejected, unless it is nothing but images, one of them with an `alt`: CM3's captioned image.
/// - SVG and MathML are elements like others. The forms drop drawings by default (`svg`), and of formulas what repeats them
///   (`annotation`); other text of a formula stays.
#[derive(Debug, Clone)]
pub struct Form {
    /// Elements that go with all that is in them.
    pub drops: Drops,
    /// Attributes that stay.
    pub kept_attributes: KeptAttributes,
    /// Which `<meta>` stays.
    pub kept_meta: KeptMeta,
    /// How long the text of a part of a page must be for it to stay; `None` if all of it stays, and nothing is folded.
    pub thresholds: Option<Thresholds>,
    /// Languages that the page may say it is in; any, if there are none.
    pub languages: Vec<String>,
    /// The share of the markup's characters that must be exceeded by those of the text.
    pub min_text_ratio: f64,
    /// What is written.
    pub style: Style,
    /// Beyond these a page is refused.
    pub limits: Limits,
}

/// What a page is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// HTML; an image is a tag.
    Html,
    /// Text alone; an image is a place in it.
    Text(AltText),
}

/// Whether images are described where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AltText {
    /// Before the image.
    Kept,
    /// Not at all.
    Left,
}

/// Which `<meta>` elements say something about the page.
#[derive(Debug, Clone, Default)]
pub struct KeptMeta {
    /// Beginnings of the `property` or `name`.
    pub prefixes: Vec<String>,
    /// Whether those with an `itemprop` do.
    pub structured: bool,
}

/// Beginnings of the names that OpenGraph, Twitter and plain summaries use.
pub fn meta_about_page() -> Vec<String> {
    words("article: author book: description keywords og: profile: twitter:")
}

impl KeptMeta {
    fn has(&self, tree: &Tree<'_>, id: NodeId) -> bool {
        let mut named = ["property", "name"].into_iter().filter_map(|name| tree.attribute(id, name));
        let begins = |name: &str, prefix: &String| {
            name.get(..prefix.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix))
        };
        let is_known = named.any(|name| self.prefixes.iter().any(|prefix| begins(name, prefix)));
        let has_content = tree.attribute(id, "content").is_some_and(|content| !content.trim().is_empty());
        has_content && (is_known || (self.structured && tree.attribute(id, "itemprop").is_some()))
    }
}

/// A page, measured: what its writer goes by.
pub(super) struct Page<'a> {
    pub form: &'a Form,
    pub tree: &'a Tree<'a>,
    pub drops: PageDrops<'a>,
    pub measures: Vec<Measure>,
    pub images: BTreeMap<NodeId, String>,
}

/// The nodes of a page that may be nothing but captioned images.
const CAPTIONED_NODES: usize = 64;

impl Page<'_> {
    /// Whether a node stays, given that the one around it does.
    pub fn keeps(&self, id: NodeId) -> bool {
        self.measures[id as usize].stays
    }

    /// Whether divisions around nothing but a division become one.
    pub fn folds(&self) -> bool {
        self.form.thresholds.is_some()
    }
}

impl Form {
    /// Writes a page in this form.
    pub fn document(&self, html: &str, url: &Url) -> Result<MarkupDocument, Unusable> {
        let mut tree = self.parse(html)?;
        let released = release_images(&mut tree, &self.drops);
        let (mut written, dropped_images, is_captioned) = self.written(&tree, url, &released);
        if tree.work().is_spent() {
            return Err(Unusable::Limit(TooMuch::Work));
        }
        self.check(&written, is_captioned)?;
        let text = written.body.map(|start| written.text.split_off(start)).unwrap_or_default();
        Ok(MarkupDocument { markup: written.markup, images: written.images, dropped_images, text })
    }

    fn written(&self, tree: &Tree<'_>, url: &Url, released: &BTreeSet<NodeId>) -> (Written, Vec<DroppedImage>, bool) {
        let (page, dropped_images) = self.page(tree, url, released);
        let is_captioned = is_captioned_image(&page);
        let written = match self.style {
            Style::Html => write(&page, HtmlMarkup::of_page(tree.page.len())),
            Style::Text(alt) => write(&page, TextMarkup::new(alt)),
        };
        (written, dropped_images, is_captioned)
    }

    fn parse<'p>(&self, html: &'p str) -> Result<Tree<'p>, Unusable> {
        let tree = parse(html, &self.limits).map_err(Unusable::Limit)?;
        let named = language(&tree).filter(|language| !self.languages.is_empty() && !language.is_empty());
        match named.filter(|named| !self.languages.iter().any(|language| is_in(named, language))) {
            Some(other) => Err(Unusable::Language(other.to_owned())),
            None => Ok(tree),
        }
    }

    /// What stays of a page.
    fn page<'a>(&'a self, tree: &'a Tree<'a>, url: &Url, released: &BTreeSet<NodeId>) -> (Page<'a>, Vec<DroppedImage>) {
        let base = base_url(tree, url);
        let drops = self.drops.of(tree);
        let order = kept_order(tree, |id, in_section| !drops.has(id, in_section));
        let (images, dropped) = images(tree, &order, &base, released);
        let stays_bare = |id: NodeId, name: Name| {
            if name == Name::Img { images.contains_key(&id) } else { self.kept_meta.has(tree, id) }
        };
        let measures = measure(tree, &order, self.thresholds, stays_bare);
        (Page { form: self, tree, drops, measures, images }, dropped)
    }

    fn check(&self, written: &Written, is_captioned: bool) -> Result<(), Unusable> {
        let body = written.body.and_then(|start| written.text.get(start..)).unwrap_or_default();
        if body.trim().is_empty() && !is_captioned {
            return Err(Unusable::NoText);
        }
        if u32::try_from(written.markup.len()).is_err() {
            return Err(Unusable::TooLarge);
        }
        if self.min_text_ratio > 0.0 {
            let (text, markup) = (written.text.chars().count(), written.markup.chars().count());
            if text as f64 <= self.min_text_ratio * markup as f64 {
                return Err(Unusable::LowTextRatio(text, markup));
            }
        }
        Ok(())
    }
}

/// Whether a page is nothing but images, one of them with a text: what a pair of an image and its caption becomes.
fn is_captioned_image(page: &Page<'_>) -> bool {
    // Such a page is tiny, so that others need not be looked through.
    if page.tree.node_count() > CAPTIONED_NODES || page.images.is_empty() {
        return false;
    }
    let mut elements = (0..page.tree.node_count() as NodeId).filter_map(|id| page.tree.element(id));
    let captioned = |id: &NodeId| page.tree.attribute(*id, "alt").is_some_and(|alt| !alt.trim().is_empty());
    page.images.keys().any(captioned)
        && elements.all(|name| matches!(name, Name::Html | Name::Head | Name::Body | Name::Img))
}

/// The images of a page, by node, and those that show nothing.
fn images(
    tree: &Tree<'_>,
    order: &[NodeId],
    base: &Url,
    released: &BTreeSet<NodeId>,
) -> (BTreeMap<NodeId, String>, Vec<DroppedImage>) {
    let (mut found, mut dropped) = (BTreeMap::new(), Vec::new());
    let mut sources = Images::new(tree, base);
    for id in order.iter().copied().filter(|id| tree.element(*id) == Some(Name::Img)) {
        match sources.url(id) {
            Ok(url) => drop(found.insert(id, url)),
            Err(none) => dropped.push(dropped_image(&none, tree, id)),
        }
    }
    if !released.is_empty() {
        let shown = found.iter().filter(|(id, _)| !released.contains(id)).map(|(_, url)| url.clone());
        let shown: BTreeSet<String> = shown.collect();
        found.retain(|id, url| !released.contains(id) || !shown.contains(url));
    }
    (found, dropped)
}

fn dropped_image(none: &NoImage, tree: &Tree<'_>, id: NodeId) -> DroppedImage {
    let detail = match none {
        NoImage::Missing | NoImage::Pixel => format!("alt: {}", tree.attribute(id, "alt").unwrap_or_default()),
        NoImage::Invalid(detail) => detail.clone(),
    };
    DroppedImage { reason: none.reason(), detail }
}

/// What the page says its language is.
fn language<'a>(tree: &'a Tree<'_>) -> Option<&'a str> {
    let html = tree.children(Tree::DOCUMENT).find(|id| tree.element(*id) == Some(Name::Html))?;
    let named = tree.attribute(html, "lang").or_else(|| tree.attribute(html, "xml:lang"))?;
    Some(named.trim())
}

/// Whether a language tag, such as `en-GB`, is of a language, such as `en`.
fn is_in(tag: &str, language: &str) -> bool {
    let Some(beginning) = tag.get(..language.len()) else { return false };
    beginning.eq_ignore_ascii_case(language) && !tag[language.len()..].starts_with(|next: char| next.is_alphanumeric())
}

#[cfg(test)]
mod tests;
