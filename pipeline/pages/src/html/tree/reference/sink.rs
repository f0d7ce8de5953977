//! Takes the tree that html5ever builds into the arena.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, ExpandedName, QualName, ns};

use crate::html::parse::names::{Name, Namespace};
use crate::html::tree::arena::{Arena, Attribute as OurAttribute, Kind, NONE, Node, Prefix, Span};
use crate::html::tree::{Limits, NodeId, Tree};
use crate::html::work::Work;

/// A page may repeat `<html>` and `<body>`, each time with more attributes, which are all compared with each other.
const MOST_ADDED_ATTRIBUTES: usize = 128;

/// The tree while it grows.
pub struct Sink {
    growing: RefCell<Growing>,
    nameless: Rc<QualName>,
}

#[derive(Default)]
struct Growing {
    arena: Arena,
    /// By node: an element's attributes, or a text.
    contents: Vec<Content>,
}

enum Content {
    None,
    Element(Rc<QualName>, Vec<Attribute>),
    Text(StrTendril),
    Comment(StrTendril),
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
        let nameless = Rc::new(QualName::new(None, ns!(), html5ever::local_name!("")));
        let sink = Self { growing: RefCell::default(), nameless };
        sink.create(Kind::Root, Content::None);
        sink
    }

    pub fn len(&self) -> usize {
        self.growing.borrow().arena.nodes.len()
    }

    pub fn deepest(&self) -> u32 {
        self.growing.borrow().arena.deepest
    }

    fn create(&self, kind: Kind, content: Content) -> NodeId {
        self.growing.borrow_mut().create(kind, content)
    }

    fn handle(&self, id: NodeId) -> Handle {
        Handle { id, name: self.nameless.clone(), holds_html: false }
    }
}

impl Growing {
    fn create(&mut self, kind: Kind, content: Content) -> NodeId {
        self.contents.push(content);
        self.arena.create(Node::new(kind, Span::default()))
    }

    fn put(&mut self, parent: NodeId, child: &NodeOrText<Handle>, before: NodeId) {
        let text = match child {
            NodeOrText::AppendNode(node) => return self.arena.insert(parent, node.id, before),
            NodeOrText::AppendText(text) => text,
        };
        let previous =
            if before == NONE { self.arena.node(parent).last_child } else { self.arena.node(before).previous };
        if let Some(Content::Text(there)) = self.contents.get_mut(previous as usize) {
            there.push_tendril(text);
            return;
        }
        let id = self.create(Kind::Text, Content::Text(text.clone()));
        self.arena.insert(parent, id, before);
    }

    /// The tree, with all text moved behind an empty page.
    fn finish(mut self) -> Tree<'static> {
        let mut side = String::new();
        let mut keep = |text: &str| {
            let start = side.len();
            side.push_str(text);
            Span::between(start, start + text.len())
        };
        for (node, content) in self.arena.nodes.iter_mut().zip(&self.contents) {
            match content {
                Content::None => {}
                Content::Text(text) | Content::Comment(text) => node.content = keep(text),
                Content::Element(name, attributes) => {
                    node.kind = Kind::Element;
                    node.namespace = namespace_of(name);
                    node.name = Name::of(&name.local);
                    if node.name == Name::Other {
                        let name = keep(&name.local);
                        let value = Span::default();
                        self.arena.attributes.push(OurAttribute { name, value, prefix: Prefix::None });
                    }
                    let start = self.arena.attributes.len();
                    for Attribute { name, value } in attributes {
                        let prefix = prefix_of(name);
                        let (name, value) = (keep(&name.local), keep(value));
                        self.arena.attributes.push(OurAttribute { name, value, prefix });
                    }
                    node.content = Span::between(start, self.arena.attributes.len());
                }
            }
        }
        let work = Work::of_page(side.len(), &Limits::default());
        Tree { page: Cow::Borrowed(""), side, arena: self.arena, work }
    }
}

fn namespace_of(name: &QualName) -> Namespace {
    match name.ns {
        ns!(svg) => Namespace::Svg,
        ns!(mathml) => Namespace::MathMl,
        _ => Namespace::Html,
    }
}

fn prefix_of(name: &QualName) -> Prefix {
    match name.ns {
        ns!(xlink) => Prefix::Xlink,
        ns!(xml) => Prefix::Xml,
        ns!(xmlns) => Prefix::Xmlns,
        _ => Prefix::None,
    }
}

impl TreeSink for Sink {
    type Handle = Handle;
    type Output = Tree<'static>;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Tree<'static> {
        self.growing.into_inner().finish()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        self.handle(Tree::DOCUMENT)
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Handle {
        let name = Rc::new(name);
        let id = self.create(Kind::Element, Content::Element(name.clone(), attributes));
        if flags.template {
            self.create(Kind::Root, Content::None);
        }
        Handle { id, name, holds_html: flags.mathml_annotation_xml_integration_point }
    }

    fn create_comment(&self, text: StrTendril) -> Handle {
        self.handle(self.create(Kind::Other, Content::Comment(text)))
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Handle {
        self.handle(self.create(Kind::Other, Content::None))
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.growing.borrow_mut().put(parent.id, &child, NONE);
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        let has_parent = self.growing.borrow().arena.node(element.id).parent != NONE;
        if has_parent { self.append_before_sibling(element, child) } else { self.append(previous, child) }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    /// They are the node made right after the template itself.
    fn get_template_contents(&self, target: &Handle) -> Handle {
        self.handle(target.id + 1)
    }

    /// No page has shadow trees here, so its templates are all elements.
    fn allow_declarative_shadow_roots(&self, _: &Handle) -> bool {
        false
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
        let parent = growing.arena.node(sibling.id).parent;
        if parent != NONE {
            growing.put(parent, &child, sibling.id);
        }
    }

    fn add_attrs_if_missing(&self, target: &Handle, more: Vec<Attribute>) {
        let mut growing = self.growing.borrow_mut();
        if let Some(Content::Element(_, attributes)) = growing.contents.get_mut(target.id as usize) {
            for attribute in more {
                let is_new = attributes.iter().all(|there| there.name.local != attribute.name.local);
                if is_new && attributes.len() < MOST_ADDED_ATTRIBUTES {
                    attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.growing.borrow_mut().arena.detach(target.id);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        self.growing.borrow_mut().arena.move_children(node.id, new_parent.id);
    }
}
