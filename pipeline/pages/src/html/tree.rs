//! A page's tree, in one arena.

pub(super) mod arena;
mod limits;
mod outline;
pub mod reference;

use std::borrow::Cow;

use crate::html::names;
use crate::html::parse::names::{Name, Namespace};
use crate::html::tree::arena::{Arena, Attribute, Kind, NONE, Node, Span};
use crate::html::work::Work;

pub use crate::html::parse::parse;
pub use limits::{Limits, TooMuch};

/// A node's place in the arena.
pub type NodeId = u32;

/// A page's nodes. The document is node 0.
#[derive(Debug)]
pub struct Tree<'a> {
    /// The page, its lines ended by line feeds alone.
    pub(super) page: Cow<'a, str>,
    /// Text that doesn't stand in the page like that.
    pub(super) side: String,
    pub(super) arena: Arena,
    /// What reading it took, and what may be done with it yet.
    pub(super) work: Work,
}

impl Tree<'_> {
    /// The document.
    pub const DOCUMENT: NodeId = 0;

    #[inline]
    fn node(&self, id: NodeId) -> &Node {
        self.arena.node(id)
    }

    #[inline]
    fn span(&self, span: Span) -> &str {
        arena::text_of(&self.page, &self.side, span)
    }

    /// What may be done with the page yet.
    #[inline]
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Nodes in the arena; ids are below this.
    pub fn node_count(&self) -> usize {
        self.arena.nodes.len()
    }

    /// The element's name, in lower case but for some of SVG's; empty if the node is none.
    #[inline]
    pub fn name(&self, id: NodeId) -> &str {
        let node = self.node(id);
        match (node.kind, node.name) {
            (Kind::Element, Name::Other) => {
                let before = (node.content.start as usize).wrapping_sub(1);
                self.arena.attributes.get(before).map_or("", |name| self.span(name.name))
            }
            (Kind::Element, name) if node.namespace == Namespace::Svg => name.svg_text(),
            (Kind::Element, name) => name.text(),
            _ => "",
        }
    }

    /// Which of the names that rules mention an element has; `None` if the node is no element.
    #[inline]
    pub fn element(&self, id: NodeId) -> Option<Name> {
        let node = self.node(id);
        (node.kind == Kind::Element).then_some(node.name)
    }

    /// Whether the node is an element without content and end tag.
    pub fn is_void(&self, id: NodeId) -> bool {
        self.node(id).namespace == Namespace::Html && self.element(id).is_some_and(names::is_void)
    }

    /// The text, if the node is text.
    #[inline]
    pub fn text(&self, id: NodeId) -> Option<&str> {
        let node = self.node(id);
        (node.kind == Kind::Text).then(|| self.span(node.content))
    }

    fn raw_attributes(&self, id: NodeId) -> &[Attribute] {
        let node = self.node(id);
        let range = node.content.start as usize..node.content.end() as usize;
        self.work.spend(range.len());
        if node.kind == Kind::Element { self.arena.attributes.get(range).unwrap_or_default() } else { &[] }
    }

    /// Those of an element's attributes whose names pass; the others' values aren't touched.
    pub fn attributes_named(&self, id: NodeId, passes: impl Fn(&str) -> bool) -> impl Iterator<Item = (&str, &str)> {
        self.raw_attributes(id).iter().filter_map(move |attribute| {
            let name = self.span(attribute.name);
            passes(name).then(|| (name, self.span(attribute.value)))
        })
    }

    /// Those of an element's attributes that have one of these names.
    pub fn attributes_among(&self, id: NodeId, names: &[&'static str]) -> impl Iterator<Item = (&'static str, &str)> {
        self.raw_attributes(id).iter().filter_map(move |attribute| {
            let length = attribute.name.length as usize;
            if names.iter().all(|name| name.len() != length) {
                return None;
            }
            let found = self.span(attribute.name);
            names.iter().find(|name| **name == found).map(|name| (*name, self.span(attribute.value)))
        })
    }

    /// An attribute's value.
    pub fn attribute(&self, id: NodeId, name: &str) -> Option<&str> {
        let has =
            |attribute: &&Attribute| attribute.name.length as usize == name.len() && self.span(attribute.name) == name;
        self.raw_attributes(id).iter().find(has).map(|attribute| self.span(attribute.value))
    }

    /// The node's parent.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).parent)
    }

    /// What stands before the node under its parent, the nearest first.
    pub fn before(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(some(self.node(id).previous), |at| some(self.node(*at).previous))
    }

    /// What stands behind the node under its parent, the nearest first.
    pub fn behind(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(some(self.node(id).next), |at| some(self.node(*at).next))
    }

    /// Takes a node out of the page, with all that is in it.
    pub fn detach(&mut self, id: NodeId) {
        self.arena.detach(id);
    }

    /// Puts a node before another one that has a parent.
    pub fn move_before(&mut self, id: NodeId, sibling: NodeId) {
        if let Some(parent) = self.parent(sibling) {
            self.arena.insert(parent, id, sibling);
        }
    }

    /// The node's children, in order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(some(self.node(id).first_child), |child| some(self.node(*child).next))
    }

    /// The node's children, last first.
    pub fn children_reversed(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(some(self.node(id).last_child), |child| some(self.node(*child).previous))
    }
}

fn some(id: NodeId) -> Option<NodeId> {
    (id != NONE).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(html: &str) -> String {
        let tree = parse(html, &Limits::default()).unwrap();
        let mut text = String::new();
        let mut open = vec![(Tree::DOCUMENT, false)];
        while let Some((id, left)) = open.pop() {
            match (tree.text(id), tree.name(id)) {
                (Some(found), _) => text.push_str(found),
                (_, "") if id != Tree::DOCUMENT => {}
                (_, name) if left => text.push_str(&format!("</{name}>")),
                (_, name) => {
                    text.push_str(&format!("<{name}>"));
                    open.push((id, true));
                    open.extend(tree.children_reversed(id).map(|child| (child, false)));
                }
            }
        }
        text.replace("<></>", "").replace("<>", "").replace("</>", "")
    }

    #[test]
    fn misnested_formatting_is_repaired_as_browsers_do() {
        let body = outline("<p>1<b>2<i>3</b>4</i>5</p>");
        assert_eq!(body, "<html><head></head><body><p>1<b>2<i>3</i></b><i>4</i>5</p></body></html>");
    }

    #[test]
    fn text_in_a_table_goes_before_it() {
        let body = outline("<table>a<tr><td>b</table>");
        assert_eq!(body, "<html><head></head><body>a<table><tbody><tr><td>b</td></tr></tbody></table></body></html>");
    }

    #[test]
    fn noscript_is_parsed() {
        assert!(outline("<body><noscript><img></noscript>").contains("<noscript><img></img></noscript>"));
    }

    #[test]
    fn a_page_nested_without_end_is_refused() {
        assert_eq!(parse(&"<div>".repeat(100_000), &Limits::default()).unwrap_err(), TooMuch::Depth);
    }

    #[test]
    fn a_million_attributes_are_refused() {
        let attributes: String = (0..1_000_000).map(|number| format!("a{number} ")).collect();
        for before in ["<p ", "<p x='>' ", "<script>a<b='</script><p ", "<!-- a --><title>t</title x='>' ", "<xNAME "] {
            let before = before.replace("NAME", &"x".repeat(5000));
            let page = format!("{before}{attributes}>");
            assert_eq!(parse(&page, &Limits::default()).unwrap_err(), TooMuch::Attributes);
        }
    }

    #[test]
    fn many_words_that_are_no_attributes_are_no_matter() {
        let words = "word ".repeat(100_000);
        let pages = [
            "<!-- <a W -->",
            "<!-- > <a W -->",
            "<p title=\"<a W\">",
            "<script>x <a W</script>",
            "<title><a W</title>",
        ];
        for page in pages {
            parse(&page.replace('W', &words), &Limits::default()).unwrap();
        }
    }
}
