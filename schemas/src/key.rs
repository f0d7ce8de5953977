//! A 16-byte identity of a document or an image.

use std::fmt;

/// The first 16 bytes of a BLAKE3 hash: what documents and images are joined, bucketed and drawn by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(pub [u8; Key::BYTES]);

impl Key {
    /// Width of a key in bytes, and of its `FixedSizeBinary` column.
    pub const BYTES: usize = 16;

    /// Reads a key out of a column's value; `None` unless it is 16 bytes long.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 2 * Self::BYTES || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; Self::BYTES];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The first eight bytes as a big-endian number: uniform over `u64`, and in the keys' own order.
    pub fn prefix(&self) -> u64 {
        let mut head = [0; 8];
        head.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(head)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_reads_back() {
        let key = Key([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255]);
        assert_eq!(key.to_string(), "000102030405060708090a0b0c0dfeff");
        assert_eq!(Key::from_hex(&key.to_string()), Some(key));
        assert_eq!(Key::from_hex("zz"), None);
    }

    #[test]
    fn the_prefix_keeps_the_order_of_keys() {
        let low = Key([0; 16]);
        let mut high = low;
        high.0[0] = 1;
        assert!(low < high && low.prefix() < high.prefix());
    }
}
