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

/// Where one bucket lies in a file of an exchange. In a commit it is four numbers, for there are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct Segment {
    /// Which bucket.
    pub bucket: u32,
    /// Its rows.
    pub rows: u64,
    /// Where its first batch begins, in bytes.
    pub offset: u64,
    /// Bytes of its batches.
    pub bytes: u64,
}

impl From<[u64; 4]> for Segment {
    fn from([bucket, rows, offset, bytes]: [u64; 4]) -> Self {
        Self { bucket: bucket as u32, rows, offset, bytes }
    }
}

impl From<Segment> for [u64; 4] {
    fn from(segment: Segment) -> Self {
        [u64::from(segment.bucket), segment.rows, segment.offset, segment.bytes]
    }
}

/// Where a bucket lies in a file; nowhere if the file has no row of it.
pub fn segment(file: &TableFile, bucket: u32) -> Option<Segment> {
    let segments = file.segments.as_deref()?;
    let index = segments.binary_search_by_key(&bucket, |segment| segment.bucket);
    index.ok().map(|index| segments[index])
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
