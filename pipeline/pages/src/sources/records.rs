//! What sources give: pages, places of images, and what could not be kept.

use std::borrow::Cow;
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
    /// The first byte of the container; in a Parquet file, the row.
    pub offset: u64,
    /// The container's length in bytes; in a Parquet file, what it is for the average value beside it.
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
    /// The range is base64.
    Base64,
    /// A value in a row of a Parquet file.
    ParquetRow {
        /// The column's place among all columns of values.
        column: u32,
        /// The value's place, if the row holds a list of them.
        element: u32,
    },
}

impl Container {
    /// The word in the table of locations.
    pub fn word(&self) -> Cow<'static, str> {
        match self {
            Container::Bytes => "bytes".into(),
            Container::WarcRecord => "warc_record".into(),
            Container::Inline(_) => "inline".into(),
            Container::Base64 => "base64".into(),
            Container::ParquetRow { column, element } => format!("parquet_row:{column}:{element}").into(),
        }
    }

    /// Reads the word back, with the bytes that go with it.
    pub fn from_word(word: &str, inline: Option<&[u8]>) -> Option<Self> {
        match word {
            "bytes" => Some(Container::Bytes),
            "warc_record" => Some(Container::WarcRecord),
            "base64" => Some(Container::Base64),
            "inline" => inline.map(|block| Container::Inline(block.to_vec())),
            _ => {
                let (column, element) = word.strip_prefix("parquet_row:")?.split_once(':')?;
                Some(Container::ParquetRow { column: column.parse().ok()?, element: element.parse().ok()? })
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_is_read_back_from_its_word() {
        let cell = Container::ParquetRow { column: 7, element: 2 };
        let shared = Container::Inline(b"block".to_vec());
        for container in [Container::Bytes, Container::WarcRecord, Container::Base64, cell, shared] {
            assert_eq!(Container::from_word(&container.word(), container.inline()), Some(container));
        }
        assert_eq!(Container::from_word("parquet_row:7", None), None);
    }
}
