//! Checks what a record says of its own bytes: `WARC-Block-Digest` and `WARC-Payload-Digest`.

use sha1::Digest;

use crate::sources::http;
use crate::sources::warc::head::Head;

/// What is wrong with a record's digests; `None` if they are right, or of a kind that isn't known here.
pub fn mismatch(head: &Head<'_>, response: Option<&http::Head>, block: &[u8]) -> Option<String> {
    if let Some(claim) = head.block_digest.as_deref()
        && agrees(claim, block) == Some(false)
    {
        return Some(format!("WARC-Block-Digest: {claim}"));
    }
    // What a digest of a payload that was cut was made of is not said.
    let claim = head.payload_digest.as_deref().filter(|_| !head.truncated)?;
    let raw = response.map_or(block, |response| block.get(response.length..).unwrap_or_default());
    if agrees(claim, raw)? {
        return None;
    }
    // Some archivers make the digest of the body as it came over the line, others of the chunks joined.
    let joined = response.filter(|response| response.chunked()).and_then(|_| http::dechunk(raw));
    let right = joined.is_some_and(|joined| agrees(claim, &joined) == Some(true));
    (!right).then(|| format!("WARC-Payload-Digest: {claim}"))
}

/// Whether bytes have a digest that is written as `sha1:` and base 32 or 16; `None` if that can't be told.
fn agrees(claim: &str, bytes: &[u8]) -> Option<bool> {
    let (algorithm, value) = claim.split_once(':')?;
    let digest = match algorithm.trim().to_ascii_lowercase().replace('-', "").as_str() {
        "sha1" => sha1::Sha1::digest(bytes).to_vec(),
        "sha256" => sha2::Sha256::digest(bytes).to_vec(),
        "sha512" => sha2::Sha512::digest(bytes).to_vec(),
        _ => return None,
    };
    let value = value.trim();
    let hexadecimal = value.len() == digest.len() * 2;
    Some(value.trim_end_matches('=').eq_ignore_ascii_case(&if hexadecimal { hex(&digest) } else { base32(&digest) }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base 32 without padding (RFC 4648, 6).
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    for five in bytes.chunks(5) {
        let mut group = [0; 8];
        group[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(group);
        let letters = (five.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|letter| char::from(LETTERS[(bits >> (35 - 5 * letter) & 31) as usize])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_in_either_base() {
        // Of the empty string: FIPS 180-4 examples.
        assert_eq!(agrees("sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ", b""), Some(true));
        assert_eq!(agrees("SHA-1:da39a3ee5e6b4b0d3255bfef95601890afd80709", b""), Some(true));
        assert_eq!(agrees("sha256:4OYMIQUY7QOBJGX36TEJS35ZEQT24QPEMSNZGTFESWMRW6CSXBKQ====", b""), Some(true));
        assert_eq!(agrees("sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ", b"x"), Some(false));
        assert_eq!(agrees("crc9:00", b""), None);
    }
}
