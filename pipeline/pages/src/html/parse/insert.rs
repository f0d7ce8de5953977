//! Puts nodes where they belong (WHATWG HTML, 13.2.6.1).

use std::collections::HashSet;

use crate::html::parse::builder::Builder;
use crate::html::parse::names::{FOSTERS, HTML_POINT, Name, Namespace};
use crate::html::parse::open::Open;
use crate::html::parse::tokenizer::{Tag, Tokenizer};
use crate::html::tree::NodeId;
use crate::html::tree::arena::{Arena, Attribute, Kind, NONE, Node, Prefix, Span};

/// A tag with more attributes than this has its duplicates found through a table.
const FEW: usize = 32;

/// A page may repeat `<html>` and `<body>`, each time with more attributes, which are all compared with each other.
const MOST_ADDED_ATTRIBUTES: usize = 128;

/// A parent, and the child to insert before; `NONE` for the end.
type Place = (NodeId, NodeId);

impl Builder<'_> {
    /// Where a node goes that belongs into this element.
    #[inline]
    pub(super) fn place_in(&self, target: Open) -> Place {
        if self.fosters && target.flags & FOSTERS != 0 {
            return self.foster_place();
        }
        (content_of(target), NONE)
    }

    /// Before the innermost table, for what doesn't belong into it.
    fn foster_place(&self) -> Place {
        let open = self.open.as_slice();
        for (index, element) in open.iter().enumerate().rev() {
            self.open.work.spend(1);
            if element.is(Name::Template) {
                return (content_of(*element), NONE);
            }
            if element.is(Name::Table) {
                let parent = self.arena.node(element.id).parent;
                let around = open.get(index.wrapping_sub(1)).map_or(NONE, |around| around.id);
                return if parent == NONE { (around, NONE) } else { (parent, element.id) };
            }
        }
        (self.open.html().id, NONE)
    }

    /// Puts a new node where it belongs.
    #[inline]
    pub(super) fn insert(&mut self, node: Node) -> NodeId {
        let (parent, before) = self.place_in(self.open.current());
        if before == NONE {
            return self.arena.push_child(parent, node);
        }
        let id = self.arena.create(node);
        self.arena.insert(parent, id, before);
        id
    }

    /// Adds text where it belongs, to the text that is there if there is one.
    pub(super) fn append_text(&mut self, text: Span) {
        let (parent, before) = self.place_in(self.open.current());
        let previous =
            if before == NONE { self.arena.node(parent).last_child } else { self.arena.node(before).previous };
        if previous != NONE && self.arena.node(previous).kind == Kind::Text {
            return self.extend_text(previous, text);
        }
        self.insert(Node::new(Kind::Text, text));
    }

    fn extend_text(&mut self, id: NodeId, text: Span) {
        let page = self.tokens.page.len() as u32;
        let node = self.arena.node_mut(id);
        let is_next = node.content.end() == text.start && (node.content.start < page) == (text.start < page);
        if is_next && node.first_child == NONE {
            node.content.length += text.length;
            return;
        }
        let place = self.texts.pieces.len() as u32;
        let last = std::mem::replace(&mut node.last_child, place);
        if last == NONE {
            node.first_child = place;
            self.texts.nodes.push(id);
        } else {
            self.texts.pieces[last as usize].1 = place;
        }
        self.texts.pieces.push((text, NONE));
    }

    /// Inserts a tag's HTML element, which is open then.
    pub(super) fn insert_html(&mut self, tag: Tag) -> NodeId {
        self.insert_element(tag, Namespace::Html)
    }

    pub(super) fn insert_element(&mut self, tag: Tag, namespace: Namespace) -> NodeId {
        let node = element(&mut self.arena, &mut self.tokens, tag, namespace);
        let mut flags = self.flags_of(tag.name, namespace);
        if namespace == Namespace::MathMl && tag.name == Name::AnnotationXml && self.tokens.holds_html() {
            flags |= HTML_POINT;
        }
        self.insert_open(node, flags, tag.digest)
    }

    #[inline]
    fn insert_open(&mut self, node: Node, flags: u16, digest: u32) -> NodeId {
        let id = self.insert(node);
        let open = Open { id, digest, flags, name: node.name, namespace: node.namespace };
        if open.is(Name::Template) {
            self.arena.create(Node::new(Kind::Root, Span::default()));
        }
        self.open.push(open);
        id
    }

    /// Inserts a tag's element, which stays empty.
    pub(super) fn insert_void(&mut self, tag: Tag, namespace: Namespace) -> NodeId {
        let node = element(&mut self.arena, &mut self.tokens, tag, namespace);
        self.insert(node)
    }

    /// Inserts an element whose tag is missing.
    pub(super) fn insert_named(&mut self, name: Name) -> NodeId {
        let node = Node { name, ..Node::new(Kind::Element, Span::default()) };
        self.insert_open(node, name.flags(Namespace::Html), 0)
    }

    /// An element like this one, without what is in it. It shares the attributes.
    pub(super) fn copy_of(&self, id: NodeId) -> Node {
        self.open.work.spend(1);
        let node = self.arena.node(id);
        Node { name: node.name, namespace: node.namespace, ..Node::new(Kind::Element, node.content) }
    }

    /// Inserts an element like this one, which is open then.
    pub(super) fn insert_copy(&mut self, id: NodeId) -> NodeId {
        let node = self.copy_of(id);
        self.insert_open(node, node.name.flags(Namespace::Html), 0)
    }

    /// Gives an element those attributes of the last tag that it lacks.
    pub(super) fn add_attributes(&mut self, id: NodeId) {
        for attribute in &self.tokens.attributes {
            let there = attributes_of(&self.arena, id).iter();
            let added = self.added.iter().filter(|(of, _)| *of == id).map(|(_, attribute)| attribute);
            let name = self.tokens.text(attribute.name);
            let (mut count, mut is_new) = (0, true);
            for other in there.chain(added) {
                count += 1;
                is_new &= self.tokens.text(other.name) != name;
            }
            self.open.work.spend(count + self.added.len());
            if is_new && count < MOST_ADDED_ATTRIBUTES {
                self.added.push((id, *attribute));
            }
        }
    }

    /// Joins texts that were read in pieces, and attributes that came late.
    pub(super) fn finish(&mut self) {
        let mut joined = String::new();
        let behind = self.tokens.page.len() + self.tokens.side.len();
        for id in &self.texts.nodes {
            let node = self.arena.node_mut(*id);
            let start = joined.len();
            joined.push_str(self.tokens.text(node.content));
            let mut next = node.first_child;
            while let Some((piece, following)) = self.texts.pieces.get(next as usize) {
                joined.push_str(self.tokens.text(*piece));
                next = *following;
            }
            node.content = Span::between(behind + start, behind + joined.len());
            (node.first_child, node.last_child) = (NONE, NONE);
        }
        self.tokens.side.push_str(&joined);
        let mut late: Vec<NodeId> = self.added.iter().map(|(id, _)| *id).collect();
        late.dedup();
        late.sort_unstable();
        late.dedup();
        for id in late {
            let start = self.arena.attributes.len();
            let mut all = attributes_of(&self.arena, id).to_vec();
            all.extend(self.added.iter().filter(|(of, _)| *of == id).map(|(_, attribute)| *attribute));
            self.arena.attributes.extend(all);
            self.arena.node_mut(id).content = Span::between(start, self.arena.attributes.len());
        }
    }
}

/// The element, or if it is a template what it holds, which is the node made right after it.
#[inline]
fn content_of(target: Open) -> NodeId {
    if target.is(Name::Template) { target.id + 1 } else { target.id }
}

/// An element's attributes.
pub(super) fn attributes_of(arena: &Arena, id: NodeId) -> &[Attribute] {
    let content = arena.node(id).content;
    arena.attributes.get(content.start as usize..content.end() as usize).unwrap_or_default()
}

/// The element of the last tag. Of attributes of one name the first stays.
fn element(arena: &mut Arena, tokens: &mut Tokenizer<'_>, tag: Tag, namespace: Namespace) -> Node {
    if tag.name == Name::Other {
        arena.attributes.push(Attribute { name: tag.text, value: Span::default(), prefix: Prefix::None });
    }
    let start = arena.attributes.len();
    match tokens.attributes.len() {
        0 => {}
        1 => arena.attributes.push(tokens.attributes[0]),
        2..=FEW => {
            for attribute in &tokens.attributes {
                let is_same = |other: &Attribute| {
                    other.name.length == attribute.name.length && tokens.text(other.name) == tokens.text(attribute.name)
                };
                if !arena.attributes[start..].iter().any(is_same) {
                    arena.attributes.push(*attribute);
                }
            }
        }
        _ => {
            let mut seen = HashSet::new();
            let first = |attribute: &&Attribute| seen.insert(tokens.text(attribute.name));
            arena.attributes.extend(tokens.attributes.iter().filter(first));
        }
    }
    let content = Span::between(start, arena.attributes.len());
    if namespace != Namespace::Html {
        tokens.adjust_attributes(&mut arena.attributes[start..], namespace);
    }
    Node { name: tag.name, namespace, ..Node::new(Kind::Element, content) }
}
