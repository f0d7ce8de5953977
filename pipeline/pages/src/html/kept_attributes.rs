//! Which attributes stay on which elements.

use crate::html::minimal::MinimalHtml;
use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};

/// The rules of a page, with the names in them looked up.
pub struct KeptAttributes<'a> {
    rules: &'a MinimalHtml,
    /// By name, what its elements keep; `None` where that depends on how the page writes it, as SVG does with capitals.
    by_name: [Option<&'a [String]>; Name::COUNT],
}

impl<'a> KeptAttributes<'a> {
    pub fn new(rules: &'a MinimalHtml) -> Self {
        let mut by_name = [Some([].as_slice()); Name::COUNT];
        by_name[Name::Other as usize] = None;
        for (element, kept) in &rules.keep_attributes {
            let name = Name::of(element);
            let has_one_spelling = name.text() == name.svg_text() && name.text() == element;
            by_name[name as usize] = has_one_spelling.then_some(kept.as_slice());
        }
        Self { rules, by_name }
    }

    /// Whether an attribute stays on an element.
    pub fn has(&self, tree: &Tree<'_>, id: NodeId, attribute: &str) -> bool {
        if self.rules.keep_structured_data && is_structured(attribute) {
            return true;
        }
        let spelled = || self.rules.keep_attributes.get(tree.name(id)).map_or([].as_slice(), Vec::as_slice);
        let kept = tree.element(id).and_then(|name| self.by_name[name as usize]).unwrap_or_else(spelled);
        kept.iter().any(|name| name == attribute)
    }
}

/// Whether an attribute is one of RDFa's or microdata's.
fn is_structured(attribute: &str) -> bool {
    matches!(
        attribute,
        "about"
            | "content"
            | "datatype"
            | "itemid"
            | "itemprop"
            | "itemref"
            | "itemscope"
            | "itemtype"
            | "property"
            | "resource"
            | "typeof"
            | "vocab"
    )
}
