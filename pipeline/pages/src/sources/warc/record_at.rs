//! Reads one record again, from the range of its file that holds it alone.

use std::io::Read;

use crate::sources::range_reader::size;
use crate::sources::warc::dictionary::dictionary;
use crate::sources::warc::head::{MAX_HEAD, Parsed, parse};
use crate::sources::warc::starts::{Form, form, padding};
use crate::sources::warc::window::Window;
use crate::sources::{FetchError, Input};

/// The block of the record in these bytes, plain or packed; `None` if it is longer than `limit`. `dictionary` gives that of
/// the file, and is asked for zstd only.
pub fn record_at(
    bytes: &[u8],
    limit: u64,
    dictionary: impl FnOnce() -> Result<Option<Vec<u8>>, String>,
) -> Result<Option<Vec<u8>>, String> {
    match form(bytes) {
        Some(Form::Gzip) => block(flate2::bufread::MultiGzDecoder::new(bytes), limit),
        Some(Form::Zstd) => {
            let decoder = match dictionary()? {
                Some(dictionary) => zstd::stream::read::Decoder::with_dictionary(bytes, &dictionary),
                None => zstd::stream::read::Decoder::with_buffer(bytes),
            };
            block(decoder.map_err(|error| error.to_string())?, limit)
        }
        _ => block(bytes, limit),
    }
}

/// The dictionary of a file that may begin with one.
pub fn dictionary_of(input: &dyn Input, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
    let mut window = Window::new(input, path, size(input, path)?);
    let found = dictionary(&mut window);
    match window.failure.take() {
        Some(failed) => Err(failed.into()),
        None => found.map_err(FetchError::Broken),
    }
}

/// The first record's block.
fn block(mut reader: impl Read, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    let mut read = |bytes: &mut Vec<u8>, count: u64| {
        reader.by_ref().take(count).read_to_end(bytes).map_err(|error| error.to_string())
    };
    read(&mut bytes, MAX_HEAD as u64)?;
    let start = padding(&bytes);
    let Parsed::Head(head) = parse(&bytes[start..]) else { return Err("there is no record at its place".to_owned()) };
    let length = head.block_length()?;
    if length > limit {
        return Ok(None);
    }
    let start = start + head.length;
    let end = start + length as usize;
    let missing = end.saturating_sub(bytes.len());
    read(&mut bytes, missing as u64)?;
    match bytes.get(start..end) {
        Some(block) => Ok(Some(block.to_vec())),
        None => Err("its record is cut short".to_owned()),
    }
}
