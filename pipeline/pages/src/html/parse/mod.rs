//! A WHATWG HTML parser: a page becomes a tree in one pass, without copies of its text.

pub mod names;

mod behind;
mod builder;
pub(super) mod departures;
mod doctype;
mod entities;
mod foreign;
mod formatting;
mod head;
mod in_body;
mod in_body_end;
mod insert;
mod markup;
mod open;
mod raw_text;
mod tables;
mod tags;
mod tokenizer;

use std::borrow::Cow;

use crate::html::parse::departures::Rules;
use crate::html::tree::{Limits, TooMuch, Tree};

/// The longest page of which all that is made of it can be told by 32 bits.
const MOST_BYTES: usize = u32::MAX as usize / 8;

/// Parses a page without scripting, so that what stands in `<noscript>` is part of the tree.
pub fn parse<'a>(html: &'a str, limits: &Limits) -> Result<Tree<'a>, TooMuch> {
    parse_by(Rules::Standard, html, limits)
}

pub(super) fn parse_by<'a>(rules: Rules, html: &'a str, limits: &Limits) -> Result<Tree<'a>, TooMuch> {
    if html.len() > MOST_BYTES {
        return Err(TooMuch::Bytes);
    }
    let html = html.strip_prefix('\u{feff}').unwrap_or(html);
    let page = with_line_feeds(html);
    let (arena, side, work) = builder::Builder::new(&page, limits, rules).build(limits)?;
    Ok(Tree { page, side, arena, work })
}

/// The page with line feeds for all ends of lines.
fn with_line_feeds(html: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\r', html.as_bytes()).is_none() {
        return Cow::Borrowed(html);
    }
    let mut page = String::with_capacity(html.len());
    let mut lines = html.split('\r');
    page.push_str(lines.next().unwrap_or_default());
    for line in lines {
        page.push('\n');
        page.push_str(line.strip_prefix('\n').unwrap_or(line));
    }
    Cow::Owned(page)
}

#[cfg(test)]
mod tests;
