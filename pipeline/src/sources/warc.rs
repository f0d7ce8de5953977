//! Web archives: HTML responses are pages, image responses are images, matched by their URLs.

mod counted;
mod members;
mod outcome;
mod sniff;
mod stream;

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::sources::input::Watched;
use crate::sources::paths::settings_with_paths;
use crate::sources::{Input, Paths, Piece, Records, Source, SourceError, SourceSettings, Split};

settings_with_paths! {
    /// WARC 0.17 to 1.1, plain or with one gzip member per record: `.warc` and `.warc.gz` files.
    pub struct Settings {
        /// A page with more bytes than this is rejected as `page_too_large`.
        #[serde(default = "max_page_bytes")]
        pub max_page_bytes: u64,
    }
}

fn max_page_bytes() -> u64 {
    32 << 20
}

impl SourceSettings for Settings {
    fn example() -> Self {
        Self { files: Paths::at("crawl"), max_page_bytes: max_page_bytes() }
    }

    fn check(&self) -> Vec<String> {
        let nothing = self.max_page_bytes == 0;
        nothing.then(|| "`max_page_bytes` is 0, so every page would be rejected".to_owned()).into_iter().collect()
    }

    fn files(&self) -> &Paths {
        &self.files
    }

    fn build(&self) -> Arc<dyn Source> {
        Arc::new(self.clone())
    }
}

impl Source for Settings {
    fn splits(&self, input: &dyn Input, _: u64) -> Result<Vec<Split>, SourceError> {
        let archives = self.files.list_ending(input, &[".warc", ".warc.gz"])?;
        let split = |path, length| Split { pieces: vec![Piece { path, offset: 0, length }] };
        Ok(archives.into_iter().map(|file| split(file.path, file.size)).collect())
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        for piece in &split.pieces {
            let mut file = Watched::new(input.open(&piece.path)?);
            let locator = self.files.locator(&piece.path);
            let archive = members::Archive { path: &piece.path, locator: &locator, settings: self };
            let go_on = archive.read(&mut file, records);
            file.check(&piece.path)?;
            if go_on.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The block of the one record in these bytes, a gzip member or plain; `None` if it is longer than `limit`.
pub fn record_at(bytes: &[u8], limit: u64) -> Result<Option<Vec<u8>>, String> {
    let plain: Box<dyn Read + '_> = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => Box::new(flate2::read::GzDecoder::new(bytes)),
        false => Box::new(bytes),
    };
    let mut records = stream::RecordStream::new(plain);
    match records.next().map_err(|error| error.to_string())? {
        Some(stream::Found::Record(head)) => {
            let length = head.content_length().ok_or("its record has no Content-Length")?;
            if length > limit {
                return Ok(None);
            }
            let block = records.block(length).map_err(|error| error.to_string())?;
            if (block.len() as u64) < length { Err("its record is cut short".to_owned()) } else { Ok(Some(block)) }
        }
        _ => Err("there is no record at its place".to_owned()),
    }
}

type GoOn = ControlFlow<()>;

#[cfg(test)]
mod tests;
