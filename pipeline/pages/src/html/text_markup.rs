//! A page as plain text, with its images standing bare between its words.

use crate::html::document::ImageReference;
use crate::html::form::{AltText, Page};
use crate::html::image_texts::ImageTexts;
use crate::html::names::{self, Kind};
use crate::html::parse::names::Name;
use crate::html::tree::NodeId;
use crate::html::write::Markup;

/// What parts two pieces of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Break {
    None,
    /// Two cells of a row.
    Cell,
    /// Two lines: items of a list, rows of a table, and `<br>`.
    Line,
    /// Two paragraphs, or any other blocks.
    Paragraph,
}

impl Break {
    fn text(self) -> &'static str {
        match self {
            Break::None => "",
            Break::Cell => "\t",
            Break::Line => "\n",
            Break::Paragraph => "\n\n",
        }
    }
}

/// Text that is being written.
#[derive(Debug)]
pub struct TextMarkup {
    text: String,
    images: Vec<ImageReference>,
    alt: AltText,
    /// What is due before the next word or image; of several the greatest.
    due: Break,
    /// Whether anything but images, and what belongs to them, has been written.
    has_words: bool,
    /// List items that are open.
    items: u32,
}

impl TextMarkup {
    pub fn new(alt: AltText) -> Self {
        Self { text: String::new(), images: Vec::new(), alt, due: Break::None, has_words: false, items: 0 }
    }

    fn break_around(&self, name: Name) -> Break {
        match name {
            Name::Td | Name::Th => Break::Cell,
            Name::Br | Name::Dd | Name::Dt | Name::Li | Name::Optgroup | Name::Option | Name::Tr => Break::Line,
            Name::Tbody | Name::Tfoot | Name::Thead => Break::Line,
            // A list in an item goes on with the list around it.
            Name::Dir | Name::Dl | Name::Menu | Name::Ol | Name::Ul if self.items > 0 => Break::Line,
            _ if names::kind(name) == Kind::Inline => Break::None,
            _ => Break::Paragraph,
        }
    }

    fn write_break(&mut self) {
        let due = std::mem::replace(&mut self.due, Break::None);
        if self.text.is_empty() && self.images.is_empty() {
            return;
        }
        self.text.push_str(due.text());
        // Where nothing but images stands before, it goes with the last of them, so that no text begins with a break.
        if let Some(last) = self.images.last_mut().filter(|_| !self.has_words) {
            last.tag.end = self.text.len() as u32;
        }
    }

    fn word(&mut self, word: &str) {
        self.write_break();
        self.has_words = true;
        self.text.push_str(word);
    }
}

impl Markup for TextMarkup {
    const IMAGES_ARE_WORDS: bool = false;

    fn start(&mut self, _: &Page<'_>, _: NodeId, _: &[NodeId], name: Name) {
        self.due = self.due.max(self.break_around(name));
        self.items += u32::from(is_item(name));
    }

    fn end(&mut self, _: &Page<'_>, _: NodeId, name: Name) {
        self.items -= u32::from(is_item(name));
        self.due = self.due.max(self.break_around(name));
    }

    /// The break before an image goes with it if it fails, and so does its description.
    fn image(&mut self, page: &Page<'_>, id: NodeId, texts: ImageTexts) {
        let before = self.text.len();
        self.write_break();
        let start = if self.has_words { before } else { self.text.len() };
        let alt = page.tree.attribute(id, "alt").filter(|_| self.alt == AltText::Kept).unwrap_or_default();
        for word in alt.split_ascii_whitespace() {
            if !self.text.is_empty() && !self.text.ends_with(|last: char| last.is_ascii_whitespace()) {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
        let url = page.images.get(&id).cloned().unwrap_or_default();
        let src = self.text.len() as u32;
        self.images.push(ImageReference { url, tag: start as u32..src, src, texts });
    }

    fn words(&mut self, words: &str, _: bool) {
        self.word(words);
    }

    fn space(&mut self) {
        self.word(" ");
    }

    fn preformatted(&mut self, text: &str) {
        self.word(text);
    }

    fn length(&self) -> usize {
        self.text.len()
    }

    fn finish(self) -> (String, Vec<ImageReference>) {
        (self.text, self.images)
    }
}

fn is_item(name: Name) -> bool {
    matches!(name, Name::Dd | Name::Dt | Name::Li)
}
