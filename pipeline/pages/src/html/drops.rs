//! Which elements are dropped with all that is in them, whatever that is.

use crate::html::minimal::MinimalHtml;
use crate::html::names;
use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};

/// The rules of a page, with the names in them looked up.
pub struct Drops<'a> {
    rules: &'a MinimalHtml,
    /// By name, whether its elements are dropped; `None` where that depends on how the page writes it, as SVG does with capitals.
    by_name: [Option<bool>; Name::COUNT],
}

impl<'a> Drops<'a> {
    pub fn new(rules: &'a MinimalHtml) -> Self {
        let mut by_name = [Some(false); Name::COUNT];
        by_name[Name::Other as usize] = None;
        for dropped in &rules.drop_elements {
            let name = Name::of(dropped);
            by_name[name as usize] = (name.text() == name.svg_text() && name.text() == dropped).then_some(true);
        }
        Self { rules, by_name }
    }

    /// Whether an element is dropped.
    pub fn has(&self, tree: &Tree<'_>, id: NodeId) -> bool {
        let Some(name) = tree.element(id) else { return false };
        match name {
            Name::Html | Name::Head | Name::Body => false,
            Name::Form if self.has_name(tree, id, name) => !wraps_page(tree, id),
            _ if self.has_name(tree, id, name) => true,
            Name::Header | Name::Footer if is_of_page(tree, id) => true,
            _ => self.has_attribute(tree, id),
        }
    }

    fn has_name(&self, tree: &Tree<'_>, id: NodeId, name: Name) -> bool {
        let spelled = || self.rules.drop_elements.iter().any(|dropped| dropped == tree.name(id));
        self.by_name[name as usize].unwrap_or_else(spelled)
    }

    fn has_attribute(&self, tree: &Tree<'_>, id: NodeId) -> bool {
        let is_any = |words: &[String], word: &str| words.iter().any(|dropped| word.eq_ignore_ascii_case(dropped));
        // An SVG element may have an `xlink:role` beside its `role`: the first counts.
        let mut has_role = false;
        let mut named = tree.attributes_among(id, &["role", "class", "id"]);
        named.any(|(name, value)| match name {
            "role" if std::mem::replace(&mut has_role, true) => false,
            "role" => is_any(&self.rules.drop_roles, value),
            _ => value.split_ascii_whitespace().any(|word| is_any(&self.rules.drop_classes, word)),
        })
    }
}

/// Whether a form is the page itself: some servers put one around everything.
fn wraps_page(tree: &Tree<'_>, form: NodeId) -> bool {
    let mut open = vec![form];
    while let Some(id) = open.pop() {
        if matches!(tree.element(id), Some(Name::Article | Name::H1 | Name::Main)) {
            return true;
        }
        open.extend(tree.children(id));
    }
    false
}

fn is_of_page(tree: &Tree<'_>, id: NodeId) -> bool {
    let mut at = tree.parent(id);
    while let Some(parent) = at {
        if tree.element(parent).is_some_and(names::is_sectioning) {
            return false;
        }
        at = tree.parent(parent);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tree::{Limits, parse};

    /// The elements of a body that are dropped.
    fn dropped(rules: &MinimalHtml, html: &str) -> Vec<String> {
        let tree = parse(html, &Limits::default()).unwrap();
        let drops = Drops::new(rules);
        let all = 0..tree.node_count() as NodeId;
        all.filter(|id| drops.has(&tree, *id)).map(|id| tree.name(id).to_owned()).collect()
    }

    #[test]
    fn names_are_compared_as_the_tree_spells_them() {
        let drop_elements = ["foreignObject", "x-y", "b", "DIV"].map(str::to_owned).to_vec();
        let rules = MinimalHtml { drop_elements, ..MinimalHtml::default() };
        assert_eq!(dropped(&rules, "<svg><foreignobject><x-Y><B><div>"), ["foreignObject", "x-y", "b"]);
        assert_eq!(dropped(&rules, "<foreignobject>"), [""; 0]);
    }

    #[test]
    fn the_first_role_counts() {
        let rules = MinimalHtml { drop_elements: Vec::new(), ..MinimalHtml::default() };
        assert_eq!(dropped(&rules, "<p role=Banner>"), ["p"]);
        assert_eq!(dropped(&rules, "<svg xlink:role=x role=banner>"), [""; 0]);
    }
}
