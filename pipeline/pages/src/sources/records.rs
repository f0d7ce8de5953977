//! What sources give: pages, places of images, and what could not be kept.

use std::ops::ControlFlow;

/// A page as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDocument {
    /// Where it stands in its source: unique there, and the same wherever the source lies.
    pub locator: String,
    /// Its absolute URL.
    pub url: String,
    /// The `Content-Type` that came with it.
    pub content_type: Option<String>,
    /// The `X-Robots-Tag` that came with it: who may not use it for what.
    pub robots: Option<String>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// An image that a source holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLocation {
    /// Its absolute URL, without a fragment.
    pub url: String,
    /// Where its bytes lie.
    pub location: Location,
}

/// Where an image's bytes lie, so that they are read when they are needed, and only then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// How they are wrapped there.
    pub container: Container,
    /// The file, as `Input` names it.
    pub path: String,
    /// The first byte of the container.
    pub offset: u64,
    /// The container's length in bytes.
    pub length: u64,
}

/// How an image's bytes are wrapped where they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// The range is the image: a whole file, or a member of a tar.
    Bytes,
    /// The range is a WARC record, perhaps compressed as gzip members or zstd frames of its own, with an HTTP response in it.
    WarcRecord,
    /// The block of a WARC record that shares its gzip member or zstd frame with others. Its bytes go with the location, for
    /// to read it again all that stands before it in the member would have to be unpacked again.
    Inline(Vec<u8>),
}

impl Container {
    /// The word in the table of locations.
    pub fn as_str(&self) -> &'static str {
        match self {
            Container::Bytes => "bytes",
            Container::WarcRecord => "warc_record",
            Container::Inline(_) => "inline",
        }
    }

    /// Reads the word back, with the bytes that go with it.
    pub fn from_word(word: &str, inline: Option<&[u8]>) -> Option<Self> {
        match word {
            "inline" => inline.map(|block| Container::Inline(block.to_vec())),
            _ => [Container::Bytes, Container::WarcRecord].into_iter().find(|container| container.as_str() == word),
        }
    }

    /// The bytes that go with the word.
    pub fn inline(&self) -> Option<&[u8]> {
        match self {
            Container::Inline(block) => Some(block),
            _ => None,
        }
    }
}

/// A piece of a source that could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Where it stands in its source.
    pub locator: String,
    /// Its URL, as far as known.
    pub url: Option<String>,
    /// Why, in a stable word.
    pub reason: &'static str,
    /// What was found.
    pub detail: String,
}

/// Takes everything that a source reads; each record goes to exactly one of these. `Break` means: read no further.
pub trait Records {
    /// A page.
    fn document(&mut self, document: RawDocument) -> ControlFlow<()>;
    /// An image, by its place.
    fn image(&mut self, image: ImageLocation) -> ControlFlow<()>;
    /// Something that could not be kept.
    fn reject(&mut self, reject: RejectedRecord) -> ControlFlow<()>;
    /// Something that is neither page nor image, by its kind: only counted.
    fn skip(&mut self, kind: &'static str);
}
