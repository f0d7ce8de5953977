//! Writes what is kept of a tree, attributes in alphabetical order, whitespace as CSS collapses it.

use crate::html::minimal::{ImageReference, Page};
use crate::html::names::{self, Kind};
use crate::html::tree::{NodeId, Tree};

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    pub markup: String,
    pub images: Vec<ImageReference>,
    /// Characters of text, whitespace collapsed.
    pub text_chars: u64,
    /// Those of the body alone.
    pub body_chars: u64,
}

/// Writes the page.
pub fn write(page: &Page<'_>) -> Written {
    let mut writer =
        Writer { page, written: Written::default(), gap: Gap::Swallowed, preformatted: 0, after_pre: 0, body: false };
    let mut open = vec![Visit::Enter(Tree::DOCUMENT)];
    while let Some(visit) = open.pop() {
        match visit {
            Visit::Enter(id) => writer.enter(id, &mut open),
            Visit::Leave(id) => writer.leave(id),
        }
    }
    writer.written
}

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
    body: bool,
}

impl Writer<'_> {
    fn enter(&mut self, id: NodeId, open: &mut Vec<Visit>) {
        let tree = self.page.tree;
        if let Some(text) = tree.text(id) {
            self.text(text);
            return;
        }
        let name = tree.name(id);
        if name.is_empty() {
            if id == Tree::DOCUMENT {
                self.enter_children(id, open);
            }
            return;
        }
        if !self.page.keeps(id) {
            self.remove(id, name, open);
            return;
        }
        match name {
            "img" => self.image(id),
            "picture" => self.enter_children(id, open),
            _ => {
                self.body |= name == "body";
                let folded = self.folded(id);
                self.start_tag(&folded, name);
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
        let name = self.page.tree.name(id);
        if names::kind(name) != Kind::Inline {
            self.gap = Gap::Swallowed;
        }
        self.preformatted -= u32::from(names::is_preformatted(name));
        self.written.markup.push_str("</");
        self.written.markup.push_str(names::written(name));
        self.written.markup.push('>');
    }

    /// The element; if it is a `div`, with the chain of `div`s in it, each the only content of the one before.
    fn folded(&self, id: NodeId) -> Vec<NodeId> {
        let mut chain = vec![id];
        let mut at = id;
        while self.page.tree.name(at) == "div" {
            let Some(only) = self.only_child(at).filter(|child| self.page.tree.name(*child) == "div") else { break };
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
    fn start_tag(&mut self, folded: &[NodeId], name: &str) {
        if names::kind(name) != Kind::Inline || name == "br" {
            self.gap = Gap::Swallowed;
        } else {
            self.flush_gap();
        }
        self.preformatted += u32::from(names::is_preformatted(name));
        self.written.markup.push('<');
        self.written.markup.push_str(names::written(name));
        let mut attributes: Vec<(&str, &str)> = Vec::new();
        for id in folded {
            for (attribute, value) in self.page.tree.attributes(*id) {
                let new = attributes.iter().all(|(there, _)| *there != attribute);
                if new && self.page.rules.keeps_attribute(name, attribute) {
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
        escape(value, '"', "&quot;", markup);
        markup.push('"');
    }

    /// An image's tag; `src` stands there whatever the page called it, with nothing in it.
    fn image(&mut self, id: NodeId) {
        self.flush_gap();
        self.gap = Gap::None;
        let start = self.written.markup.len();
        let tree = self.page.tree;
        let kept =
            tree.attributes(id).filter(|(name, _)| *name != "src" && self.page.rules.keeps_attribute("img", name));
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
            escape(text, '>', "&gt;", &mut self.written.markup);
            self.count(text.chars().count());
            self.gap = if text.ends_with(|last: char| last.is_ascii_whitespace()) { Gap::Swallowed } else { Gap::None };
            return;
        }
        for (index, word) in text.split(|character: char| character.is_ascii_whitespace()).enumerate() {
            if index > 0 && self.gap == Gap::None {
                self.gap = Gap::Due;
            }
            if !word.is_empty() {
                self.flush_gap();
                escape(word, '>', "&gt;", &mut self.written.markup);
                self.count(word.chars().count());
                self.gap = Gap::None;
            }
        }
    }

    fn flush_gap(&mut self) {
        if self.gap == Gap::Due {
            self.written.markup.push(' ');
            self.count(1);
            self.gap = Gap::Swallowed;
        }
    }

    /// A block that is removed still parts the words around it, and so does what was shown inside of a line; a blank
    /// part of a line leaves its whitespace.
    fn remove(&mut self, id: NodeId, name: &str, open: &mut Vec<Visit>) {
        let is_inline = names::kind(name) == Kind::Inline;
        if is_inline && !self.page.rules.drops(self.page.tree, id) {
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

    fn count(&mut self, chars: usize) {
        self.written.text_chars += chars as u64;
        if self.body {
            self.written.body_chars += chars as u64;
        }
    }
}

/// Appends text with `&`, `<` and one more character escaped, and carriage returns, which parsers take for line feeds.
fn escape(text: &str, special: char, entity: &str, markup: &mut String) {
    let mut rest = text;
    while let Some(found) = rest.find(['&', '<', '\r', special]) {
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
