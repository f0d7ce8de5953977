//! The same tree, made by html5ever: what our parser is held against.

mod feed;
mod long_tags;
mod sink;

use html5ever::ParseOpts;
use html5ever::tokenizer::TokenizerOpts;
use html5ever::tree_builder::TreeBuilderOpts;

use crate::html::tree::{Limits, TooMuch, Tree};

/// Parses a page as [`super::parse`] does, several times slower.
pub fn parse(html: &str, limits: &Limits) -> Result<Tree<'static>, TooMuch> {
    feed::Feed::new(html.strip_prefix('\u{feff}').unwrap_or(html)).parse(limits)
}

fn options() -> ParseOpts {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    // It would drop a byte order mark at the beginning of every piece that it is fed.
    let tokenizer = TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() };
    ParseOpts { tree_builder, tokenizer }
}
