//! Which attributes stay on which elements.

use std::collections::BTreeMap;

use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};

/// The name that stands for every element.
const EVERY_ELEMENT: &str = "*";

/// Words between spaces, such as the names of attributes.
pub fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Attributes by element, with the elements' names looked up.
#[derive(Debug, Clone)]
pub struct KeptAttributes {
    /// What each spelling of a name keeps, its own and that of every element.
    by_spelling: BTreeMap<String, Vec<String>>,
    everywhere: Vec<String>,
    /// By name, what its elements keep; `None` where that depends on how the page writes it, as SVG does with capitals.
    by_name: Vec<Option<Vec<String>>>,
    keeps_structured: bool,
}

impl KeptAttributes {
    /// Attributes by element, `*` for those of every element; and whether microdata and RDFa stay everywhere.
    pub fn new(by_element: &BTreeMap<String, Vec<String>>, keeps_structured: bool) -> Self {
        let everywhere = by_element.get(EVERY_ELEMENT).cloned().unwrap_or_default();
        let mut by_name = vec![Some(everywhere.clone()); Name::COUNT];
        by_name[Name::Other as usize] = None;
        let mut by_spelling = BTreeMap::new();
        for (element, own) in by_element.iter().filter(|(element, _)| *element != EVERY_ELEMENT) {
            let kept = [own.as_slice(), &everywhere].concat();
            let name = Name::of(element);
            let has_one_spelling = name.text() == name.svg_text() && name.text() == element;
            by_name[name as usize] = has_one_spelling.then(|| kept.clone());
            by_spelling.insert(element.clone(), kept);
        }
        Self { by_spelling, everywhere, by_name, keeps_structured }
    }

    /// Whether an attribute stays on an element.
    pub fn has(&self, tree: &Tree<'_>, id: NodeId, attribute: &str) -> bool {
        if self.keeps_structured && is_structured(attribute) {
            return true;
        }
        let spelled = || self.by_spelling.get(tree.name(id)).unwrap_or(&self.everywhere);
        let kept = tree.element(id).and_then(|name| self.by_name[name as usize].as_ref()).unwrap_or_else(spelled);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tree::{Limits, parse};

    #[test]
    fn every_element_keeps_what_the_star_does() {
        let by_element = [("*", "id"), ("a", "href"), ("x-y", "z")];
        let by_element = by_element.map(|(element, kept)| (element.to_owned(), words(kept))).into();
        let kept = KeptAttributes::new(&by_element, false);
        let tree = parse("<a></a><x-y></x-y><p>", &Limits::default()).unwrap();
        let keeps = |name: &str, attribute: &str| {
            let id = (0..tree.node_count() as NodeId).find(|id| tree.name(*id) == name).unwrap();
            kept.has(&tree, id, attribute)
        };
        assert!(keeps("a", "href") && keeps("a", "id") && keeps("x-y", "z") && keeps("x-y", "id") && keeps("p", "id"));
        assert!(!keeps("p", "href") && !keeps("x-y", "href") && !keeps("p", "itemprop"));
    }
}
