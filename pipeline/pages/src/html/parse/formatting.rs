//! Active formatting elements, and how misnested ones are repaired (WHATWG HTML, 13.2.4.3 and 13.2.6.4.7).

use crate::html::parse::builder::Builder;
use crate::html::parse::insert::attributes_of;
use crate::html::parse::names::{Name, Namespace, SCOPE, SPECIAL};
use crate::html::parse::open::Open;
use crate::html::parse::tokenizer::Tag;
use crate::html::tree::NodeId;
use crate::html::tree::arena::{Attribute, NONE};

/// A formatting element that goes on behind what closes it, or a marker where that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `NONE` for a marker.
    pub id: NodeId,
    pub name: Name,
    /// A sum over the attributes, or 0 as long as nobody asked.
    digest: u64,
}

impl Entry {
    pub const MARKER: Entry = Entry { id: NONE, name: Name::Other, digest: 0 };
}

impl Builder<'_> {
    fn entry_position(&self, id: NodeId) -> Option<usize> {
        self.open.work.spend(self.formatting.len());
        self.formatting.iter().rposition(|entry| entry.id == id)
    }

    /// Where the last entry of that name behind the last marker is.
    pub(super) fn last_entry_of(&self, name: Name) -> Option<usize> {
        self.open.work.spend(self.formatting.len());
        let behind_marker = self.formatting.iter().enumerate().rev().take_while(|(_, entry)| entry.id != NONE);
        behind_marker.into_iter().find(|(_, entry)| entry.name == name).map(|(index, _)| index)
    }

    pub(super) fn forget_formatting_to_marker(&mut self) {
        while self.formatting.pop().is_some_and(|entry| entry.id != NONE) {}
    }

    /// Forgets a formatting element, and closes it.
    pub(super) fn drop_formatting(&mut self, id: NodeId) {
        if let Some(index) = self.entry_position(id) {
            self.formatting.remove(index);
        }
        self.open.remove_id(id);
    }

    /// Opens a formatting element. Of four alike the oldest is forgotten.
    pub(super) fn insert_formatting(&mut self, tag: Tag) {
        let id = self.insert_html(tag);
        let mut entry = Entry { id, name: tag.name, digest: 0 };
        let start = self.formatting.iter().rposition(|entry| entry.id == NONE).map_or(0, |marker| marker + 1);
        self.open.work.spend(self.formatting.len());
        let (mut alike, mut oldest) = (0, 0);
        for index in (start..self.formatting.len()).rev() {
            if self.formatting[index].name == tag.name && self.is_alike(index, &mut entry) {
                alike += 1;
                oldest = index;
            }
        }
        if alike >= 3 {
            self.formatting.remove(oldest);
        }
        self.formatting.push(entry);
    }

    fn is_alike(&mut self, index: usize, entry: &mut Entry) -> bool {
        if entry.digest == 0 {
            entry.digest = self.digest(entry.id);
        }
        if self.formatting[index].digest == 0 {
            self.formatting[index].digest = self.digest(self.formatting[index].id);
        }
        let other = self.formatting[index];
        other.digest == entry.digest && self.sorted_attributes(other.id) == self.sorted_attributes(entry.id)
    }

    fn spend_on_attributes(&self, id: NodeId) {
        let attributes = attributes_of(&self.arena, id).iter();
        let length = |attribute: &Attribute| (attribute.name.length + attribute.value.length) as usize;
        self.open.work.spend(attributes.map(length).sum());
    }

    fn digest(&self, id: NodeId) -> u64 {
        self.spend_on_attributes(id);
        let bytes = |attribute: &Attribute| {
            let (name, value) = (self.tokens.text(attribute.name), self.tokens.text(attribute.value));
            name.bytes()
                .chain([0])
                .chain(value.bytes())
                .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        };
        attributes_of(&self.arena, id).iter().map(bytes).fold(1, u64::wrapping_add)
    }

    fn sorted_attributes(&self, id: NodeId) -> Vec<(&str, &str)> {
        let attributes = attributes_of(&self.arena, id).iter();
        self.spend_on_attributes(id);
        let mut sorted: Vec<_> =
            attributes.map(|attribute| (self.tokens.text(attribute.name), self.tokens.text(attribute.value))).collect();
        sorted.sort_unstable();
        sorted
    }

    /// Opens formatting elements again that were closed by an element around them.
    #[inline]
    pub(super) fn reopen_formatting(&mut self) {
        if self.formatting.last().is_some_and(|entry| !self.is_marker_or_open(entry.id)) {
            self.reopen_closed_formatting();
        }
    }

    #[inline]
    fn is_marker_or_open(&self, id: NodeId) -> bool {
        id == NONE || self.open.position(id).is_some()
    }

    fn reopen_closed_formatting(&mut self) {
        let still_open = self.formatting.iter().rposition(|entry| self.is_marker_or_open(entry.id));
        for index in still_open.map_or(0, |index| index + 1)..self.formatting.len() {
            self.formatting[index].id = self.insert_copy(self.formatting[index].id);
        }
    }

    /// Closes a formatting element that others may be misnested with: the "adoption agency algorithm".
    pub(super) fn end_formatting(&mut self, tag: Tag) {
        let current = self.current();
        if current.is(tag.name) && self.entry_position(current.id).is_none() {
            self.open.pop();
            return;
        }
        for _ in 0..8 {
            let Some(entry) = self.last_entry_of(tag.name) else { return self.end_other(tag) };
            let id = self.formatting[entry].id;
            let Some(index) = self.open.position(id) else {
                self.formatting.remove(entry);
                return;
            };
            if !self.open.has(|open| open.id == id, |open| open.flags & SCOPE != 0) {
                return;
            }
            self.open.work.spend(self.open.as_slice().len() - index);
            let inside = self.open.as_slice()[index..].iter().position(|open| open.flags & SPECIAL != 0);
            let Some(inside) = inside else {
                self.open.truncate(index);
                self.formatting.remove(entry);
                return;
            };
            self.adopt(id, entry, index, index + inside);
        }
    }

    /// Moves a block out of a formatting element that it is in, and puts a copy of that into the block.
    fn adopt(&mut self, id: NodeId, entry: usize, index: usize, block_index: usize) {
        let block = self.open.as_slice()[block_index];
        let around = self.open.as_slice()[index.saturating_sub(1)];
        let (mut bookmark, last) = self.copy_between(id, entry, block_index);
        let (parent, before) = self.place_in(around);
        self.arena.insert(parent, last, before);
        let copy = self.copy_of(id);
        let copy = self.arena.create(copy);
        self.open.work.spend(self.arena.move_children(block.id, copy));
        self.arena.insert(block.id, copy, NONE);
        let digest = match self.entry_position(id) {
            Some(old) => {
                bookmark -= usize::from(old < bookmark);
                self.formatting.remove(old).digest
            }
            None => 0,
        };
        let name = self.arena.node(id).name;
        self.formatting.insert(bookmark, Entry { id: copy, name, digest });
        self.open.remove_id(id);
        let behind = self.open.position(block.id).map_or(0, |index| index + 1);
        let flags = name.flags(Namespace::Html);
        self.open.insert(behind, Open { id: copy, digest: 0, flags, name, namespace: Namespace::Html });
    }

    /// Copies the three innermost formatting elements between a formatting element and a block, and closes all others. The
    /// answer is where the next entry goes, and the outermost copy, or else the block.
    fn copy_between(&mut self, id: NodeId, entry: usize, block_index: usize) -> (usize, NodeId) {
        let block = self.open.as_slice()[block_index].id;
        let (mut bookmark, mut last) = (entry, block);
        let (mut index, mut count) = (block_index, 0);
        while index > 0 {
            index -= 1;
            count += 1;
            let node = self.open.as_slice()[index].id;
            if node == id {
                break;
            }
            let mut position = self.entry_position(node);
            if count > 3
                && let Some(listed) = position.take()
            {
                self.formatting.remove(listed);
                bookmark -= usize::from(listed < bookmark);
            }
            let Some(position) = position else {
                self.open.remove(index);
                continue;
            };
            let copy = self.copy_of(node);
            let copy = self.arena.create(copy);
            self.formatting[position].id = copy;
            self.open.replace(index, copy);
            if last == block {
                bookmark = position + 1;
            }
            self.arena.insert(copy, last, NONE);
            last = copy;
        }
        (bookmark, last)
    }
}
