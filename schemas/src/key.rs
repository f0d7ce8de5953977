//! A 16-byte identity of a document or an image.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeBinaryArray};
use arrow::error::ArrowError;

use crate::SchemaError;
use crate::columns::key_type;

/// The first 16 bytes of a BLAKE3 hash: what documents and images are joined, bucketed and drawn by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(pub [u8; Key::BYTES]);

impl Key {
    /// Width of a key in bytes, and of its `FixedSizeBinary` column.
    pub const BYTES: usize = 16;

    /// A column of keys, one per row; of none, a column without rows.
    pub fn column(keys: impl IntoIterator<Item = Self>) -> Result<ArrayRef, ArrowError> {
        let bytes: Vec<u8> = keys.into_iter().flat_map(|key| key.0).collect();
        Ok(Arc::new(FixedSizeBinaryArray::try_new(Self::BYTES as i32, bytes.into(), None)?))
    }

    /// The key of one row; an error if the column's values are not 16 bytes wide.
    pub fn of(column: &FixedSizeBinaryArray, row: usize) -> Result<Self, SchemaError> {
        column.value(row).try_into().map(Self).map_err(|_| SchemaError::OtherType {
            name: "key".into(),
            expected: key_type(),
            found: column.data_type().clone(),
        })
    }

    /// The keys of all rows, in their order; an error as for one.
    pub fn all_of(column: &FixedSizeBinaryArray) -> Result<Vec<Self>, SchemaError> {
        (0..column.len()).map(|row| Self::of(column, row)).collect()
    }

    /// Reads 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        // Rust reads a sign in front of a number, too.
        if text.len() != 2 * Self::BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
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
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn hexadecimal_text_reads_back() {
        let key = Key([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255]);
        assert_eq!(key.to_string(), "000102030405060708090a0b0c0dfeff");
        assert_eq!(Key::from_hex(&key.to_string()), Some(key));
        assert_eq!(Key::from_hex("zz"), None);
    }

    #[test]
    fn a_sign_is_no_digit_of_a_key() {
        assert_eq!(Key::from_hex(&"+1".repeat(16)), None);
    }

    #[test]
    fn columns_of_keys_read_back_as_written() {
        let keys = [Key([1; 16]), Key([2; 16])];
        let column = Key::column(keys).unwrap();
        assert_eq!(column.data_type(), &key_type());
        assert_eq!(Key::all_of(column.as_fixed_size_binary()).unwrap(), keys);
        assert_eq!(Key::column([]).unwrap().len(), 0);
    }

    #[test]
    fn a_column_of_another_width_has_no_keys() {
        let digests = FixedSizeBinaryArray::try_from_iter([[7; 32]].iter()).unwrap();
        let said = Key::of(&digests, 0).unwrap_err().to_string();
        assert_eq!(said, "column `key` should be FixedSizeBinary(16), but it is FixedSizeBinary(32) here");
    }

    #[test]
    fn the_prefix_keeps_the_order_of_keys() {
        let low = Key([0; 16]);
        let mut high = low;
        high.0[0] = 1;
        assert!(low < high && low.prefix() < high.prefix());
    }
}
