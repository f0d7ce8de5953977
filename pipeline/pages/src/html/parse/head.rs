//! The rules up to a page's body (WHATWG HTML, 13.2.6.4.1 to 13.2.6.4.6).

use crate::html::parse::builder::{Builder, Flow, Mode};
use crate::html::parse::formatting::Entry;
use crate::html::parse::names::{IMPLIED_END, Name, Namespace, THOROUGH_END};
use crate::html::parse::tokenizer::{Content, Tag};

impl Builder<'_> {
    pub(super) fn before_html_start(&mut self, tag: Tag) -> Flow {
        if tag.name != Name::Html {
            return self.leave();
        }
        self.insert_html(tag);
        self.mode = Mode::BeforeHead;
        Flow::Done
    }

    /// Deals with a second `<html>`, too.
    pub(super) fn before_head_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Html => self.html_again(),
            Name::Head => {
                self.head = Some(self.insert_html(tag));
                self.mode = Mode::InHead;
                Flow::Done
            }
            _ => self.leave(),
        }
    }

    pub(super) fn before_head_end(&mut self, tag: Tag) -> Flow {
        let counts = matches!(tag.name, Name::Head | Name::Body | Name::Html | Name::Br);
        if counts { self.leave() } else { Flow::Done }
    }

    pub(super) fn html_again(&mut self) -> Flow {
        if !self.open.has_template() {
            self.add_attributes(self.open.html().id);
        }
        Flow::Done
    }

    pub(super) fn in_head_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Html => self.html_again(),
            Name::Head => Flow::Done,
            Name::Noscript => {
                self.insert_html(tag);
                self.mode = Mode::InHeadNoscript;
                Flow::Done
            }
            name if belongs_in_head(name) => self.start_of_head(tag),
            _ => self.leave(),
        }
    }

    /// What belongs into the head, wherever it stands.
    pub(super) fn start_of_head(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Title => self.start_text(tag, Content::Rcdata),
            Name::Noframes | Name::Style => self.start_text(tag, Content::Rawtext),
            Name::Script => self.start_text(tag, Content::Script),
            Name::Template => {
                self.insert_html(tag);
                self.formatting.push(Entry::MARKER);
                self.allows_frameset = false;
                self.mode = Mode::InTemplate;
                self.template_modes.push(Mode::InTemplate);
                Flow::Done
            }
            _ => {
                self.insert_void(tag, Namespace::Html);
                Flow::Done
            }
        }
    }

    pub(super) fn in_head_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Head => self.leave_head(),
            Name::Body | Name::Html | Name::Br => self.leave(),
            Name::Template => self.end_template(),
            _ => Flow::Done,
        }
    }

    fn leave_head(&mut self) -> Flow {
        let _ = self.leave();
        Flow::Done
    }

    pub(super) fn end_template(&mut self) -> Flow {
        if self.open.has_template() {
            self.open.pop_to(|open| open.flags & (IMPLIED_END | THOROUGH_END) == 0);
            self.close_template();
        }
        Flow::Done
    }

    pub(super) fn close_template(&mut self) {
        self.open.pop_through(Name::Template);
        self.forget_formatting_to_marker();
        self.template_modes.pop();
        self.mode = self.mode_of_open();
    }

    pub(super) fn in_head_noscript_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Html => self.html_again(),
            Name::Basefont | Name::Bgsound | Name::Link | Name::Meta | Name::Noframes | Name::Style => {
                self.start_of_head(tag)
            }
            Name::Head | Name::Noscript => Flow::Done,
            _ => self.leave(),
        }
    }

    pub(super) fn in_head_noscript_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Noscript => self.leave_head(),
            Name::Br => self.leave(),
            _ => Flow::Done,
        }
    }

    pub(super) fn after_head_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Html => self.html_again(),
            Name::Body => {
                self.insert_html(tag);
                self.allows_frameset = false;
                self.mode = Mode::InBody;
                Flow::Done
            }
            Name::Frameset => {
                self.insert_html(tag);
                self.mode = Mode::InFrameset;
                Flow::Done
            }
            Name::Head => Flow::Done,
            name if belongs_in_head(name) => self.start_behind_head(tag),
            _ => self.leave(),
        }
    }

    /// Puts what came too late into the head.
    fn start_behind_head(&mut self, tag: Tag) -> Flow {
        let Some(id) = self.head else { return Flow::Done };
        let flags = Name::Head.flags(Namespace::Html);
        let head =
            crate::html::parse::open::Open { id, digest: 0, flags, name: Name::Head, namespace: Namespace::Html };
        self.open.push(head);
        let flow = self.start_of_head(tag);
        self.open.remove_id(id);
        flow
    }

    pub(super) fn after_head_end(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Template => self.end_template(),
            Name::Body | Name::Html | Name::Br => self.leave(),
            _ => Flow::Done,
        }
    }

    /// The mode that the open elements call for: the standard's "reset the insertion mode appropriately".
    pub(super) fn mode_of_open(&self) -> Mode {
        let work = &self.open.work;
        let innermost_first = self.open.as_slice().iter().rev().inspect(|_| work.spend(1));
        let modes = innermost_first.filter(|open| open.namespace == Namespace::Html);
        modes
            .filter_map(|open| match open.name {
                Name::Td | Name::Th => Some(Mode::InCell),
                Name::Tr => Some(Mode::InRow),
                Name::Tbody | Name::Thead | Name::Tfoot => Some(Mode::InTableBody),
                Name::Caption => Some(Mode::InCaption),
                Name::Colgroup => Some(Mode::InColumnGroup),
                Name::Table => Some(Mode::InTable),
                Name::Template => self.template_modes.last().copied(),
                Name::Head => Some(Mode::InHead),
                Name::Body => Some(Mode::InBody),
                Name::Frameset => Some(Mode::InFrameset),
                Name::Html => Some(if self.head.is_none() { Mode::BeforeHead } else { Mode::AfterHead }),
                _ => None,
            })
            .next()
            .unwrap_or(Mode::InBody)
    }
}

/// Whether an element belongs into the head, wherever it stands; `<noscript>` does not.
pub(super) fn belongs_in_head(name: Name) -> bool {
    use Name::{Base, Basefont, Bgsound, Link, Meta, Noframes, Script, Style, Template, Title};
    matches!(name, Base | Basefont | Bgsound | Link | Meta | Noframes | Script | Style | Template | Title)
}
