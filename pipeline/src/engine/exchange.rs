//! Buckets: which unit of the next stage reads a row, and where it finds them.

use pageloom_schemas::Key;
use serde::{Deserialize, Serialize};

use crate::engine::commit::Commit;
use crate::engine::table_writer::TableFile;

/// The bucket of a value that is uniform over `u64`. Buckets are ranges, so that they keep the values' order.
pub fn bucket_of(value: u64, buckets: u32) -> u32 {
    ((u128::from(value) * u128::from(buckets)) >> 64) as u32
}

/// The bucket of an image.
pub fn image_bucket(key: &Key, buckets: u32) -> u32 {
    bucket_of(key.prefix(), buckets)
}

/// Where one bucket lies in a file of an exchange. In a commit it is a list of numbers, for there are many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Segment {
    /// Which bucket.
    pub bucket: u32,
    /// Its rows.
    pub rows: u64,
    /// Where its first batch begins, in bytes.
    pub offset: u64,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Of each block of its bytes: all have `BLOCK_BYTES`, but the last. A reader compares before it decodes.
    pub checksums: Vec<u64>,
}

/// Bytes of a block that has a checksum of its own, and the most that is asked for at once.
pub const BLOCK_BYTES: usize = 1 << 20;

/// The first eight bytes of a block's BLAKE3: enough to see damage, and to tell one unit's rows from another's.
pub fn checksum(block: &[u8]) -> u64 {
    let [first, second, third, fourth, fifth, sixth, seventh, eighth, ..] = *blake3::hash(block).as_bytes();
    u64::from_le_bytes([first, second, third, fourth, fifth, sixth, seventh, eighth])
}

impl TryFrom<Vec<u64>> for Segment {
    type Error = String;

    fn try_from(numbers: Vec<u64>) -> Result<Self, String> {
        let [bucket, rows, offset, bytes, ref checksums @ ..] = numbers[..] else {
            return Err(format!("a segment has at least four numbers, not {}", numbers.len()));
        };
        let checksums = checksums.to_vec();
        if checksums.len() as u64 != bytes.div_ceil(BLOCK_BYTES as u64) {
            return Err(format!("a segment of {bytes} bytes has {} checksums", checksums.len()));
        }
        Ok(Self { bucket: bucket as u32, rows, offset, bytes, checksums })
    }
}

impl From<Segment> for Vec<u64> {
    fn from(segment: Segment) -> Self {
        let Segment { bucket, rows, offset, bytes, checksums } = segment;
        [u64::from(bucket), rows, offset, bytes].into_iter().chain(checksums).collect()
    }
}

/// Where a bucket lies in a file; nowhere if the file has no row of it.
pub fn segment(file: &TableFile, bucket: u32) -> Option<&Segment> {
    let segments = file.segments.as_deref()?;
    let index = segments.binary_search_by_key(&bucket, |segment| segment.bucket);
    index.ok().map(|index| &segments[index])
}

/// Rows of a bucket in all files of a table.
pub fn rows_in_bucket(commits: &[Commit], table: &str, bucket: u32) -> u64 {
    let files = commits.iter().filter_map(|commit| commit.file(table));
    files.filter_map(|file| segment(file, bucket)).map(|segment| segment.rows).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ranges_that_cover_every_value() {
        assert_eq!(bucket_of(0, 3), 0);
        assert_eq!(bucket_of(u64::MAX, 3), 2);
        assert_eq!(bucket_of(u64::MAX / 3, 3), 0);
        assert_eq!(bucket_of(u64::MAX / 3 + 1, 3), 1);
    }

    #[test]
    fn one_bucket_holds_everything() {
        assert_eq!(bucket_of(u64::MAX, 1), 0);
    }
}
