//! The rules for end tags in a page's body (WHATWG HTML, 13.2.6.4.7).

use crate::html::parse::builder::{Builder, Flow, Mode};
use crate::html::parse::names::{HEADING, IMPLIED_END, Name, Namespace, SCOPE, SPECIAL};
use crate::html::parse::open::Open;
use crate::html::parse::tokenizer::Tag;
use crate::html::tree::NodeId;

impl Builder<'_> {
    pub(super) fn in_body_end(&mut self, tag: Tag) -> Flow {
        use Name::*;
        match tag.name {
            Address | Article | Aside | Blockquote | Button | Center | Details | Dialog | Dir | Div | Dl | Fieldset
            | Figcaption | Figure | Footer | Header | Hgroup | Listing | Main | Menu | Nav | Ol | Pre | Search
            | Section | Select | Summary | Ul => self.end_block(tag.name),
            A | B | Big | Code | Em | Font | I | Nobr | S | Small | Strike | Strong | Tt | U => {
                self.end_formatting(tag);
            }
            P => {
                if !self.open.has_paragraph_in_button_scope() {
                    self.insert_named(P);
                }
                self.open.close(P);
            }
            Li => {
                if self.open.has_list_item_in_scope() {
                    self.open.close(Li);
                }
            }
            Dd | Dt => {
                if self.open.has_in_scope(tag.name) {
                    self.open.close(tag.name);
                }
            }
            H1 | H2 | H3 | H4 | H5 | H6 => {
                if self.open.has_heading_in_scope() {
                    self.open.imply_ends();
                    self.open.pop_through_any(|open| open.flags & HEADING != 0);
                }
            }
            Body => {
                if self.open.has_in_scope(Body) {
                    self.mode = Mode::AfterBody;
                }
            }
            Html => {
                if self.open.has_in_scope(Body) {
                    self.mode = Mode::AfterBody;
                    return Flow::Again;
                }
            }
            Form => self.end_form(),
            Applet | Marquee | Object => {
                if self.open.has_in_scope(tag.name) {
                    self.end_block(tag.name);
                    self.forget_formatting_to_marker();
                }
            }
            Br => {
                self.tokens.attributes.clear();
                return self.in_body_start(tag);
            }
            Template => return self.end_template(),
            _ => self.end_other(tag),
        }
        Flow::Done
    }

    fn end_block(&mut self, name: Name) {
        if self.open.has_in_scope(name) {
            self.open.imply_ends();
            self.open.pop_through(name);
        }
    }

    fn end_form(&mut self) {
        if self.open.has_template() {
            return self.end_block(Name::Form);
        }
        let Some(form) = self.form.take() else { return };
        if self.open.has(|open| open.id == form, |open| open.flags & SCOPE != 0) {
            self.open.imply_ends();
            self.open.remove_id(form);
        }
    }

    /// The end tag of an element without rules of its own.
    pub(super) fn end_other(&mut self, tag: Tag) {
        let innermost_first = self.open.as_slice().iter().enumerate().rev();
        for (index, open) in innermost_first {
            self.open.work.spend(1);
            if open.namespace == Namespace::Html && self.is_named(*open, tag) {
                return self.close_through(index, open.id);
            }
            if open.flags & SPECIAL != 0 {
                return;
            }
        }
    }

    /// Closes all up to an element, and it.
    fn close_through(&mut self, index: usize, id: NodeId) {
        self.open.pop_to(|open| open.flags & IMPLIED_END == 0 || open.id == id);
        self.open.truncate(index);
    }

    /// Whether a tag has the name of an element.
    pub(super) fn is_named(&self, open: Open, tag: Tag) -> bool {
        (open.name, open.digest) == (tag.name, tag.digest)
            && (open.name != Name::Other || self.other_name(open.id) == self.tokens.text(tag.text))
    }

    /// The name of an element that no rule mentions.
    fn other_name(&self, id: NodeId) -> &str {
        let before = (self.arena.node(id).content.start as usize).wrapping_sub(1);
        self.arena.attributes.get(before).map_or("", |name| self.tokens.text(name.name))
    }
}
