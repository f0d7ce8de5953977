//! Walks what is kept of a tree, and collapses its whitespace as CSS does.

use crate::html::document::ImageReference;
use crate::html::form::Page;
use crate::html::image_texts::{ImageTexts, Texts};
use crate::html::names::{self, Kind};
use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    pub markup: String,
    pub images: Vec<ImageReference>,
    /// The text alone, whitespace collapsed, a line for each block.
    pub text: String,
    /// Where the body begins in `text`.
    pub body: Option<usize>,
}

/// How what is kept of a page is written.
pub(super) trait Markup {
    /// Whether an image stands in its line as a word does, so that whitespace parts it from others.
    const IMAGES_ARE_WORDS: bool;

    /// An element begins; those folded into it give it their attributes.
    fn start(&mut self, page: &Page<'_>, id: NodeId, folded: &[NodeId], name: Name);
    /// An element ends that began and has an end.
    fn end(&mut self, page: &Page<'_>, id: NodeId, name: Name);
    /// An image that is kept, with what the page says about it.
    fn image(&mut self, page: &Page<'_>, id: NodeId, texts: ImageTexts);
    /// Text with no more whitespace than single spaces; `is_special` if there may be characters in it that mean markup.
    fn words(&mut self, words: &str, is_special: bool);
    /// Whitespace between words.
    fn space(&mut self);
    /// Text whose whitespace stays.
    fn preformatted(&mut self, text: &str);
    /// Bytes written so far.
    fn length(&self) -> usize;
    /// All of it.
    fn finish(self) -> (String, Vec<ImageReference>);
}

/// Writes the page.
pub(super) fn write<M: Markup>(page: &Page<'_>, markup: M) -> Written {
    let text = String::with_capacity(page.tree.page.len() / 4);
    let texts = Texts::new(page.tree);
    let mut writer = Writer { page, markup, text, texts, body: None, gap: Gap::Swallowed, preformatted: 0 };
    let work = page.tree.work();
    let mut open = vec![Visit::Enter(Tree::DOCUMENT)];
    while let Some(visit) = open.pop().filter(|_| !work.is_spent()) {
        match visit {
            Visit::Enter(id) => writer.enter(id, &mut open),
            Visit::Leave(id) => writer.leave(id),
        }
    }
    let (markup, images) = writer.markup.finish();
    Written { markup, images, text: writer.text, body: writer.body }
}

const SPACE: u8 = 1;
const SPECIAL: u8 = 2;

/// What a byte is to text that is being written.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\x0c' | b'\r' => SPACE,
            b'&' | b'<' | b'>' => SPECIAL,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

#[derive(Debug, Clone, Copy)]
enum Visit {
    Enter(NodeId),
    Leave(NodeId),
}

/// What whitespace would be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// A word stands before: whitespace would part words.
    None,
    /// Whitespace was met: a space is due if a word follows in the same line.
    Due,
    /// A block begins or a space stands here: whitespace is nothing.
    Swallowed,
}

struct Writer<'a, M> {
    page: &'a Page<'a>,
    markup: M,
    text: String,
    texts: Texts<'a>,
    body: Option<usize>,
    gap: Gap,
    preformatted: u32,
}

impl<M: Markup> Writer<'_, M> {
    fn enter(&mut self, id: NodeId, open: &mut Vec<Visit>) {
        let tree = self.page.tree;
        if let Some(text) = tree.text(id) {
            self.text(text);
            return;
        }
        let Some(name) = tree.element(id) else {
            if id == Tree::DOCUMENT {
                self.enter_children(id, open);
            }
            return;
        };
        if !self.page.keeps(id) {
            self.remove(id, name, open);
            return;
        }
        match name {
            Name::Img => self.image(id),
            Name::Picture => self.enter_children(id, open),
            _ => {
                if name == Name::Body {
                    self.body.get_or_insert(self.text.len());
                }
                let folded = if name == Name::Div && self.page.folds() { self.folded(id) } else { Vec::new() };
                self.start(id, &folded, name);
                if !tree.is_void(id) {
                    open.push(Visit::Leave(id));
                    self.enter_children(folded.last().copied().unwrap_or(id), open);
                }
            }
        }
    }

    fn enter_children(&self, id: NodeId, open: &mut Vec<Visit>) {
        open.extend(self.page.tree.children_reversed(id).map(Visit::Enter));
    }

    fn leave(&mut self, id: NodeId) {
        let name = self.page.tree.element(id).unwrap_or(Name::Other);
        if names::kind(name) != Kind::Inline {
            self.end_line();
        }
        self.preformatted -= u32::from(names::is_preformatted(name));
        self.markup.end(self.page, id, name);
    }

    /// The chain of `div`s in a `div`, each the only content of the one before.
    fn folded(&self, id: NodeId) -> Vec<NodeId> {
        let mut chain = Vec::new();
        let mut at = id;
        while let Some(only) = self.only_child(at).filter(|child| self.page.tree.element(*child) == Some(Name::Div)) {
            chain.push(only);
            at = only;
        }
        chain
    }

    /// The one child that will be written, if there is exactly one.
    fn only_child(&self, id: NodeId) -> Option<NodeId> {
        let tree = self.page.tree;
        let blank = |child: &NodeId| tree.text(*child).is_some_and(|text| text.trim_ascii().is_empty());
        let mut kept = tree.children(id).filter(|child| !blank(child) && self.page.keeps(*child));
        let only = kept.next();
        if kept.next().is_some() { None } else { only }
    }

    fn start(&mut self, id: NodeId, folded: &[NodeId], name: Name) {
        if names::kind(name) != Kind::Inline || name == Name::Br {
            self.end_line();
        } else {
            self.flush_gap();
        }
        self.preformatted += u32::from(names::is_preformatted(name));
        let before = self.markup.length();
        self.markup.start(self.page, id, folded, name);
        // Formatting elements are copied wherever they go on, with all of their attributes.
        self.page.tree.work().spend(self.markup.length() - before);
    }

    fn image(&mut self, id: NodeId) {
        if M::IMAGES_ARE_WORDS {
            self.flush_gap();
            self.gap = Gap::None;
        }
        let texts = self.texts.of(id);
        self.markup.image(self.page, id, texts);
    }

    fn text(&mut self, text: &str) {
        if self.preformatted > 0 {
            self.markup.preformatted(text);
            self.text.push_str(text);
            self.gap = if text.ends_with(|last: char| last.is_ascii_whitespace()) { Gap::Swallowed } else { Gap::None };
            return;
        }
        let bytes = text.as_bytes();
        let mut at = 0;
        loop {
            let word = bytes[at..].iter().position(|byte| !byte.is_ascii_whitespace());
            let is_space = at < bytes.len() && word != Some(0);
            if is_space && self.gap == Gap::None {
                self.gap = Gap::Due;
            }
            let Some(word) = word else { return };
            self.flush_gap();
            at = self.words(text, at + word);
            self.gap = Gap::None;
        }
    }

    /// Writes words that single spaces part; the answer is where they end.
    fn words(&mut self, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        let (mut at, mut seen) = (start + plain_length(&bytes[start..]), 0);
        while let Some(byte) = bytes.get(at) {
            let class = CLASSES[*byte as usize];
            let is_single = || *byte == b' ' && bytes.get(at + 1).is_some_and(|next| CLASSES[*next as usize] != SPACE);
            if class == SPACE && !is_single() {
                break;
            }
            seen |= class;
            at += 1;
            // Behind what is special, text is plain again.
            if class == SPECIAL {
                at += plain_length(&bytes[at..]);
            }
        }
        let words = &text[start..at];
        self.markup.words(words, seen & SPECIAL != 0);
        self.text.push_str(words);
        at
    }

    fn flush_gap(&mut self) {
        if self.gap == Gap::Due {
            self.markup.space();
            // An image between two spaces is no word in the text.
            if !self.text.ends_with(' ') {
                self.text.push(' ');
            }
            self.gap = Gap::Swallowed;
        }
    }

    /// A block begins or ends here: what follows stands in a line of its own.
    fn end_line(&mut self) {
        self.gap = Gap::Swallowed;
        let text = &mut self.text;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }

    /// A block that is removed still parts the words around it, and so does what was shown inside of a line; a blank
    /// part of a line leaves its whitespace.
    fn remove(&mut self, id: NodeId, name: Name, open: &mut Vec<Visit>) {
        let is_inline = names::kind(name) == Kind::Inline;
        if is_inline && !self.page.drops.has(id, true) {
            self.enter_children(id, open);
            return;
        }
        let parts = !is_inline || (!names::is_never_shown(name) && self.has_text_node(id));
        if parts && self.gap == Gap::None && self.preformatted == 0 {
            self.gap = Gap::Due;
        }
    }

    fn has_text_node(&self, id: NodeId) -> bool {
        let tree = self.page.tree;
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if tree.text(id).is_some() {
                return true;
            }
            open.extend(tree.children_reversed(id));
        }
        false
    }
}

/// A length of text at the beginning in which there is nothing but letters and single spaces.
fn plain_length(bytes: &[u8]) -> usize {
    const STRIDE: usize = 16;
    let mut at = 0;
    while let Some(stride) = bytes[at..].first_chunk::<{ STRIDE + 1 }>() {
        let is_odd = |index: usize| {
            let (byte, next) = (stride[index], stride[index + 1]);
            (byte < b' ') | (byte == b'&') | (byte == b'<') | (byte == b'>') | ((byte == b' ') & (next <= b' '))
        };
        // All of them are looked at, so that the compiler does it in one vector.
        if (0..STRIDE).fold(false, |odd, index| odd | is_odd(index)) {
            break;
        }
        at += STRIDE;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_ends_at_what_must_be_rewritten() {
        let text = "sixteen letters and more, with single spaces";
        assert_eq!(plain_length(text.as_bytes()), 32);
        for odd in ["&", "<", ">", "\n", "  "] {
            for at in [0, 7, 14] {
                let mut text = text.to_owned();
                text.insert_str(at, odd);
                assert_eq!(plain_length(text.as_bytes()), 0, "{text:?}");
            }
        }
        assert_eq!(plain_length("fifteen letters  and".as_bytes()), 0);
        assert_eq!(plain_length("восемнадцать букв".as_bytes()), 32);
    }
}
