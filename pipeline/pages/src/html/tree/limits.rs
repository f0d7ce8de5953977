//! How large a page's tree may be: beyond this, parsing takes time that grows faster than the page.

use serde::{Deserialize, Serialize};

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
    /// It has more bytes than places in it can be told.
    Bytes,
}
