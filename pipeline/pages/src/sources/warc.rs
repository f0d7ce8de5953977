//! Web archives: HTML responses are pages, image responses are images, matched by their URLs.

mod archive;
mod dictionary;
mod digest;
mod head;
mod members;
mod outcome;
pub(super) mod record_at;
pub(super) mod sniff;
mod starts;
mod stream;
mod unpacked;
mod window;

use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sources::paths::settings_with_paths;
use crate::sources::range_reader::size;
use crate::sources::{Input, Paths, Piece, Records, Source, SourceError, SourceSettings, Split};

settings_with_paths! {
    /// WARC 0.17 to 1.1, plain, gzip or zstd, with one member or frame for a record or for many: `.warc`, `.warc.gz` and
    /// `.warc.zst` files.
    pub struct Settings {
        /// A page with more bytes than this is rejected as `page_too_large`.
        #[serde(default = "max_page_bytes")]
        pub max_page_bytes: u64,
        /// An image that shares its gzip member or zstd frame with other records is copied beside the table of images' places,
        /// and one with more bytes than this is rejected as `image_too_large`. Other images are read where they lie.
        #[serde(default = "max_page_bytes")]
        pub max_shared_image_bytes: u64,
        /// Whether the plain text in `conversion` records, as WET files hold it, makes documents.
        #[serde(default)]
        pub conversions: Conversions,
        /// Whether a page or image is rejected as `warc_digest_mismatch` if its bytes are not those of its record's
        /// `WARC-Block-Digest` and `WARC-Payload-Digest` (SHA-1 or SHA-2). Compressed archives have checksums that are always
        /// verified, so this is for plain ones, and for those that were packed again.
        #[serde(default)]
        pub verify_digests: bool,
    }
}

/// What becomes of `conversion` records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conversions {
    /// They are passed over and counted: where an archive holds the pages themselves, their text is there twice.
    #[default]
    Skip,
    /// Each that holds plain text is a document of the type `text/plain; charset=utf-8`.
    Documents,
}

fn max_page_bytes() -> u64 {
    32 << 20
}

impl SourceSettings for Settings {
    fn example() -> Self {
        Self {
            files: Paths::at("crawl"),
            max_page_bytes: max_page_bytes(),
            max_shared_image_bytes: max_page_bytes(),
            conversions: Conversions::Skip,
            verify_digests: false,
        }
    }

    fn check(&self) -> Vec<String> {
        let nothing = self.max_page_bytes == 0;
        nothing.then(|| "`max_page_bytes` is 0, so every page would be rejected".to_owned()).into_iter().collect()
    }
}

impl Source for Settings {
    fn splits(&self, input: &dyn Input, unit_bytes: u64) -> Result<Vec<Split>, SourceError> {
        let mut splits = Vec::new();
        for file in self.files.list_ending(input, &[".warc", ".warc.gz", ".warc.zst"])? {
            for offset in (0..file.size.max(1)).step_by(unit_bytes.clamp(1, usize::MAX as u64) as usize) {
                let length = unit_bytes.max(1).min(file.size - offset);
                splits.push(Split { pieces: vec![Piece { path: file.path.clone(), offset, length }] });
            }
        }
        Ok(splits)
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        read_split(self, split, input, archive::How::default(), records)
    }
}

fn read_split(
    settings: &Settings,
    split: &Split,
    input: &dyn Input,
    how: archive::How,
    records: &mut dyn Records,
) -> Result<(), SourceError> {
    for piece in &split.pieces {
        let size = size(input, &piece.path)?;
        let locator = settings.files.locator(&piece.path);
        let mut archive = archive::Archive::open(input, &piece.path, &locator, size, settings, how);
        let go_on = archive.read(piece.offset..piece.offset + piece.length, records);
        if let Some(failure) = archive.failure() {
            return Err(failure.into());
        }
        if go_on.is_break() {
            break;
        }
    }
    Ok(())
}

type GoOn = ControlFlow<()>;

#[cfg(test)]
mod tests;
