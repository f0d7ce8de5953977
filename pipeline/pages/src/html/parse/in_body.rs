//! The rules for start tags in a page's body (WHATWG HTML, 13.2.6.4.7).

use crate::html::parse::builder::{Builder, Flow, Mode};
use crate::html::parse::formatting::Entry;
use crate::html::parse::head::belongs_in_head;
use crate::html::parse::names::{HEADING, Name, Namespace, SPECIAL};
use crate::html::parse::tags::is_space;
use crate::html::parse::tokenizer::{Content, Tag};
use crate::html::tree::arena::Span;

impl Builder<'_> {
    pub(super) fn in_body_text(&mut self, text: Span) {
        self.reopen_formatting();
        self.refuse_frameset_for(text);
        self.append_text(text);
    }

    #[inline]
    pub(super) fn refuse_frameset_for(&mut self, text: Span) {
        if self.allows_frameset {
            self.allows_frameset = self.tokens.text(text).bytes().all(is_space);
        }
    }

    pub(super) fn in_body_start(&mut self, tag: Tag) -> Flow {
        use Name::*;
        match tag.name {
            Address | Article | Aside | Blockquote | Center | Details | Dialog | Dir | Div | Dl | Fieldset
            | Figcaption | Figure | Footer | Header | Hgroup | Main | Menu | Nav | Ol | P | Search | Section
            | Summary | Ul => self.start_block(tag),
            B | Big | Code | Em | Font | I | S | Small | Strike | Strong | Tt | U => {
                self.reopen_formatting();
                self.insert_formatting(tag);
            }
            A => self.start_link(tag),
            Li => self.start_item(tag, &[Li]),
            Dd | Dt => self.start_item(tag, &[Dd, Dt]),
            Area | Br | Embed | Img | Keygen | Wbr => self.start_void(tag),
            H1 | H2 | H3 | H4 | H5 | H6 => {
                self.open.close_paragraph();
                if self.current().flags & HEADING != 0 {
                    self.open.pop();
                }
                self.insert_html(tag);
            }
            name if belongs_in_head(name) => return self.start_of_head(tag),
            Html => return self.html_again(),
            Body => self.body_again(),
            Frameset => self.start_frameset(tag),
            Table => {
                if !self.is_quirky {
                    self.open.close_paragraph();
                }
                self.insert_html(tag);
                self.allows_frameset = false;
                self.mode = Mode::InTable;
            }
            Caption | Col | Colgroup | Frame | Head | Tbody | Td | Tfoot | Th | Thead | Tr => {}
            Button | Form | Input | Hr | Optgroup | Option | Select => self.start_control(tag),
            _ => return self.start_rare(tag),
        }
        Flow::Done
    }

    fn start_block(&mut self, tag: Tag) {
        self.open.close_paragraph();
        self.insert_html(tag);
    }

    fn start_void(&mut self, tag: Tag) {
        self.reopen_formatting();
        self.insert_void(tag, Namespace::Html);
        self.allows_frameset = false;
    }

    fn start_link(&mut self, tag: Tag) {
        if let Some(entry) = self.last_entry_of(Name::A) {
            let id = self.formatting[entry].id;
            self.end_formatting(tag);
            self.drop_formatting(id);
        }
        self.reopen_formatting();
        self.insert_formatting(tag);
    }

    /// A list item ends the one before it, whatever inline elements are open.
    fn start_item(&mut self, tag: Tag, ended: &[Name]) {
        self.allows_frameset = false;
        let holds = [Name::Address, Name::Div, Name::P];
        let work = &self.open.work;
        let innermost_first = self.open.as_slice().iter().rev().inspect(|_| work.spend(1));
        let mut holders =
            innermost_first.filter(|open| open.is_any(ended) || (open.flags & SPECIAL != 0 && !open.is_any(&holds)));
        if let Some(open) = holders.next().copied().filter(|open| open.is_any(ended)) {
            self.open.close(open.name);
        }
        self.start_block(tag);
    }

    fn body_again(&mut self) {
        if let Some(body) = self.open.body().filter(|_| !self.open.has_template()) {
            self.allows_frameset = false;
            self.add_attributes(body.id);
        }
    }

    fn start_frameset(&mut self, tag: Tag) {
        if let Some(body) = self.open.body().filter(|_| self.allows_frameset) {
            self.arena.detach(body.id);
            self.open.truncate(1);
            self.insert_html(tag);
            self.mode = Mode::InFrameset;
        }
    }

    fn start_control(&mut self, tag: Tag) {
        match tag.name {
            Name::Form => return self.start_form(tag),
            Name::Button if self.open.has_in_scope(Name::Button) => {
                self.open.imply_ends();
                self.open.pop_through(Name::Button);
            }
            Name::Hr => {
                self.open.close_paragraph();
                if self.open.has_select_in_scope() {
                    self.open.imply_ends();
                }
                self.insert_void(tag, Namespace::Html);
                self.allows_frameset = false;
                return;
            }
            Name::Input => return self.start_input(tag),
            Name::Select if self.open.has_select_in_scope() => return self.open.pop_through(Name::Select),
            Name::Button | Name::Select => {}
            _ if self.open.has_select_in_scope() => {
                // An `<option>` ends options alone; an `<optgroup>` ends groups, too.
                let kept = if tag.name == Name::Option { Name::Optgroup } else { Name::Other };
                self.open.imply_ends_but(kept);
            }
            _ if self.current().is(Name::Option) => drop(self.open.pop()),
            _ => {}
        }
        self.reopen_formatting();
        self.insert_html(tag);
        if matches!(tag.name, Name::Button | Name::Select) {
            self.allows_frameset = false;
        }
    }

    fn start_form(&mut self, tag: Tag) {
        let in_template = self.open.has_template();
        if self.form.is_none() || in_template {
            self.open.close_paragraph();
            let id = self.insert_html(tag);
            if !in_template {
                self.form = Some(id);
            }
        }
    }

    fn start_input(&mut self, tag: Tag) {
        if self.open.has_select_in_scope() {
            self.open.pop_through(Name::Select);
        }
        self.reopen_formatting();
        self.insert_void(tag, Namespace::Html);
        self.allows_frameset &= self.tokens.is_hidden_input();
    }

    fn start_rare(&mut self, tag: Tag) -> Flow {
        match tag.name {
            Name::Pre | Name::Listing => {
                self.start_block(tag);
                self.drops_line_feed = true;
                self.allows_frameset = false;
            }
            Name::Plaintext => {
                self.start_block(tag);
                self.tokens.content = Content::Plaintext;
            }
            Name::Nobr => {
                self.reopen_formatting();
                if self.open.has_in_scope(Name::Nobr) {
                    self.end_formatting(tag);
                    self.reopen_formatting();
                }
                self.insert_formatting(tag);
            }
            Name::Applet | Name::Marquee | Name::Object => {
                self.reopen_formatting();
                self.insert_html(tag);
                self.formatting.push(Entry::MARKER);
                self.allows_frameset = false;
            }
            Name::Param | Name::Source | Name::Track => drop(self.insert_void(tag, Namespace::Html)),
            Name::Image => return self.in_body_start(self.tokens.as_img(tag)),
            Name::Textarea => {
                self.drops_line_feed = true;
                self.allows_frameset = false;
                return self.start_text(tag, Content::Rcdata);
            }
            Name::Xmp => {
                self.open.close_paragraph();
                self.reopen_formatting();
                self.allows_frameset = false;
                return self.start_text(tag, Content::Rawtext);
            }
            Name::Iframe => {
                self.allows_frameset = false;
                return self.start_text(tag, Content::Rawtext);
            }
            Name::Noembed => return self.start_text(tag, Content::Rawtext),
            Name::Math => self.start_foreign(tag, Namespace::MathMl),
            Name::Svg => self.start_foreign(tag, Namespace::Svg),
            Name::Rb | Name::Rtc => self.start_ruby(tag, Name::Other),
            Name::Rp | Name::Rt => self.start_ruby(tag, Name::Rtc),
            _ => {
                self.reopen_formatting();
                self.insert_html(tag);
            }
        }
        Flow::Done
    }

    fn start_ruby(&mut self, tag: Tag, kept: Name) {
        if self.open.has_in_scope(Name::Ruby) {
            self.open.imply_ends_but(kept);
        }
        self.insert_html(tag);
    }

    fn start_foreign(&mut self, tag: Tag, namespace: Namespace) {
        self.reopen_formatting();
        self.insert_or_void(tag, namespace);
    }

    /// Inserts a foreign element, which its own tag may close.
    pub(super) fn insert_or_void(&mut self, tag: Tag, namespace: Namespace) {
        if tag.self_closing {
            self.insert_void(tag, namespace);
        } else {
            self.insert_element(tag, namespace);
        }
    }
}
