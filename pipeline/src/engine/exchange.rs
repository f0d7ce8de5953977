//! Buckets: which unit of the next stage reads a row.

use pageloom_schemas::Key;

use crate::engine::commit::Commit;

/// The bucket of a value that is uniform over `u64`. Buckets are ranges, so that they keep the values' order.
pub fn bucket_of(value: u64, buckets: u32) -> u32 {
    ((u128::from(value) * u128::from(buckets)) >> 64) as u32
}

/// The bucket of an image.
pub fn image_bucket(key: &Key, buckets: u32) -> u32 {
    bucket_of(key.prefix(), buckets)
}

/// Files of a table that hold rows of a bucket.
pub fn files_with_bucket(commits: &[Commit], table: &str, bucket: u32) -> Vec<String> {
    let files = commits.iter().filter_map(|commit| commit.file(table));
    files.filter(|file| file.buckets.contains_key(&bucket)).map(|file| file.path.clone()).collect()
}

/// Rows of a bucket in all files of a table.
pub fn rows_in_bucket(commits: &[Commit], table: &str, bucket: u32) -> u64 {
    let files = commits.iter().filter_map(|commit| commit.file(table));
    files.filter_map(|file| file.buckets.get(&bucket)).sum()
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
