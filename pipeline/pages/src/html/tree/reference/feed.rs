//! Feeds a page to html5ever piece by piece, and stops where it would take longer than the page is long.

use std::cell::Cell;

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Token, TokenSink, TokenSinkResult, Tokenizer};
use html5ever::tree_builder::{TreeBuilder, TreeSink};
use html5ever::{ParseOpts, TokenizerResult};

use crate::html::tree::reference::long_tags::attributes;
use crate::html::tree::reference::options;
use crate::html::tree::reference::sink::{Handle, Sink};
use crate::html::tree::{Limits, TooMuch, Tree};

/// Bytes that are parsed between two looks at the limits.
const STRIDE: usize = 16 << 10;

/// The attributes of shorter tags are too few to be slow.
const LONG_TAG: usize = 512;

/// A page on its way into a tree.
pub struct Feed<'a> {
    html: &'a str,
    /// What html5ever has had.
    fed: usize,
    tokenizer: Tokenizer<CountedTokens>,
    input: BufferQueue,
}

/// Passes tokens to the tree builder and counts them: what is inside of an unfinished tag or comment yields none.
struct CountedTokens {
    builder: TreeBuilder<Handle, Sink>,
    count: Cell<u64>,
}

impl TokenSink for CountedTokens {
    type Handle = Handle;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<Handle> {
        if !matches!(token, Token::ParseError(_)) {
            self.count.set(self.count.get() + 1);
        }
        self.builder.process_token(token, line)
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

impl<'a> Feed<'a> {
    /// A page of which nothing is parsed yet.
    pub fn new(html: &'a str) -> Self {
        let ParseOpts { tokenizer, tree_builder } = options();
        let builder = TreeBuilder::new(Sink::new(), tree_builder);
        let tokenizer = Tokenizer::new(CountedTokens { builder, count: Cell::new(0) }, tokenizer);
        Self { html, fed: 0, tokenizer, input: BufferQueue::default() }
    }

    /// Parses the whole page.
    pub fn parse(mut self, limits: &Limits) -> Result<Tree<'static>, TooMuch> {
        let mut at = 0;
        while let Some(found) = self.html.get(at..).and_then(|rest| rest.find('<')) {
            let start = at + found;
            at = match self.html.as_bytes()[start + 1..] {
                [b'!' | b'?', ..] => self.finish_declaration(start, limits)?,
                [b'/', next, ..] if !next.is_ascii_alphabetic() => self.finish_declaration(start, limits)?,
                _ => self.pass_tag(start, limits)?,
            };
        }
        self.feed_to(self.html.len(), limits)?;
        self.tokenizer.end();
        Ok(self.tokenizer.sink.builder.sink.finish())
    }

    /// Feeds a comment, or what else ends at some `>`, so that no tag is looked for inside of it.
    fn finish_declaration(&mut self, start: usize, limits: &Limits) -> Result<usize, TooMuch> {
        self.feed_to(start, limits)?;
        let before = self.tokenizer.sink.count.get();
        self.feed_to(start + 2, limits)?;
        while self.tokenizer.sink.count.get() == before && self.fed < self.html.len() {
            let end = self.html[self.fed..].find('>').map_or(self.html.len(), |end| self.fed + end + 1);
            self.feed_to(end, limits)?;
        }
        Ok(self.fed)
    }

    /// Where to look on after what may be a tag. A long one is refused if it has too many attributes, for html5ever
    /// compares each with all before it.
    fn pass_tag(&mut self, start: usize, limits: &Limits) -> Result<usize, TooMuch> {
        let bytes = self.html.as_bytes();
        let Some(name_end) = name_end(bytes, start) else { return Ok(start + 1) };
        let inside = bytes.len().min(name_end + 1);
        if name_end - start < LONG_TAG && is_short(&bytes[name_end..bytes.len().min(name_end + LONG_TAG)]) {
            if start - self.fed >= STRIDE {
                self.feed_to(start, limits)?;
            }
            return Ok(start + 1);
        }
        self.feed_to(start, limits)?;
        let before = self.tokenizer.sink.count.get();
        self.feed_to(inside, limits)?;
        if self.tokenizer.sink.count.get() != before {
            // It was text, of a script say, or has ended.
            return Ok(inside);
        }
        let (count, length) = attributes(&bytes[inside..]);
        if count > limits.attributes {
            return Err(TooMuch::Attributes);
        }
        self.feed_to(length.map_or(bytes.len(), |length| inside + length), limits)?;
        Ok(self.fed)
    }

    fn feed_to(&mut self, end: usize, limits: &Limits) -> Result<(), TooMuch> {
        while self.fed < end {
            let stride = self.html.floor_char_boundary(end.min(self.fed + STRIDE));
            self.input.push_back(StrTendril::from_slice(&self.html[self.fed..stride]));
            self.fed = stride;
            while !matches!(self.tokenizer.feed(&self.input), TokenizerResult::Done) {}
            check(&self.tokenizer.sink.builder.sink, limits)?;
        }
        Ok(())
    }
}

fn check(sink: &Sink, limits: &Limits) -> Result<(), TooMuch> {
    match () {
        () if sink.deepest() > limits.depth => Err(TooMuch::Depth),
        () if sink.len() > limits.nodes as usize => Err(TooMuch::Nodes),
        () => Ok(()),
    }
}

/// Where a tag's name ends; `None` if no tag begins here.
fn name_end(bytes: &[u8], start: usize) -> Option<usize> {
    let name = start + 1 + usize::from(bytes.get(start + 1) == Some(&b'/'));
    if !bytes.get(name)?.is_ascii_alphabetic() {
        return None;
    }
    let length = bytes[name..].iter().position(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte));
    Some(length.map_or(bytes.len(), |length| name + length))
}

/// Whether a tag ends within these bytes, which begin where its name ends.
fn is_short(after_name: &[u8]) -> bool {
    match after_name {
        [] => false,
        [b'>', ..] => true,
        [_, inside @ ..] => attributes(inside).1.is_some(),
    }
}
