//! The rules in tables (WHATWG HTML, 13.2.6.4.9 to 13.2.6.4.15).

use crate::html::parse::builder::{Builder, Flow, Mode};
use crate::html::parse::formatting::Entry;
use crate::html::parse::names::Name::{self, *};
use crate::html::parse::names::{FOSTERS, Namespace};
use crate::html::parse::tags::is_space;
use crate::html::parse::tokenizer::Tag;
use crate::html::tree::arena::Span;

const SECTIONS: [Name; 3] = [Tbody, Tfoot, Thead];

impl Builder<'_> {
    /// Holds text back until it is known whether it is all whitespace.
    pub(super) fn in_table_text(&mut self, text: Span) {
        if self.current().flags & FOSTERS != 0 {
            self.table_text.push(text);
        } else {
            self.fostered(|builder| builder.in_body_text(text));
        }
    }

    /// Puts text that was held back into the table, or before it if there is more than whitespace in it.
    #[inline]
    pub(super) fn place_table_text(&mut self) {
        if !self.table_text.is_empty() {
            self.place_some_table_text();
        }
    }

    fn place_some_table_text(&mut self) {
        let texts = std::mem::take(&mut self.table_text);
        let is_blank = texts.iter().all(|text| self.tokens.text(*text).bytes().all(is_space));
        for text in texts {
            if is_blank {
                self.append_text(text);
            } else {
                self.fostered(|builder| builder.in_body_text(text));
            }
        }
    }

    /// Does something that is out of place in a table, so that it comes to stand before it.
    fn fostered<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        self.fosters = true;
        let result = act(self);
        self.fosters = false;
        result
    }

    /// Closes elements up to one that may hold such a part of a table.
    fn clear_to(&mut self, names: &[Name]) {
        self.open.pop_to(|open| open.is_any(names) || open.is(Template) || open.is(Html));
    }

    pub(super) fn in_table_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Caption => {
                self.clear_to(&[Table]);
                self.formatting.push(Entry::MARKER);
                self.insert_html(tag);
                self.mode = Mode::InCaption;
            }
            Colgroup => {
                self.clear_to(&[Table]);
                self.insert_html(tag);
                self.mode = Mode::InColumnGroup;
            }
            Col => {
                self.clear_to(&[Table]);
                self.insert_named(Colgroup);
                self.mode = Mode::InColumnGroup;
                return Flow::Again;
            }
            Tbody | Tfoot | Thead => {
                self.clear_to(&[Table]);
                self.insert_html(tag);
                self.mode = Mode::InTableBody;
            }
            Td | Th | Tr => {
                self.clear_to(&[Table]);
                self.insert_named(Tbody);
                self.mode = Mode::InTableBody;
                return Flow::Again;
            }
            Table => return if self.close_table() { Flow::Again } else { Flow::Done },
            Style | Script | Template => return self.start_of_head(tag),
            Input if self.tokens.is_hidden_input() => drop(self.insert_void(tag, Namespace::Html)),
            Form => {
                if !self.open.has_template() && self.form.is_none() {
                    self.form = Some(self.insert_void(tag, Namespace::Html));
                }
            }
            _ => return self.fostered(|builder| builder.in_body_start(tag)),
        }
        Flow::Done
    }

    fn close_table(&mut self) -> bool {
        let is_open = self.open.has_in_table_scope(Table);
        if is_open {
            self.open.pop_through(Table);
            self.mode = self.mode_of_open();
        }
        is_open
    }

    pub(super) fn in_table_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Table => {
                self.close_table();
                Flow::Done
            }
            Body | Caption | Col | Colgroup | Html | Tbody | Td | Tfoot | Th | Thead | Tr => Flow::Done,
            Template => self.end_template(),
            _ => self.fostered(|builder| builder.in_body_end(tag)),
        }
    }

    pub(super) fn in_caption_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Caption | Col | Colgroup | Tbody | Td | Tfoot | Th | Thead | Tr => self.close_caption(Flow::Again),
            _ => self.in_body_start(tag),
        }
    }

    pub(super) fn in_caption_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Caption => self.close_caption(Flow::Done),
            Table => self.close_caption(Flow::Again),
            Body | Col | Colgroup | Html | Tbody | Td | Tfoot | Th | Thead | Tr => Flow::Done,
            _ => self.in_body_end(tag),
        }
    }

    fn close_caption(&mut self, then: Flow) -> Flow {
        if !self.open.has_in_table_scope(Caption) {
            return Flow::Done;
        }
        self.open.imply_ends();
        self.open.pop_through(Caption);
        self.forget_formatting_to_marker();
        self.mode = Mode::InTable;
        then
    }

    pub(super) fn in_column_group_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Html => self.html_again(),
            Col => {
                self.insert_void(tag, Namespace::Html);
                Flow::Done
            }
            Template => self.start_of_head(tag),
            _ => self.leave(),
        }
    }

    pub(super) fn in_column_group_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Colgroup => {
                let _ = self.leave();
                Flow::Done
            }
            Col => Flow::Done,
            Template => self.end_template(),
            _ => self.leave(),
        }
    }

    pub(super) fn in_table_body_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Tr => {
                self.clear_to(&SECTIONS);
                self.insert_html(tag);
                self.mode = Mode::InRow;
                Flow::Done
            }
            Th | Td => {
                self.clear_to(&SECTIONS);
                self.insert_named(Tr);
                self.mode = Mode::InRow;
                Flow::Again
            }
            Caption | Col | Colgroup | Tbody | Tfoot | Thead => self.close_section(),
            _ => self.in_table_start(tag),
        }
    }

    fn close_section(&mut self) -> Flow {
        if !self.open.has_any_in_table_scope(&self.sections()) {
            return Flow::Done;
        }
        self.clear_to(&SECTIONS);
        self.open.pop();
        self.mode = Mode::InTable;
        Flow::Again
    }

    pub(super) fn in_table_body_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Tbody | Tfoot | Thead => {
                if self.open.has_in_table_scope(tag.name) {
                    self.clear_to(&SECTIONS);
                    self.open.pop();
                    self.mode = Mode::InTable;
                }
                Flow::Done
            }
            Table => self.close_section(),
            Body | Caption | Col | Colgroup | Html | Td | Th | Tr => Flow::Done,
            _ => self.in_table_end(tag),
        }
    }

    pub(super) fn in_row_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Th | Td => {
                self.clear_to(&[Tr]);
                self.insert_html(tag);
                self.mode = Mode::InCell;
                self.formatting.push(Entry::MARKER);
                Flow::Done
            }
            Caption | Col | Colgroup | Tbody | Tfoot | Thead | Tr => self.close_row(Flow::Again),
            _ => self.in_table_start(tag),
        }
    }

    fn close_row(&mut self, then: Flow) -> Flow {
        if !self.open.has_in_table_scope(Tr) {
            return Flow::Done;
        }
        self.clear_to(&[Tr]);
        self.open.pop();
        self.mode = Mode::InTableBody;
        then
    }

    pub(super) fn in_row_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Tr => self.close_row(Flow::Done),
            Table => self.close_row(Flow::Again),
            Tbody | Tfoot | Thead if !self.open.has_in_table_scope(tag.name) => Flow::Done,
            Tbody | Tfoot | Thead => self.close_row(Flow::Again),
            Body | Caption | Col | Colgroup | Html | Td | Th => Flow::Done,
            _ => self.in_table_end(tag),
        }
    }

    pub(super) fn in_cell_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Caption | Col | Colgroup | Tbody | Td | Tfoot | Th | Thead | Tr => {
                if self.open.has_any_in_table_scope(&[Td, Th]) { self.close_cell() } else { Flow::Done }
            }
            _ => self.in_body_start(tag),
        }
    }

    fn close_cell(&mut self) -> Flow {
        self.open.imply_ends();
        self.open.pop_through_any(|open| open.is_any(&[Td, Th]));
        self.forget_formatting_to_marker();
        self.mode = Mode::InRow;
        Flow::Again
    }

    pub(super) fn in_cell_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Td | Th => {
                if self.open.has_in_table_scope(tag.name) {
                    self.open.imply_ends();
                    self.open.pop_through(tag.name);
                    self.forget_formatting_to_marker();
                    self.mode = Mode::InRow;
                }
                Flow::Done
            }
            Body | Caption | Col | Colgroup | Html => Flow::Done,
            Table | Tbody | Tfoot | Thead | Tr => {
                if self.open.has_in_table_scope(tag.name) {
                    self.close_cell()
                } else {
                    Flow::Done
                }
            }
            _ => self.in_body_end(tag),
        }
    }
}
