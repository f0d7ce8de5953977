//! Builds a page's tree from its tokens (WHATWG HTML, 13.2.6).

use crate::html::parse::departures::Rules;
use crate::html::parse::formatting::Entry;
use crate::html::parse::names::{HTML_POINT, Name, Namespace, TEXT_POINT};
use crate::html::parse::open::{Open, OpenElements};
use crate::html::parse::tags::is_space;
use crate::html::parse::tokenizer::{Content, Tag, Token, Tokenizer};
use crate::html::tree::arena::{Arena, Attribute, Kind, Node, Span};
use crate::html::tree::{Limits, NodeId, TooMuch};
use crate::html::work::Work;

/// Which rules the next token falls under: an "insertion mode". "In table text" is any table mode with text pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Initial,
    BeforeHtml,
    BeforeHead,
    InHead,
    InHeadNoscript,
    AfterHead,
    InBody,
    Text,
    InTable,
    InCaption,
    InColumnGroup,
    InTableBody,
    InRow,
    InCell,
    InTemplate,
    AfterBody,
    InFrameset,
    AfterFrameset,
    AfterAfterBody,
    AfterAfterFrameset,
}

/// Whether a token has been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    Done,
    /// It falls under the rules of the mode that the builder is in now.
    Again,
}

/// A tree in the making.
pub struct Builder<'p> {
    pub(super) rules: Rules,
    pub(super) tokens: Tokenizer<'p>,
    pub(super) arena: Arena,
    pub(super) open: OpenElements,
    pub(super) formatting: Vec<Entry>,
    pub(super) mode: Mode,
    /// The mode to go back to behind an element of mere text.
    pub(super) mode_behind_text: Mode,
    pub(super) template_modes: Vec<Mode>,
    pub(super) head: Option<NodeId>,
    pub(super) form: Option<NodeId>,
    pub(super) allows_frameset: bool,
    pub(super) fosters: bool,
    pub(super) is_quirky: bool,
    /// Whether a line feed is dropped if it comes next.
    pub(super) drops_line_feed: bool,
    /// Text in a table, of which it isn't known yet where it goes.
    pub(super) table_text: Vec<Span>,
    pub(super) texts: Texts,
    /// Attributes of `<html>` and `<body>` tags that came later.
    pub(super) added: Vec<(NodeId, Attribute)>,
}

/// Pieces of texts that don't stand together in the page.
#[derive(Default)]
pub struct Texts {
    /// Each with the place of the next one.
    pub pieces: Vec<(Span, u32)>,
    /// The texts that have such.
    pub nodes: Vec<NodeId>,
}

impl<'p> Builder<'p> {
    pub fn new(page: &'p str, limits: &Limits, rules: Rules) -> Self {
        let mut arena = Arena::default();
        arena.nodes.reserve(page.len() / 24);
        arena.create(Node::new(Kind::Root, Span::default()));
        Self {
            rules,
            tokens: Tokenizer::new(page, limits.attributes as usize),
            arena,
            open: OpenElements::new(Work::of_page(page.len(), limits)),
            formatting: Vec::new(),
            mode: Mode::Initial,
            mode_behind_text: Mode::InBody,
            template_modes: Vec::new(),
            head: None,
            form: None,
            allows_frameset: true,
            fosters: false,
            is_quirky: false,
            drops_line_feed: false,
            table_text: Vec::new(),
            texts: Texts::default(),
            added: Vec::new(),
        }
    }

    /// Reads the whole page; what comes back is its nodes, the text that doesn't stand in it, and what it may take yet.
    pub fn build(mut self, limits: &Limits) -> Result<(Arena, String, Work), TooMuch> {
        loop {
            self.tokens.allows_cdata = self.open.is_foreign();
            let token = self.tokens.next();
            let drops_line_feed = std::mem::take(&mut self.drops_line_feed);
            match token {
                Token::Text(text) => self.text(if drops_line_feed { self.without_line_feed(text) } else { text }),
                Token::Null => self.null(),
                Token::Start(tag) => self.start_tag(tag),
                Token::End(tag) => self.end_tag(tag),
                Token::Comment(text) => self.comment(text),
                Token::Doctype => self.doctype(),
                Token::Eof => break,
            }
            self.open.work.spend(1);
            if self.arena.deepest > limits.depth || self.open.as_slice().len() > limits.depth as usize {
                return Err(TooMuch::Depth);
            }
            if self.arena.nodes.len() > limits.nodes as usize {
                return Err(TooMuch::Nodes);
            }
            if self.open.work.is_spent() {
                return Err(TooMuch::Work);
            }
        }
        if self.tokens.has_too_many_attributes {
            return Err(TooMuch::Attributes);
        }
        self.eof();
        self.finish();
        Ok((self.arena, self.tokens.side, self.open.work))
    }

    fn without_line_feed(&self, text: Span) -> Span {
        let begins = self.tokens.text(text).starts_with('\n');
        if begins { Span { start: text.start + 1, length: text.length - 1 } } else { text }
    }

    fn start_tag(&mut self, tag: Tag) {
        self.place_table_text();
        while self.start_tag_once(tag) == Flow::Again {}
    }

    fn start_tag_once(&mut self, tag: Tag) -> Flow {
        if self.open.is_foreign() && !self.is_html_here(tag.name) {
            return self.foreign_start(tag);
        }
        self.start_by_mode(tag)
    }

    /// Whether a start tag that stands right in a foreign element falls under the rules of HTML.
    fn is_html_here(&self, name: Name) -> bool {
        let current = self.open.current();
        let is_mathml = current.namespace == Namespace::MathMl;
        current.flags & HTML_POINT != 0
            || (current.flags & TEXT_POINT != 0 && !matches!(name, Name::Mglyph | Name::Malignmark))
            || (is_mathml && current.name == Name::AnnotationXml && name == Name::Svg)
    }

    pub(super) fn start_by_mode(&mut self, tag: Tag) -> Flow {
        match self.mode {
            Mode::InBody => self.in_body_start(tag),
            Mode::Initial => self.leave(),
            Mode::BeforeHtml => self.before_html_start(tag),
            Mode::BeforeHead => self.before_head_start(tag),
            Mode::InHead => self.in_head_start(tag),
            Mode::InHeadNoscript => self.in_head_noscript_start(tag),
            Mode::AfterHead => self.after_head_start(tag),
            Mode::InTable => self.in_table_start(tag),
            Mode::InCaption => self.in_caption_start(tag),
            Mode::InColumnGroup => self.in_column_group_start(tag),
            Mode::InTableBody => self.in_table_body_start(tag),
            Mode::InRow => self.in_row_start(tag),
            Mode::InCell => self.in_cell_start(tag),
            Mode::InTemplate => self.in_template_start(tag),
            Mode::AfterBody | Mode::AfterAfterBody => self.after_body_start(tag),
            Mode::InFrameset | Mode::AfterFrameset | Mode::AfterAfterFrameset => self.frames_start(tag),
            // There are no start tags in an element of mere text.
            Mode::Text => Flow::Done,
        }
    }

    fn end_tag(&mut self, tag: Tag) {
        self.place_table_text();
        while self.end_tag_once(tag) == Flow::Again {}
    }

    fn end_tag_once(&mut self, tag: Tag) -> Flow {
        if self.open.is_foreign() { self.foreign_end(tag) } else { self.end_by_mode(tag) }
    }

    pub(super) fn end_by_mode(&mut self, tag: Tag) -> Flow {
        match self.mode {
            Mode::InBody => self.in_body_end(tag),
            Mode::Text => {
                self.open.pop();
                self.mode = self.mode_behind_text;
                Flow::Done
            }
            Mode::Initial => self.leave(),
            Mode::BeforeHtml | Mode::BeforeHead => self.before_head_end(tag),
            Mode::InHead => self.in_head_end(tag),
            Mode::InHeadNoscript => self.in_head_noscript_end(tag),
            Mode::AfterHead => self.after_head_end(tag),
            Mode::InTable => self.in_table_end(tag),
            Mode::InCaption => self.in_caption_end(tag),
            Mode::InColumnGroup => self.in_column_group_end(tag),
            Mode::InTableBody => self.in_table_body_end(tag),
            Mode::InRow => self.in_row_end(tag),
            Mode::InCell => self.in_cell_end(tag),
            Mode::InTemplate => self.in_template_end(tag),
            Mode::AfterBody | Mode::AfterAfterBody => self.after_body_end(tag),
            Mode::InFrameset | Mode::AfterFrameset | Mode::AfterAfterFrameset => self.frames_end(tag),
        }
    }

    fn doctype(&mut self) {
        if self.doctype_parts_table_text() {
            self.place_table_text();
        }
        if self.mode == Mode::Initial {
            self.is_quirky = self.tokens.doctype.is_quirky();
            self.mode = Mode::BeforeHtml;
        }
    }

    fn comment(&mut self, text: Span) {
        self.place_table_text();
        let node = Node::new(Kind::Other, text);
        match self.mode {
            _ if self.open.is_foreign() => drop(self.insert(node)),
            Mode::Initial | Mode::BeforeHtml | Mode::AfterAfterBody | Mode::AfterAfterFrameset => {
                self.arena.push_child(crate::html::tree::Tree::DOCUMENT, node);
            }
            Mode::AfterBody => {
                self.arena.push_child(self.open.html().id, node);
            }
            _ => drop(self.insert(node)),
        }
    }

    /// Whether text that stands here falls under the rules of foreign elements.
    fn is_text_foreign(&self) -> bool {
        self.open.is_foreign() && self.open.current().flags & (TEXT_POINT | HTML_POINT) == 0
    }

    fn text(&mut self, text: Span) {
        let mut rest = text;
        while !rest.is_empty() {
            if self.is_text_foreign() {
                self.refuse_frameset_for(rest);
                return self.append_text(rest);
            }
            match self.mode {
                Mode::InBody | Mode::InCell | Mode::InCaption | Mode::InTemplate => return self.in_body_text(rest),
                Mode::Text => return self.append_text(rest),
                Mode::InTable | Mode::InTableBody | Mode::InRow => return self.in_table_text(rest),
                _ => rest = self.text_outside_of_body(rest),
            }
        }
    }

    /// Deals with what whitespace, or else what other text, comes first; the answer is what is left.
    fn text_outside_of_body(&mut self, text: Span) -> Span {
        let bytes = self.tokens.text(text).as_bytes();
        let is_blank = bytes.first().is_some_and(|byte| is_space(*byte));
        let length = bytes.iter().take_while(|byte| is_space(**byte) == is_blank).count() as u32;
        let run = Span { start: text.start, length };
        let rest = Span { start: text.start + length, length: text.length - length };
        match (self.mode, is_blank) {
            (Mode::Initial | Mode::BeforeHtml | Mode::BeforeHead, true) => {}
            (Mode::AfterBody | Mode::AfterAfterBody | Mode::AfterAfterFrameset, true) => self.in_body_text(run),
            (_, true) => self.append_text(run),
            (_, false) => {
                if self.leave() == Flow::Again {
                    return text;
                }
            }
        }
        rest
    }

    fn null(&mut self) {
        if self.is_text_foreign() {
            let start = self.tokens.page.len() + self.tokens.side.len();
            self.tokens.side.push(char::REPLACEMENT_CHARACTER);
            return self.append_text(Span::between(start, start + char::REPLACEMENT_CHARACTER.len_utf8()));
        }
        // It counts as text where text is out of place, and is nothing where it isn't.
        while !self.is_text_foreign() && self.leave() == Flow::Again {}
    }

    /// Leaves a mode for what doesn't belong there, if that moves on rather than dropping it.
    pub(super) fn leave(&mut self) -> Flow {
        match self.mode {
            Mode::Initial => {
                self.is_quirky = true;
                self.mode = Mode::BeforeHtml;
            }
            Mode::BeforeHtml => {
                self.insert_named(Name::Html);
                self.mode = Mode::BeforeHead;
            }
            Mode::BeforeHead => {
                self.head = Some(self.insert_named(Name::Head));
                self.mode = Mode::InHead;
            }
            Mode::InHead => {
                self.open.pop();
                self.mode = Mode::AfterHead;
            }
            Mode::InHeadNoscript => {
                self.open.pop();
                self.mode = Mode::InHead;
            }
            Mode::AfterHead => {
                self.insert_named(Name::Body);
                self.mode = Mode::InBody;
            }
            Mode::InColumnGroup if self.open.current().is(Name::Colgroup) => {
                self.open.pop();
                self.mode = Mode::InTable;
            }
            Mode::AfterBody | Mode::AfterAfterBody => self.mode = Mode::InBody,
            _ => return Flow::Done,
        }
        Flow::Again
    }

    /// Reads the content of an element that holds mere text.
    pub(super) fn start_text(&mut self, tag: Tag, content: Content) -> Flow {
        self.insert_html(tag);
        self.tokens.content = content;
        self.mode_behind_text = self.mode;
        self.mode = Mode::Text;
        Flow::Done
    }

    fn eof(&mut self) {
        self.place_table_text();
        loop {
            match self.mode {
                Mode::Text => {
                    self.open.pop();
                    self.mode = self.mode_behind_text;
                }
                Mode::AfterBody | Mode::AfterAfterBody => return,
                Mode::InFrameset | Mode::AfterFrameset | Mode::AfterAfterFrameset => return,
                _ if self.leaves_before_body() => {
                    let _ = self.leave();
                }
                _ if self.open.has_template() => self.close_template(),
                _ => return,
            }
        }
    }

    fn leaves_before_body(&self) -> bool {
        let before = [Mode::Initial, Mode::BeforeHtml, Mode::BeforeHead, Mode::InHead, Mode::InHeadNoscript];
        before.contains(&self.mode) || self.mode == Mode::AfterHead
    }

    pub(super) fn current(&self) -> Open {
        self.open.current()
    }
}
