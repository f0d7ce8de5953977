//! The dictionary that a `.warc.zst` file may begin with ("Zstandard Compression for WARC Files 1.0", IIPC).

use crate::sources::warc::window::Window;

/// First bytes of a frame that holds a dictionary.
const DICTIONARY_FRAME: [u8; 4] = [0x5d, 0x2a, 0x4d, 0x18];
/// First bytes of a frame of data.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What the specification asks of readers, packed and unpacked.
const MAX_BYTES: usize = 8 << 20;

/// The dictionary of a file; `None` without one.
pub fn dictionary(window: &mut Window<'_>) -> Result<Option<Vec<u8>>, String> {
    let Some(length) = skippable(window.peek(0, 8)).filter(|_| window.peek(0, 4).starts_with(&DICTIONARY_FRAME)) else {
        return Ok(None);
    };
    let length = (length - 8) as usize;
    if length > MAX_BYTES {
        return Err(format!("its dictionary of {length} bytes is longer than 8 MiB"));
    }
    let found = window.peek(0, length + 8);
    let Some(found) = found.get(8..length + 8) else { return Err("its dictionary is cut".to_owned()) };
    if !found.starts_with(&ZSTD) {
        return Ok(Some(found.to_vec()));
    }
    let unpacked = zstd::bulk::decompress(found, MAX_BYTES);
    unpacked.map(Some).map_err(|error| format!("its dictionary is broken: {error}"))
}

/// The length of the skippable frame that begins here, with its head.
pub fn skippable(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<8>()?;
    let is_one = head[0] & 0xf0 == 0x50 && head[1..4] == DICTIONARY_FRAME[1..];
    is_one.then(|| 8 + u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])))
}
