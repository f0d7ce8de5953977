//! Reads an image's bytes from its place.

use crate::sources::http::{BodyError, Head, body};
use crate::sources::jsonl::base64;
use crate::sources::parquet_file::cell;
use crate::sources::warc::record_at;
use crate::sources::{Container, Input, InputError, Location};

/// An image can't be read from its place.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Its storage failed.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It has more bytes than the limit.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// What stands there can't be unwrapped.
    #[error("{0}")]
    Broken(String),
}

impl FetchError {
    /// A stable word for counting.
    pub fn reason(&self) -> &'static str {
        match self {
            FetchError::Input(_) => "image_unreadable",
            FetchError::TooLarge { .. } => "image_too_large",
            FetchError::Broken(_) => "image_record_broken",
        }
    }
}

/// The image's bytes, of at most `max_bytes`.
pub fn fetch(location: &Location, input: &dyn Input, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
    let too_large = || FetchError::TooLarge { limit: max_bytes };
    if location.length == 0 {
        return Ok(Vec::new());
    }
    // Heads are small beside images; a record far beyond the limit is not read at all.
    let record_limit = max_bytes.saturating_add(HEADS);
    match location.container {
        Container::Bytes if location.length > max_bytes => Err(too_large()),
        Container::Bytes => Ok(input.read_range(&location.path, location.offset, location.length)?),
        Container::WarcRecord if location.length > record_limit => Err(too_large()),
        Container::Base64 => base64(location, input, max_bytes),
        Container::ParquetRow { column, element } => cell(location, column, element, input, max_bytes),
        Container::WarcRecord => {
            let bytes = input.read_range(&location.path, location.offset, location.length)?;
            let block = record_at(&bytes, record_limit).map_err(FetchError::Broken)?.ok_or_else(too_large)?;
            match Head::parse(&block) {
                Some(head) => body(&head, &block, max_bytes).map_err(|error| of_body(error, max_bytes)),
                None if block.len() as u64 > max_bytes => Err(too_large()),
                None => Ok(block),
            }
        }
    }
}

/// Bytes of a record that are not its image.
const HEADS: u64 = 128 << 10;

fn of_body(error: BodyError, limit: u64) -> FetchError {
    match error {
        BodyError::TooLarge => FetchError::TooLarge { limit },
        BodyError::UnknownEncoding(name) => FetchError::Broken(format!("its content encoding is {name}")),
        BodyError::Broken(cause) => FetchError::Broken(cause),
    }
}
