//! Nodes of a page in one vector, linked by their places in it.

use crate::html::parse::names::{Name, Namespace};
use crate::html::tree::NodeId;

/// No node.
pub const NONE: NodeId = NodeId::MAX;

/// A piece of text: in the page, or behind its end in what was made of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub length: u32,
}

impl Span {
    pub fn between(start: usize, end: usize) -> Self {
        Self { start: start as u32, length: (end - start) as u32 }
    }

    pub fn end(self) -> u32 {
        self.start + self.length
    }

    pub fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// The text of a span.
#[inline]
pub fn text_of<'t>(page: &'t str, side: &'t str, span: Span) -> &'t str {
    let (start, end) = (span.start as usize, span.end() as usize);
    let text = if start < page.len() { page.get(start..end) } else { side.get(start - page.len()..end - page.len()) };
    text.unwrap_or_default()
}

/// What stands before a foreign attribute's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    None,
    Xlink,
    Xml,
    Xmlns,
}

/// An element's attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    pub name: Span,
    pub value: Span,
    pub prefix: Prefix,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The document, or what a `<template>` holds.
    Root,
    /// An element. Its `content` is the range of its attributes; if its name is `Other`, an attribute before them holds it.
    Element,
    /// Text: its `content`.
    Text,
    /// A comment: its `content`.
    Other,
}

/// A node and its neighbours.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    pub parent: NodeId,
    pub previous: NodeId,
    pub next: NodeId,
    pub first_child: NodeId,
    pub last_child: NodeId,
    pub depth: u32,
    pub content: Span,
    pub kind: Kind,
    pub namespace: Namespace,
    pub name: Name,
}

impl Node {
    pub fn new(kind: Kind, content: Span) -> Self {
        let (namespace, name) = (Namespace::Html, Name::Other);
        let (parent, previous, next, first_child, last_child) = (NONE, NONE, NONE, NONE, NONE);
        Self { parent, previous, next, first_child, last_child, depth: 0, content, kind, namespace, name }
    }
}

/// All nodes and attributes of a page.
#[derive(Debug, Default)]
pub struct Arena {
    pub nodes: Vec<Node>,
    pub attributes: Vec<Attribute>,
    /// The greatest depth at which a node was ever put.
    pub deepest: u32,
}

impl Arena {
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    #[inline]
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    pub fn create(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        (self.nodes.len() - 1) as NodeId
    }

    /// Adds a new node as a parent's last child.
    #[inline]
    pub fn push_child(&mut self, parent: NodeId, mut node: Node) -> NodeId {
        let id = self.nodes.len() as NodeId;
        let above = &mut self.nodes[parent as usize];
        let previous = std::mem::replace(&mut above.last_child, id);
        node.depth = above.depth + 1;
        self.deepest = self.deepest.max(node.depth);
        (node.parent, node.previous) = (parent, previous);
        if previous == NONE {
            above.first_child = id;
        } else {
            self.nodes[previous as usize].next = id;
        }
        self.nodes.push(node);
        id
    }

    /// Takes a node out of its place, with all that is in it.
    pub fn detach(&mut self, id: NodeId) {
        let Node { parent, previous, next, .. } = *self.node(id);
        if previous != NONE {
            self.node_mut(previous).next = next;
        } else if parent != NONE {
            self.node_mut(parent).first_child = next;
        }
        if next != NONE {
            self.node_mut(next).previous = previous;
        } else if parent != NONE {
            self.node_mut(parent).last_child = previous;
        }
        let node = self.node_mut(id);
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
    }

    /// Puts a node under a parent, before a sibling or, if that is `NONE`, last.
    pub fn insert(&mut self, parent: NodeId, id: NodeId, before: NodeId) {
        self.detach(id);
        let last =
            if before == NONE { &mut self.node_mut(parent).last_child } else { &mut self.node_mut(before).previous };
        let previous = std::mem::replace(last, id);
        if previous == NONE {
            self.node_mut(parent).first_child = id;
        } else {
            self.node_mut(previous).next = id;
        }
        // A whole sub-tree that moves keeps its old depths: they only bound the work that one node can cause.
        let depth = self.node(parent).depth + 1;
        self.deepest = self.deepest.max(depth);
        let node = self.node_mut(id);
        (node.parent, node.previous, node.next, node.depth) = (parent, previous, before, depth);
    }

    /// Moves all children of a node to the end of another's; the answer is how many.
    pub fn move_children(&mut self, from: NodeId, to: NodeId) -> usize {
        let mut moved = 0;
        loop {
            let child = self.node(from).first_child;
            if child == NONE {
                return moved;
            }
            self.insert(to, child, NONE);
            moved += 1;
        }
    }
}
