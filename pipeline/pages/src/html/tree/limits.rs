//! How large a page's tree may be, and how much work it may make.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of one page. They count what is there and what is done, never time: a clock would refuse other pages in every
/// run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A page whose elements nest deeper than this is rejected as `too_deep`. Browsers stop at 512.
    pub depth: u32,
    /// A page with more nodes than this is rejected as `too_many_nodes`.
    pub nodes: u32,
    /// A page with a tag of more attributes than this is rejected as `too_many_attributes`.
    pub attributes: u32,
    /// A page that takes more steps than this for each of its bytes, beyond some that are free, is rejected as
    /// `too_much_work`: its tags are such that reading them takes time that grows faster than the page. Most pages take
    /// less than one.
    pub work_per_byte: u32,
    /// A page that takes more steps than this, however large it is, is rejected as `too_much_work`. A step takes a
    /// few nanoseconds at most.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 1024, nodes: 4_000_000, attributes: 4096, work_per_byte: 32, work: 2_000_000_000 }
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
    /// It makes too much work.
    Work,
}
