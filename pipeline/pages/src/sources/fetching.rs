//! Reads an image's bytes from its place.

use crate::sources::http::{BodyError, Head, body};
use crate::sources::jsonl::base64;
use crate::sources::parquet_file::cell;
use crate::sources::warc::record_at::{dictionary_of, record_at};
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
    /// A stable word for counting; none where the storage failed, which is no fault of the image's.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            FetchError::Input(_) => None,
            FetchError::TooLarge { .. } => Some("image_too_large"),
            FetchError::Broken(_) => Some("image_record_broken"),
        }
    }
}

/// An image as it was fetched.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The `X-Robots-Tag`s of its response: who may not use it for what.
    pub robots: Vec<String>,
}

/// The image's bytes, of at most `max_bytes`.
pub fn fetch(location: &Location, input: &dyn Input, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
    fetch_response(location, input, max_bytes).map(|fetched| fetched.bytes)
}

/// The image's bytes, of at most `max_bytes`, and what its response says about them.
pub fn fetch_response(location: &Location, input: &dyn Input, max_bytes: u64) -> Result<Fetched, FetchError> {
    let too_large = || FetchError::TooLarge { limit: max_bytes };
    if location.length == 0 {
        return Ok(Fetched::default());
    }
    // Heads are small beside images; a record far beyond the limit is not read at all.
    let record_limit = max_bytes.saturating_add(HEADS);
    match &location.container {
        Container::Bytes if location.length > max_bytes => Err(too_large()),
        Container::Bytes => Ok(bare(input.read_range(&location.path, location.offset, location.length)?)),
        Container::WarcRecord if location.length > record_limit => Err(too_large()),
        Container::Base64 => Ok(bare(base64(location, input, max_bytes)?)),
        Container::ParquetRow { column, element } => Ok(bare(cell(location, *column, *element, input, max_bytes)?)),
        Container::WarcRecord => {
            let bytes = input.read_range(&location.path, location.offset, location.length)?;
            let mut failed = None;
            let dictionary = || {
                dictionary_of(input, &location.path).map_err(|error| {
                    let words = error.to_string();
                    failed = Some(error);
                    words
                })
            };
            let block = record_at(&bytes, record_limit, dictionary).map_err(FetchError::Broken);
            match failed {
                Some(error) => Err(error),
                None => payload(&block?.ok_or_else(too_large)?, max_bytes),
            }
        }
        Container::Inline(block) => payload(block, max_bytes),
    }
}

/// What a record's block holds: the body of an HTTP response, or itself.
fn payload(block: &[u8], max_bytes: u64) -> Result<Fetched, FetchError> {
    match Head::parse(block) {
        Some(head) => {
            let bytes = body(&head, block, max_bytes).map_err(|error| of_body(error, max_bytes))?;
            Ok(Fetched { bytes, robots: head.each("x-robots-tag").into_iter().map(str::to_owned).collect() })
        }
        None if block.len() as u64 > max_bytes => Err(FetchError::TooLarge { limit: max_bytes }),
        None => Ok(bare(block.to_vec())),
    }
}

/// Bytes that came without an HTTP response.
fn bare(bytes: Vec<u8>) -> Fetched {
    Fetched { bytes, robots: Vec::new() }
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
