//! The stack of open elements, and what is "in scope" there (WHATWG HTML, 13.2.4.2).

use crate::html::parse::names::{HEADING, IMPLIED_END, Name, Namespace, SCOPE, TABLE_SCOPE};
use crate::html::tree::NodeId;
use crate::html::work::Work;

/// An open element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub id: NodeId,
    /// That of the tag.
    pub digest: u32,
    pub flags: u16,
    pub name: Name,
    pub namespace: Namespace,
}

impl Open {
    /// Whether this is the HTML element of that name.
    #[inline]
    pub fn is(self, name: Name) -> bool {
        self.name == name && self.namespace == Namespace::Html
    }

    pub fn is_any(self, names: &[Name]) -> bool {
        self.namespace == Namespace::Html && names.contains(&self.name)
    }
}

/// What stands below the page, where no element is open.
const PAGE: Open = Open { id: 0, digest: 0, flags: 0, name: Name::Other, namespace: Namespace::Html };

/// Open elements, the outermost first.
#[derive(Debug)]
pub struct OpenElements {
    /// What the page may take yet: most of it goes into looking for open elements.
    pub work: Work,
    stack: Vec<Open>,
    // How many of each are open, for they are looked for all the time and mostly aren't there.
    paragraphs: u32,
    templates: u32,
    selects: u32,
}

impl OpenElements {
    pub fn new(work: Work) -> Self {
        Self { work, stack: Vec::new(), paragraphs: 0, templates: 0, selects: 0 }
    }

    /// The innermost element.
    #[inline]
    pub fn current(&self) -> Open {
        self.stack.last().copied().unwrap_or(PAGE)
    }

    /// The outermost element.
    pub fn html(&self) -> Open {
        self.stack.first().copied().unwrap_or(PAGE)
    }

    pub fn as_slice(&self) -> &[Open] {
        &self.stack
    }

    /// The page's body, if it is where it belongs.
    pub fn body(&self) -> Option<Open> {
        self.stack.get(1).copied().filter(|open| open.is(Name::Body))
    }

    #[inline]
    pub fn is_foreign(&self) -> bool {
        self.current().namespace != Namespace::Html
    }

    pub fn has_template(&self) -> bool {
        self.templates > 0
    }

    #[inline]
    fn count(&mut self, open: Open, change: i32) {
        let counter = match open.name {
            Name::P => &mut self.paragraphs,
            Name::Template => &mut self.templates,
            Name::Select => &mut self.selects,
            _ => return,
        };
        if open.namespace == Namespace::Html {
            *counter = counter.saturating_add_signed(change);
        }
    }

    #[inline]
    pub fn push(&mut self, open: Open) {
        self.count(open, 1);
        self.stack.push(open);
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Open> {
        let open = self.stack.pop()?;
        self.count(open, -1);
        Some(open)
    }

    pub fn truncate(&mut self, length: usize) {
        while self.stack.len() > length {
            self.pop();
        }
    }

    pub fn insert(&mut self, index: usize, open: Open) {
        self.count(open, 1);
        self.work.spend(self.stack.len() - index);
        self.stack.insert(index, open);
    }

    pub fn remove(&mut self, index: usize) {
        self.work.spend(self.stack.len() - index);
        let open = self.stack.remove(index);
        self.count(open, -1);
    }

    /// Puts another element in the place of one of the same name.
    pub fn replace(&mut self, index: usize, id: NodeId) {
        self.stack[index].id = id;
    }

    /// Where an element is, if it is open.
    #[inline]
    pub fn position(&self, id: NodeId) -> Option<usize> {
        let found = self.stack.iter().rposition(|open| open.id == id);
        self.work.spend(self.stack.len() - found.unwrap_or(0));
        found
    }

    pub fn remove_id(&mut self, id: NodeId) {
        if let Some(index) = self.position(id) {
            self.remove(index);
        }
    }

    /// Whether such an element is open above all that ends the search.
    #[inline]
    pub fn has(&self, is: impl Fn(Open) -> bool, ends: impl Fn(Open) -> bool) -> bool {
        let found = self.stack.iter().rposition(|open| is(*open) || ends(*open));
        self.work.spend(self.stack.len() - found.unwrap_or(0));
        found.is_some_and(|index| is(self.stack[index]))
    }

    pub fn has_in_scope(&self, name: Name) -> bool {
        self.has(|open| open.is(name), |open| open.flags & SCOPE != 0)
    }

    pub fn has_in_table_scope(&self, name: Name) -> bool {
        self.has(|open| open.is(name), |open| open.flags & TABLE_SCOPE != 0)
    }

    pub fn has_any_in_table_scope(&self, names: &[Name]) -> bool {
        self.has(|open| open.is_any(names), |open| open.flags & TABLE_SCOPE != 0)
    }

    pub fn has_heading_in_scope(&self) -> bool {
        self.has(|open| open.flags & HEADING != 0, |open| open.flags & SCOPE != 0)
    }

    pub fn has_list_item_in_scope(&self) -> bool {
        let ends = |open: Open| open.flags & SCOPE != 0 || open.is_any(&[Name::Ol, Name::Ul]);
        self.has(|open| open.is(Name::Li), ends)
    }

    #[inline]
    pub fn has_paragraph_in_button_scope(&self) -> bool {
        let ends = |open: Open| open.flags & SCOPE != 0 || open.is(Name::Button);
        self.paragraphs > 0 && self.has(|open| open.is(Name::P), ends)
    }

    pub fn has_select_in_scope(&self) -> bool {
        self.selects > 0 && self.has_in_scope(Name::Select)
    }

    /// Closes elements up to one of that name, and it.
    pub fn pop_through(&mut self, name: Name) {
        self.pop_through_any(|open| open.is(name));
    }

    pub fn pop_through_any(&mut self, is: impl Fn(Open) -> bool) {
        while let Some(open) = self.pop() {
            if is(open) {
                return;
            }
        }
    }

    /// Closes elements up to such a one.
    pub fn pop_to(&mut self, is: impl Fn(Open) -> bool) {
        while let Some(open) = self.stack.last()
            && !is(*open)
        {
            self.pop();
        }
    }

    /// Closes elements whose end tags are implied, but for those of one name.
    #[inline]
    pub fn imply_ends_but(&mut self, name: Name) {
        self.pop_to(|open| open.flags & IMPLIED_END == 0 || open.is(name));
    }

    #[inline]
    pub fn imply_ends(&mut self) {
        self.pop_to(|open| open.flags & IMPLIED_END == 0);
    }

    /// Closes an element that is in scope, by an end tag that others imply.
    pub fn close(&mut self, name: Name) {
        self.imply_ends_but(name);
        self.pop_through(name);
    }

    /// Closes the open paragraph, if there is one that nothing but inline elements are in.
    #[inline]
    pub fn close_paragraph(&mut self) {
        if self.has_paragraph_in_button_scope() {
            self.close(Name::P);
        }
    }
}
