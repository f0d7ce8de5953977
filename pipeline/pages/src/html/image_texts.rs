//! What a page says about an image.

use std::collections::BTreeMap;

use crate::html::names::{self, Kind};
use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};
use crate::html::work::Work;

/// Texts that go with one image, whitespace collapsed; none where a page has none, or a blank one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageTexts {
    /// What stands in for it: `alt`.
    pub alt: Option<String>,
    /// What is shown when it is pointed at: `title`.
    pub title: Option<String>,
    /// The `<figcaption>` of the nearest `<figure>` around it.
    pub caption: Option<String>,
}

/// The most bytes of one text: it is cut at a character.
const MOST_BYTES: usize = 4096;

/// Reads images' texts from a page. Each figure's caption is read once, for a page may have a million images in one.
pub struct Texts<'a> {
    tree: &'a Tree<'a>,
    captions: BTreeMap<NodeId, Option<String>>,
}

impl<'a> Texts<'a> {
    /// The texts of a page's images.
    pub fn new(tree: &'a Tree<'a>) -> Self {
        Self { tree, captions: BTreeMap::new() }
    }

    /// The texts of one image.
    pub fn of(&mut self, image: NodeId) -> ImageTexts {
        let attribute = |name| self.tree.attribute(image, name).and_then(|value| collapsed([value], self.tree.work()));
        let (alt, title) = (attribute("alt"), attribute("title"));
        ImageTexts { alt, title, caption: self.caption(image) }
    }

    fn caption(&mut self, image: NodeId) -> Option<String> {
        let tree = self.tree;
        let mut around = std::iter::successors(tree.parent(image), |id| tree.parent(*id));
        let figure = around.find(|id| {
            tree.work().spend(1);
            tree.element(*id) == Some(Name::Figure)
        })?;
        let caption = self.captions.entry(figure).or_insert_with(|| caption_of(tree, figure)).clone();
        tree.work().spend(caption.as_ref().map_or(0, String::len));
        caption
    }
}

/// The text of a figure's first caption.
fn caption_of(tree: &Tree<'_>, figure: NodeId) -> Option<String> {
    let caption = tree.children(figure).find(|child| tree.element(*child) == Some(Name::Figcaption))?;
    // Nothing stands for where a block ends.
    let (mut open, mut pieces, mut bytes) = (vec![Some(caption)], Vec::new(), 0);
    while let Some(id) = open.pop().filter(|_| bytes < MOST_BYTES && !tree.work().is_spent()) {
        tree.work().spend(1);
        let Some(id) = id else {
            pieces.push(" ");
            continue;
        };
        if let Some(text) = tree.text(id) {
            bytes += text.len();
            pieces.push(text);
            continue;
        }
        let name = tree.element(id).unwrap_or(Name::Other);
        if names::is_never_shown(name) {
            continue;
        }
        // What a block or a line break parts are different words.
        if names::kind(name) != Kind::Inline || name == Name::Br {
            pieces.push(" ");
            open.push(None);
        }
        open.extend(tree.children_reversed(id).map(Some));
    }
    collapsed(pieces, tree.work())
}

/// The words of some text that stands together, with single spaces between them; none if there are no words.
fn collapsed<'t>(pieces: impl IntoIterator<Item = &'t str>, work: &Work) -> Option<String> {
    let mut text = String::new();
    let mut is_gap = false;
    for character in pieces.into_iter().flat_map(str::chars) {
        work.spend(1);
        if text.len() + character.len_utf8() + 1 > MOST_BYTES {
            break;
        }
        if character.is_whitespace() {
            is_gap = !text.is_empty();
            continue;
        }
        if std::mem::take(&mut is_gap) {
            text.push(' ');
        }
        text.push(character);
    }
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::measure::document_order;
    use crate::html::tree::{Limits, parse};

    fn texts(html: &str) -> Vec<ImageTexts> {
        let tree = parse(html, &Limits::default()).unwrap();
        let order = document_order(&tree);
        let mut texts = Texts::new(&tree);
        order.iter().filter(|id| tree.element(**id) == Some(Name::Img)).map(|id| texts.of(*id)).collect()
    }

    fn of(alt: Option<&str>, title: Option<&str>, caption: Option<&str>) -> ImageTexts {
        ImageTexts { alt: alt.map(Into::into), title: title.map(Into::into), caption: caption.map(Into::into) }
    }

    #[test]
    fn an_image_has_the_texts_that_the_page_gives_it() {
        assert_eq!(texts("<img alt=' A \n cat ' title=''>"), [of(Some("A cat"), None, None)]);
        assert_eq!(texts("<p>Words<img title=T></p>"), [of(None, Some("T"), None)]);
    }

    #[test]
    fn the_nearest_figure_captions_the_images_in_it() {
        let caption = "<figcaption>Two <b>ca</b>ts<p>at</p>home<script>x</script></figcaption>";
        let html = format!("<figure><a><img alt=a></a><figure><img alt=b></figure><img alt=c>{caption}</figure><img>");
        let captioned = Some("Two cats at home");
        let expected = [
            of(Some("a"), None, captioned),
            of(Some("b"), None, None),
            of(Some("c"), None, captioned),
            of(None, None, None),
        ];
        assert_eq!(texts(&html), expected);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let found = texts(&format!("<img alt='{}'>", "ä".repeat(MOST_BYTES)));
        let alt = found[0].alt.as_deref().unwrap();
        assert!(alt.len() <= MOST_BYTES && alt.len() > MOST_BYTES - 4 && alt.chars().all(|character| character == 'ä'));
    }
}
