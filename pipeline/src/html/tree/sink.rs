//! Takes the tree that html5ever builds into the arena.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, ExpandedName, QualName};

use crate::html::tree::{Content, Node, NodeId, Tree};

/// A page may repeat `<html>` and `<body>`, each time with more attributes, which are all compared with each other.
const MOST_ADDED_ATTRIBUTES: usize = 128;

/// The tree while it grows.
pub struct Sink {
    growing: RefCell<Growing>,
    nameless: Rc<QualName>,
}

struct Growing {
    nodes: Vec<Node>,
    deepest: u32,
}

/// A node, with its name where it is an element: html5ever asks for it all the time.
#[derive(Clone)]
pub struct Handle {
    id: NodeId,
    name: Rc<QualName>,
    holds_html: bool,
}

impl Sink {
    pub fn new() -> Self {
        let empty = QualName::new(None, html5ever::ns!(), html5ever::local_name!(""));
        let sink = Self { growing: RefCell::new(Growing { nodes: Vec::new(), deepest: 0 }), nameless: Rc::new(empty) };
        sink.create(Content::Root);
        sink
    }

    pub fn len(&self) -> usize {
        self.growing.borrow().nodes.len()
    }

    pub fn deepest(&self) -> u32 {
        self.growing.borrow().deepest
    }

    fn create(&self, content: Content) -> NodeId {
        self.growing.borrow_mut().create(content)
    }

    fn handle(&self, id: NodeId) -> Handle {
        Handle { id, name: self.nameless.clone(), holds_html: false }
    }
}

impl Growing {
    fn create(&mut self, content: Content) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node {
            parent: None,
            previous: None,
            next: None,
            first_child: None,
            last_child: None,
            depth: 0,
            content,
        });
        id
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    fn detach(&mut self, id: NodeId) {
        let (parent, previous, next) = {
            let node = self.node(id);
            (node.parent.take(), node.previous.take(), node.next.take())
        };
        match (previous, parent) {
            (Some(previous), _) => self.node(previous).next = next,
            (None, Some(parent)) => self.node(parent).first_child = next,
            (None, None) => {}
        }
        match (next, parent) {
            (Some(next), _) => self.node(next).previous = previous,
            (None, Some(parent)) => self.node(parent).last_child = previous,
            (None, None) => {}
        }
    }

    /// Puts a node under a parent, before a sibling or last.
    fn insert(&mut self, parent: NodeId, id: NodeId, before: Option<NodeId>) {
        self.detach(id);
        let previous = match before {
            Some(sibling) => self.node(sibling).previous.replace(id),
            None => self.node(parent).last_child.replace(id),
        };
        match previous {
            Some(previous) => self.node(previous).next = Some(id),
            None => self.node(parent).first_child = Some(id),
        }
        // A whole sub-tree that moves keeps its old depths: they only bound how deep html5ever's own stack is.
        let depth = self.node(parent).depth + 1;
        self.deepest = self.deepest.max(depth);
        let node = self.node(id);
        (node.parent, node.previous, node.next, node.depth) = (Some(parent), previous, before, depth);
    }

    /// Adds text, to the text before it if there is one.
    fn insert_text(&mut self, parent: NodeId, text: &StrTendril, before: Option<NodeId>) {
        let previous = match before {
            Some(sibling) => self.node(sibling).previous,
            None => self.node(parent).last_child,
        };
        if let Some(Content::Text(there)) = previous.map(|previous| &mut self.node(previous).content) {
            there.push_tendril(text);
            return;
        }
        let id = self.create(Content::Text(text.clone()));
        self.insert(parent, id, before);
    }

    fn put(&mut self, parent: NodeId, child: &NodeOrText<Handle>, before: Option<NodeId>) {
        match child {
            NodeOrText::AppendNode(node) => self.insert(parent, node.id, before),
            NodeOrText::AppendText(text) => self.insert_text(parent, text, before),
        }
    }
}

impl TreeSink for Sink {
    type Handle = Handle;
    type Output = Tree;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Tree {
        Tree { nodes: self.growing.into_inner().nodes }
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        self.handle(Tree::DOCUMENT)
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Handle {
        let attributes = attributes.into_iter().map(|attribute| (attribute.name.local, attribute.value)).collect();
        let id = self.create(Content::Element { name: name.local.clone(), attributes });
        if flags.template {
            self.create(Content::Root);
        }
        Handle { id, name: Rc::new(name), holds_html: flags.mathml_annotation_xml_integration_point }
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        self.handle(self.create(Content::Other))
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Handle {
        self.handle(self.create(Content::Other))
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.growing.borrow_mut().put(parent.id, &child, None);
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        let has_parent = self.growing.borrow_mut().node(element.id).parent.is_some();
        if has_parent { self.append_before_sibling(element, child) } else { self.append(previous, child) }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    /// They are the node made right after the template itself.
    fn get_template_contents(&self, target: &Handle) -> Handle {
        self.handle(target.id + 1)
    }

    fn is_mathml_annotation_xml_integration_point(&self, target: &Handle) -> bool {
        target.holds_html
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        one.id == other.id
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        let mut growing = self.growing.borrow_mut();
        if let Some(parent) = growing.node(sibling.id).parent {
            growing.put(parent, &child, Some(sibling.id));
        }
    }

    fn add_attrs_if_missing(&self, target: &Handle, more: Vec<Attribute>) {
        if let Content::Element { attributes, .. } = &mut self.growing.borrow_mut().node(target.id).content {
            for attribute in more {
                if attributes.len() < MOST_ADDED_ATTRIBUTES
                    && attributes.iter().all(|(name, _)| *name != attribute.name.local)
                {
                    attributes.push((attribute.name.local, attribute.value));
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.growing.borrow_mut().detach(target.id);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        let mut growing = self.growing.borrow_mut();
        while let Some(child) = growing.node(node.id).first_child {
            growing.insert(new_parent.id, child, None);
        }
    }
}
