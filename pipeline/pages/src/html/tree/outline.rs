//! A tree as text, as the html5lib tests write it.

use crate::html::parse::names::Namespace;
use crate::html::tree::arena::{Kind, Prefix};
use crate::html::tree::{NodeId, Tree, some};

impl Tree<'_> {
    /// One line per node and attribute, indented by depth. There are no document types in a tree.
    pub fn outline(&self) -> String {
        let mut out = String::new();
        let mut open: Vec<(NodeId, usize)> = self.children_reversed(Tree::DOCUMENT).map(|child| (child, 0)).collect();
        while let Some((id, depth)) = open.pop() {
            let pad = "  ".repeat(depth);
            match self.node(id).kind {
                Kind::Root => {}
                Kind::Text => out += &format!("| {pad}\"{}\"\n", self.text(id).unwrap_or_default()),
                Kind::Other => out += &format!("| {pad}<!-- {} -->\n", self.span(self.node(id).content)),
                Kind::Element => self.outline_element(id, &pad, &mut out),
            }
            open.extend(self.children_reversed(id).map(|child| (child, depth + 1)));
            if self.name(id) == "template" && self.node(id).namespace == Namespace::Html {
                out += &format!("| {pad}  content\n");
                open.extend(self.children_reversed(id + 1).map(|child| (child, depth + 2)));
            }
        }
        out
    }

    fn outline_element(&self, id: NodeId, pad: &str, out: &mut String) {
        let namespace = match self.node(id).namespace {
            Namespace::Html => "",
            Namespace::Svg => "svg ",
            Namespace::MathMl => "math ",
        };
        *out += &format!("| {pad}<{namespace}{}>\n", self.name(id));
        let attributes = self.raw_attributes(id).iter();
        let mut lines: Vec<String> = attributes
            .map(|attribute| {
                let (name, value) = (self.span(attribute.name), self.span(attribute.value));
                let prefix = match attribute.prefix {
                    Prefix::Xlink => "xlink ",
                    Prefix::Xml => "xml ",
                    Prefix::Xmlns => "xmlns ",
                    Prefix::None => "",
                };
                format!("| {pad}  {prefix}{name}=\"{value}\"\n")
            })
            .collect();
        lines.sort_by_key(|line| line.encode_utf16().collect::<Vec<_>>());
        out.extend(lines);
    }

    /// Whether all links between nodes agree.
    pub fn is_sound(&self) -> bool {
        (0..self.node_count() as NodeId).all(|id| {
            let children: Vec<NodeId> = self.children(id).collect();
            let mut reversed: Vec<NodeId> = self.children_reversed(id).collect();
            reversed.reverse();
            children == reversed && children.iter().all(|child| some(self.node(*child).parent) == Some(id))
        })
    }
}
