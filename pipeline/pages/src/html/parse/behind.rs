//! The rules in templates, behind the body, and in frames (WHATWG HTML, 13.2.6.4.16 to 13.2.6.4.21).

use crate::html::parse::builder::{Builder, Flow, Mode};
use crate::html::parse::head::belongs_in_head;
use crate::html::parse::names::{Name, Namespace};
use crate::html::parse::tokenizer::Tag;

impl Builder<'_> {
    pub(super) fn in_template_start(&mut self, tag: Tag) -> Flow {
        let mode = match tag.name {
            name if belongs_in_head(name) => return self.start_of_head(tag),
            Name::Caption | Name::Colgroup | Name::Tbody | Name::Tfoot | Name::Thead => Mode::InTable,
            Name::Col => Mode::InColumnGroup,
            Name::Tr => Mode::InTableBody,
            Name::Td | Name::Th => Mode::InRow,
            _ => Mode::InBody,
        };
        if let Some(innermost) = self.template_modes.last_mut() {
            *innermost = mode;
        }
        self.mode = mode;
        Flow::Again
    }

    pub(super) fn in_template_end(&mut self, tag: Tag) -> Flow {
        if tag.name == Name::Template { self.end_template() } else { Flow::Done }
    }

    pub(super) fn after_body_start(&mut self, tag: Tag) -> Flow {
        if tag.name == Name::Html { self.html_again() } else { self.leave() }
    }

    pub(super) fn after_body_end(&mut self, tag: Tag) -> Flow {
        if self.mode == Mode::AfterBody && tag.name == Name::Html {
            self.mode = Mode::AfterAfterBody;
            return Flow::Done;
        }
        self.leave()
    }

    pub(super) fn frames_start(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Html => return self.html_again(),
            Name::Noframes => return self.start_of_head(tag),
            Name::Frameset if self.mode == Mode::InFrameset => drop(self.insert_html(tag)),
            Name::Frame if self.mode == Mode::InFrameset => drop(self.insert_void(tag, Namespace::Html)),
            _ => {}
        }
        Flow::Done
    }

    pub(super) fn frames_end(&mut self, tag: Tag) -> Flow {
        match (self.mode, tag.name) {
            (Mode::InFrameset, Name::Frameset) if self.open.as_slice().len() > 1 => {
                self.open.pop();
                if !self.current().is(Name::Frameset) {
                    self.mode = Mode::AfterFrameset;
                }
            }
            (Mode::AfterFrameset, Name::Html) => self.mode = Mode::AfterAfterFrameset,
            _ => {}
        }
        Flow::Done
    }
}
