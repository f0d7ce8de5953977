//! A page as HTML: attributes in alphabetical order, and `src=""` for each image.

use crate::html::document::ImageReference;
use crate::html::form::Page;
use crate::html::image_texts::ImageTexts;
use crate::html::names;
use crate::html::parse::names::Name;
use crate::html::tree::NodeId;
use crate::html::write::Markup;

/// HTML that is being written.
#[derive(Debug, Default)]
pub struct HtmlMarkup {
    markup: String,
    images: Vec<ImageReference>,
    /// Where the tag of a `pre` ends.
    after_pre: usize,
}

impl HtmlMarkup {
    /// Nothing yet of a page of so many bytes, with room for what most leave.
    pub fn of_page(bytes: usize) -> Self {
        Self { markup: String::with_capacity(bytes / 2), ..Self::default() }
    }
}

impl Markup for HtmlMarkup {
    const IMAGES_ARE_WORDS: bool = true;

    /// One tag for elements folded into one; where attributes clash, the first one's stays.
    fn start(&mut self, page: &Page<'_>, id: NodeId, folded: &[NodeId], name: Name) {
        self.markup.push('<');
        self.markup.push_str(written_name(page, id, name));
        let kept = [id].into_iter().chain(folded.iter().copied()).flat_map(|id| {
            let is_kept = move |attribute: &str| page.form.kept_attributes.has(page.tree, id, attribute);
            page.tree.attributes_named(id, is_kept)
        });
        self.attributes(kept);
        self.markup.push('>');
        if names::is_preformatted(name) {
            self.after_pre = self.markup.len();
        }
    }

    fn end(&mut self, page: &Page<'_>, id: NodeId, name: Name) {
        self.markup.push_str("</");
        self.markup.push_str(written_name(page, id, name));
        self.markup.push('>');
    }

    /// `src` stands there whatever the page called it, with nothing in it.
    fn image(&mut self, page: &Page<'_>, id: NodeId, texts: ImageTexts) {
        let start = self.markup.len();
        let is_kept = |name: &str| name != "src" && page.form.kept_attributes.has(page.tree, id, name);
        let kept = page.tree.attributes_named(id, is_kept);
        let mut attributes: Vec<(&str, &str)> = kept.chain([("src", "")]).collect();
        attributes.sort_unstable();
        let mut src = start;
        self.markup.push_str("<img");
        for (name, value) in attributes {
            self.attribute(name, value);
            if name == "src" {
                src = self.markup.len() - 1;
            }
        }
        self.markup.push('>');
        let url = page.images.get(&id).cloned().unwrap_or_default();
        let tag = start as u32..self.markup.len() as u32;
        self.images.push(ImageReference { url, tag, src: src as u32, texts });
    }

    #[inline]
    fn words(&mut self, words: &str, is_special: bool) {
        if is_special {
            escape(words, b'>', "&gt;", &mut self.markup);
        } else {
            self.markup.push_str(words);
        }
    }

    #[inline]
    fn space(&mut self) {
        self.markup.push(' ');
    }

    fn preformatted(&mut self, text: &str) {
        // The first line feed of preformatted text is dropped by every parser.
        if text.starts_with('\n') && self.after_pre == self.markup.len() {
            self.markup.push('\n');
        }
        escape(text, b'>', "&gt;", &mut self.markup);
    }

    fn length(&self) -> usize {
        self.markup.len()
    }

    fn finish(self) -> (String, Vec<ImageReference>) {
        (self.markup, self.images)
    }
}

impl HtmlMarkup {
    /// Attributes in alphabetical order; of those with one name, the first.
    fn attributes<'a>(&mut self, mut attributes: impl Iterator<Item = (&'a str, &'a str)>) {
        // Most elements have none or one, which needs no sorting.
        let (Some(first), second) = (attributes.next(), attributes.next()) else { return };
        let Some(second) = second else { return self.attribute(first.0, first.1) };
        let mut sorted = vec![first];
        for (attribute, value) in std::iter::once(second).chain(attributes) {
            if sorted.iter().all(|(there, _)| *there != attribute) {
                sorted.push((attribute, value));
            }
        }
        sorted.sort_unstable();
        for (attribute, value) in sorted {
            self.attribute(attribute, value);
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let markup = &mut self.markup;
        markup.push(' ');
        markup.push_str(name);
        markup.push_str("=\"");
        escape(value, b'"', "&quot;", markup);
        markup.push('"');
    }
}

fn written_name<'a>(page: &Page<'a>, id: NodeId, name: Name) -> &'a str {
    names::written(name).unwrap_or_else(|| page.tree.name(id))
}

/// Appends text with `&`, `<` and one more character escaped, and carriage returns, which parsers take for line feeds.
fn escape(text: &str, special: u8, entity: &str, markup: &mut String) {
    let is_special = |byte: u8| matches!(byte, b'&' | b'<' | b'\r') || byte == special;
    // All bytes are looked at, so that the compiler does it in vectors: most texts have nothing to escape.
    if !text.bytes().fold(false, |any, byte| any | is_special(byte)) {
        markup.push_str(text);
        return;
    }
    let mut rest = text;
    while let Some(found) = rest.bytes().position(is_special) {
        markup.push_str(&rest[..found]);
        match rest.as_bytes()[found] {
            b'&' => markup.push_str("&amp;"),
            b'<' => markup.push_str("&lt;"),
            b'\r' => markup.push_str("&#13;"),
            _ => markup.push_str(entity),
        }
        rest = &rest[found + 1..];
    }
    markup.push_str(rest);
}
