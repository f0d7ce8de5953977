//! Which elements are dropped with all that is in them, whatever that is.

use std::cell::OnceCell;

use crate::html::kept_attributes::words;
use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};

/// Elements that hold none of a page's text: what it looks like, what it runs, what it asks for, and other files.
pub fn elements_without_content() -> Vec<String> {
    words(
        "annotation annotation-xml applet audio base button canvas datalist dialog embed form frame frameset iframe input \
         link map noembed noframes noscript object script select style svg template textarea track video",
    )
}

/// ARIA roles of what is around a page's content. A page's own `header` is its `banner`, and its `footer` its
/// `contentinfo`.
pub fn roles_around_content() -> Vec<String> {
    words("alertdialog banner contentinfo dialog search")
}

/// Words that sites give to copyright lines and cookie banners.
pub fn classes_around_content() -> Vec<String> {
    words("copyright cookie-banner cookie-consent cookie-notice cookiebar")
}

/// What is dropped, with the names in it looked up.
#[derive(Debug, Clone)]
pub struct Drops {
    elements: Vec<String>,
    roles: Vec<String>,
    classes: Vec<String>,
    /// Bit `n` is set where one of the classes has `n` bytes: most words of a page have another length than any of them.
    class_lengths: u64,
    /// By name, whether its elements are dropped; `None` where that depends on how the page writes it, as SVG does with capitals.
    by_name: [Option<bool>; Name::COUNT],
}

impl Drops {
    /// Elements by name, by ARIA role, and by a word of their `class` or `id`.
    pub fn new(elements: &[String], roles: &[String], classes: &[String]) -> Self {
        let mut by_name = [Some(false); Name::COUNT];
        by_name[Name::Other as usize] = None;
        for dropped in elements {
            let name = Name::of(dropped);
            by_name[name as usize] = (name.text() == name.svg_text() && name.text() == dropped).then_some(true);
        }
        let class_lengths = classes.iter().fold(0, |lengths, class| lengths | length_bit(class));
        Self { elements: elements.to_vec(), roles: roles.to_vec(), classes: classes.to_vec(), class_lengths, by_name }
    }

    /// The same for one page.
    pub fn of<'a>(&'a self, tree: &'a Tree<'a>) -> PageDrops<'a> {
        PageDrops { drops: self, tree, pages: OnceCell::new() }
    }

    /// Whether elements of that name are dropped.
    pub fn has_name(&self, tree: &Tree<'_>, id: NodeId, name: Name) -> bool {
        let spelled = || self.elements.iter().any(|dropped| dropped == tree.name(id));
        self.by_name[name as usize].unwrap_or_else(spelled)
    }

    fn has_attribute(&self, tree: &Tree<'_>, id: NodeId) -> bool {
        let is_any = |words: &[String], word: &str| {
            tree.work().spend(word.len());
            words.iter().any(|dropped| word.eq_ignore_ascii_case(dropped))
        };
        let is_class = |word: &str| self.class_lengths & length_bit(word) != 0 && is_any(&self.classes, word);
        // An SVG element may have an `xlink:role` beside its `role`: the first counts.
        let mut has_role = false;
        let mut named = tree.attributes_among(id, &["role", "class", "id"]);
        named.any(|(name, value)| match name {
            "role" if std::mem::replace(&mut has_role, true) => false,
            "role" => is_any(&self.roles, value),
            // Too short to hold any of them.
            _ if value.len() < self.class_lengths.trailing_zeros() as usize => false,
            _ => value.split_ascii_whitespace().any(is_class),
        })
    }

    fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|dropped| dropped == role)
    }
}

/// The bit of a word's length; all words of 63 bytes and more share one.
fn length_bit(word: &str) -> u64 {
    1 << word.len().min(63)
}

/// Which elements of one page are dropped.
pub struct PageDrops<'a> {
    drops: &'a Drops,
    tree: &'a Tree<'a>,
    /// By node, whether a page's content is in it; known once a form asks.
    pages: OnceCell<Vec<bool>>,
}

impl PageDrops<'_> {
    /// Whether an element is dropped. `in_section` is whether an article or the like is around it, whose `header` and
    /// `footer` are its own.
    pub fn has(&self, id: NodeId, in_section: bool) -> bool {
        let (drops, tree) = (self.drops, self.tree);
        let Some(name) = tree.element(id) else { return false };
        match name {
            Name::Html | Name::Head | Name::Body => false,
            Name::Form if drops.has_name(tree, id, name) => !self.is_page(id),
            _ if drops.has_name(tree, id, name) => true,
            Name::Header if !in_section && drops.has_role("banner") => true,
            Name::Footer if !in_section && drops.has_role("contentinfo") => true,
            _ => drops.has_attribute(tree, id),
        }
    }

    /// Whether a form is the page itself: some servers put one around everything.
    fn is_page(&self, form: NodeId) -> bool {
        self.pages.get_or_init(|| around_content(self.tree)).get(form as usize).is_some_and(|is_page| *is_page)
    }
}

/// By node, whether an `article`, `main` or `h1` is in it.
fn around_content(tree: &Tree<'_>) -> Vec<bool> {
    let mut around = vec![false; tree.node_count()];
    for id in 0..tree.node_count() as NodeId {
        if !matches!(tree.element(id), Some(Name::Article | Name::H1 | Name::Main)) {
            continue;
        }
        let mut at = Some(id);
        // What is above a node that has been marked has been marked with it.
        while let Some(id) = at.filter(|id| !std::mem::replace(&mut around[*id as usize], true)) {
            at = tree.parent(id);
        }
    }
    around
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tree::{Limits, parse};

    /// The elements of a body that are dropped.
    fn dropped(drops: &Drops, html: &str) -> Vec<String> {
        let tree = parse(html, &Limits::default()).unwrap();
        let drops = drops.of(&tree);
        let all = 0..tree.node_count() as NodeId;
        all.filter(|id| drops.has(*id, false)).map(|id| tree.name(id).to_owned()).collect()
    }

    #[test]
    fn names_are_compared_as_the_tree_spells_them() {
        let elements = ["foreignObject", "x-y", "b", "DIV"].map(str::to_owned);
        let drops = Drops::new(&elements, &[], &[]);
        assert_eq!(dropped(&drops, "<svg><foreignobject><x-Y><B><div>"), ["foreignObject", "x-y", "b"]);
        assert_eq!(dropped(&drops, "<foreignobject>"), [""; 0]);
    }

    #[test]
    fn the_first_role_counts() {
        let drops = Drops::new(&[], &roles_around_content(), &[]);
        assert_eq!(dropped(&drops, "<p role=Banner>"), ["p"]);
        assert_eq!(dropped(&drops, "<svg xlink:role=x role=banner>"), [""; 0]);
    }

    #[test]
    fn only_a_form_around_content_stays() {
        let drops = Drops::new(&["form".to_owned()], &[], &[]);
        assert_eq!(dropped(&drops, "<form><div></form><form><h1></h1></form></div><form>x</form>"), ["form"]);
    }
}
