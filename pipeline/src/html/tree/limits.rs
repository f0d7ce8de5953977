//! How large a page's tree may be: beyond this, parsing takes time that grows faster than the page.

use serde::{Deserialize, Serialize};

use crate::html::tree::sink::Sink;

/// Limits of one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A page whose elements nest deeper than this is rejected as `too_deep`. Browsers stop at 512.
    pub depth: u32,
    /// A page with more nodes than this is rejected as `too_many_nodes`.
    pub nodes: u32,
    /// A page with a tag of more attributes than this is rejected as `too_many_attributes`.
    pub attributes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 1024, nodes: 4_000_000, attributes: 4096 }
    }
}

/// Which limit a page breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// It nests too deep.
    Depth,
    /// It has too many nodes.
    Nodes,
    /// One of its tags has too many attributes.
    Attributes,
}

impl Limits {
    pub(super) fn check(&self, sink: &Sink) -> Result<(), TooMuch> {
        match () {
            () if sink.deepest() > self.depth => Err(TooMuch::Depth),
            () if sink.len() > self.nodes as usize => Err(TooMuch::Nodes),
            () => Ok(()),
        }
    }
}

/// How many attributes stand in what follows a tag's name, and the place behind its `>` if that is there. The states are
/// those of the tokenizer (WHATWG HTML, 13.2.5.32 to 13.2.5.40), so that both see the same tag.
pub(super) fn attributes(inside: &[u8]) -> (u32, Option<usize>) {
    enum At {
        Between,
        Name,
        AfterName,
        BeforeValue,
        Value,
        Quoted(u8),
    }
    let (mut at, mut count) = (At::Between, 0);
    for (index, byte) in inside.iter().copied().enumerate() {
        let space = byte.is_ascii_whitespace();
        at = match at {
            At::Quoted(quote) if byte == quote => At::Between,
            At::Quoted(quote) => At::Quoted(quote),
            _ if byte == b'>' => return (count, Some(index + 1)),
            At::BeforeValue if space => At::BeforeValue,
            At::BeforeValue if byte == b'"' || byte == b'\'' => At::Quoted(byte),
            At::BeforeValue | At::Value if !space => At::Value,
            At::Name | At::AfterName if byte == b'=' => At::BeforeValue,
            At::Name | At::AfterName if space => At::AfterName,
            At::Name if byte != b'/' => At::Name,
            _ if space || byte == b'/' => At::Between,
            _ => {
                count += 1;
                At::Name
            }
        };
    }
    (count, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted_outside_of_quotes() {
        assert_eq!(attributes(b"alt='a b > c' src=x/y title>d"), (3, Some(28)));
        assert_eq!(attributes(b"a = b c/d =\"e\"f"), (4, None));
        assert_eq!(attributes(b"src='data:image/svg+xml,<svg a b c d"), (1, None));
    }
}
