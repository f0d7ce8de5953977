//! Writes what is kept of a tree, attributes in alphabetical order, whitespace as CSS collapses it.

use crate::html::minimal::{ImageReference, Page};
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

/// Writes the page.
pub fn write(page: &Page<'_>) -> Written {
    let mut writer = Writer { page, written: Written::default(), gap: Gap::Swallowed, preformatted: 0, after_pre: 0 };
    let mut open = vec![Visit::Enter(Tree::DOCUMENT)];
    while let Some(visit) = open.pop() {
        match visit {
            Visit::Enter(id) => writer.enter(id, &mut open),
            Visit::Leave(id) => writer.leave(id),
        }
    }
    writer.written
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

struct Writer<'a> {
    page: &'a Page<'a>,
    written: Written,
    gap: Gap,
    preformatted: u32,
    /// Where the tag of a `pre` ends.
    after_pre: usize,
}

impl Writer<'_> {
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
                    self.written.body.get_or_insert(self.written.text.len());
                }
                let folded = if name == Name::Div { self.folded(id) } else { Vec::new() };
                self.start_tag(id, &folded, name);
                if !names::is_void(name) {
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
        self.written.markup.push_str("</");
        self.written.markup.push_str(written_name(self.page, id, name));
        self.written.markup.push('>');
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

    /// One tag for elements folded into one; where attributes clash, the first one's stays.
    fn start_tag(&mut self, id: NodeId, folded: &[NodeId], name: Name) {
        if names::kind(name) != Kind::Inline || name == Name::Br {
            self.end_line();
        } else {
            self.flush_gap();
        }
        self.preformatted += u32::from(names::is_preformatted(name));
        self.written.markup.push('<');
        let page = self.page;
        self.written.markup.push_str(written_name(page, id, name));
        let mut attributes: Vec<(&str, &str)> = Vec::new();
        for id in [id].iter().chain(folded) {
            let is_kept = |attribute: &str| page.kept_attributes.has(page.tree, *id, attribute);
            for (attribute, value) in page.tree.attributes_named(*id, is_kept) {
                if attributes.iter().all(|(there, _)| *there != attribute) {
                    attributes.push((attribute, value));
                }
            }
        }
        attributes.sort_unstable();
        for (attribute, value) in attributes {
            self.attribute(attribute, value);
        }
        self.written.markup.push('>');
        if names::is_preformatted(name) {
            self.after_pre = self.written.markup.len();
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let markup = &mut self.written.markup;
        markup.push(' ');
        markup.push_str(name);
        markup.push_str("=\"");
        escape(value, b'"', "&quot;", markup);
        markup.push('"');
    }

    /// An image's tag; `src` stands there whatever the page called it, with nothing in it.
    fn image(&mut self, id: NodeId) {
        self.flush_gap();
        self.gap = Gap::None;
        let start = self.written.markup.len();
        let tree = self.page.tree;
        let is_kept = |name: &str| name != "src" && self.page.kept_attributes.has(tree, id, name);
        let kept = tree.attributes_named(id, is_kept);
        let mut attributes: Vec<(&str, &str)> = kept.chain([("src", "")]).collect();
        attributes.sort_unstable();
        let mut src = start;
        self.written.markup.push_str("<img");
        for (name, value) in attributes {
            self.attribute(name, value);
            if name == "src" {
                src = self.written.markup.len() - 1;
            }
        }
        self.written.markup.push('>');
        let url = self.page.images.get(&id).cloned().unwrap_or_default();
        let tag = start as u32..self.written.markup.len() as u32;
        self.written.images.push(ImageReference { url, tag, src: src as u32 });
    }

    fn text(&mut self, text: &str) {
        if self.preformatted > 0 {
            // The first line feed of preformatted text is dropped by every parser.
            if text.starts_with('\n') && self.after_pre == self.written.markup.len() {
                self.written.markup.push('\n');
            }
            escape(text, b'>', "&gt;", &mut self.written.markup);
            self.written.text.push_str(text);
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
        }
        let words = &text[start..at];
        if seen & SPECIAL == 0 {
            self.written.markup.push_str(words);
        } else {
            escape(words, b'>', "&gt;", &mut self.written.markup);
        }
        self.written.text.push_str(words);
        at
    }

    fn flush_gap(&mut self) {
        if self.gap == Gap::Due {
            self.written.markup.push(' ');
            self.written.text.push(' ');
            self.gap = Gap::Swallowed;
        }
    }

    /// A block begins or ends here: what follows stands in a line of its own.
    fn end_line(&mut self) {
        self.gap = Gap::Swallowed;
        let text = &mut self.written.text;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }

    /// A block that is removed still parts the words around it, and so does what was shown inside of a line; a blank
    /// part of a line leaves its whitespace.
    fn remove(&mut self, id: NodeId, name: Name, open: &mut Vec<Visit>) {
        let is_inline = names::kind(name) == Kind::Inline;
        if is_inline && !self.page.drops.has(self.page.tree, id) {
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

/// A length of text at the beginning in which there is nothing but letters of ASCII and single spaces.
fn plain_length(bytes: &[u8]) -> usize {
    const STRIDE: usize = 16;
    let mut at = 0;
    while let Some(stride) = bytes[at..].first_chunk::<{ STRIDE + 1 }>() {
        let is_odd = |index: usize| {
            let (byte, next) = (stride[index], stride[index + 1]);
            !(b' '..0x80).contains(&byte)
                | (byte == b'&')
                | (byte == b'<')
                | (byte == b'>')
                | ((byte == b' ') & (next <= b' '))
        };
        // All of them are looked at, so that the compiler does it in one vector.
        if (0..STRIDE).fold(false, |odd, index| odd | is_odd(index)) {
            break;
        }
        at += STRIDE;
    }
    at
}

fn written_name<'a>(page: &Page<'a>, id: NodeId, name: Name) -> &'a str {
    names::written(name).unwrap_or_else(|| page.tree.name(id))
}

/// Appends text with `&`, `<` and one more character escaped, and carriage returns, which parsers take for line feeds.
fn escape(text: &str, special: u8, entity: &str, markup: &mut String) {
    let is_special = |byte: u8| matches!(byte, b'&' | b'<' | b'\r') || byte == special;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_ends_at_what_must_be_rewritten() {
        let text = "sixteen letters and more, with single spaces";
        assert_eq!(plain_length(text.as_bytes()), 32);
        for odd in ["&", "<", ">", "\n", "  ", "\u{e9}"] {
            for at in [0, 7, 14] {
                let mut text = text.to_owned();
                text.insert_str(at, odd);
                assert_eq!(plain_length(text.as_bytes()), 0, "{text:?}");
            }
        }
        assert_eq!(plain_length("fifteen letters  and".as_bytes()), 0);
    }
}
