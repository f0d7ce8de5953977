//! A page's tree, in one arena. html5ever builds it; no other file knows of html5ever.

mod feed;
mod limits;
mod sink;

use html5ever::ParseOpts;
use html5ever::tendril::StrTendril;
use html5ever::tree_builder::TreeBuilderOpts;

pub use limits::{Limits, TooMuch};

/// A node's place in the arena.
pub type NodeId = u32;

/// A page's nodes. The document is node 0.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    parent: Option<NodeId>,
    previous: Option<NodeId>,
    next: Option<NodeId>,
    first_child: Option<NodeId>,
    last_child: Option<NodeId>,
    depth: u32,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// The document, or what a `<template>` holds.
    Root,
    Element {
        name: html5ever::LocalName,
        attributes: Vec<(html5ever::LocalName, StrTendril)>,
    },
    Text(StrTendril),
    /// A comment, or something else without text of its own.
    Other,
}

impl Tree {
    /// The document.
    pub const DOCUMENT: NodeId = 0;

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// Nodes in the arena; ids are below this.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The element's name in lower case; empty if the node is none.
    pub fn name(&self, id: NodeId) -> &str {
        match &self.node(id).content {
            Content::Element { name, .. } => name,
            _ => "",
        }
    }

    /// The text, if the node is text.
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The element's attributes in the order of the page.
    pub fn attributes(&self, id: NodeId) -> impl Iterator<Item = (&str, &str)> {
        let attributes = match &self.node(id).content {
            Content::Element { attributes, .. } => attributes.as_slice(),
            _ => &[],
        };
        attributes.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// An attribute's value.
    pub fn attribute(&self, id: NodeId, name: &str) -> Option<&str> {
        self.attributes(id).find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The node's parent.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).parent
    }

    /// The node's children, in order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.node(id).first_child, |child| self.node(*child).next)
    }

    /// The node's children, last first.
    pub fn children_reversed(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.node(id).last_child, |child| self.node(*child).previous)
    }
}

/// Parses a page without scripting, so that what stands in `<noscript>` is part of the tree.
pub fn parse(html: &str, limits: &Limits) -> Result<Tree, TooMuch> {
    feed::Feed::new(html).parse(limits)
}

fn options() -> ParseOpts {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    ParseOpts { tree_builder, ..ParseOpts::default() }
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
