//! Another run's output, of which a run takes over what it can: units that are the same, and codes of images whose pixels are.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext, col, lit};
use pageloom_schemas::{columns, tables};
use url::Url;

use crate::engine::commit::{Commit, commits_of};
use crate::engine::plan::Stage;
use crate::engine::store::Store;
use crate::error::RunError;
use crate::status::plan_of;

/// Another output. It is only read.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// Where it is.
    pub store: Store,
    buckets: u32,
    images: Arc<Vec<Commit>>,
}

/// The scheme and host under which DataFusion knows the earlier run's store.
const URL: &str = "run://earlier/";

impl Earlier {
    /// Opens an earlier run, finished or not.
    pub async fn open(store: Store) -> Result<Self, RunError> {
        let buckets = plan_of(&store).await?.buckets;
        let images = Arc::new(commits_of(&store, Stage::Images).await?);
        Ok(Self { store, buckets, images })
    }

    /// What it has committed of a stage.
    pub async fn commits(&self, stage: Stage) -> Result<Vec<Commit>, RunError> {
        if stage == Stage::Images { Ok(self.images.to_vec()) } else { commits_of(&self.store, stage).await }
    }

    /// `image_key`, `known_from` and `known_codes` of all images that may be in one of so many buckets, each once.
    pub async fn known(
        &self,
        context: &SessionContext,
        bucket: u32,
        buckets: u32,
    ) -> Result<Option<DataFrame>, RunError> {
        let range = overlapping(bucket, buckets, self.buckets);
        let commits = self.images.iter().filter(|commit| range.contains(&commit.index));
        let files: Vec<String> =
            commits.filter_map(|commit| commit.file("images")).map(|file| format!("{URL}{}", file.path)).collect();
        if files.is_empty() {
            return Ok(None);
        }
        let base = Url::parse(URL).map_err(|error| RunError::Bug(error.to_string()))?;
        context.register_object_store(&base, self.store.objects());
        let schema = tables::images([]);
        let images = context.read_parquet(files, ParquetReadOptions::default().schema(&schema)).await?;
        let [key, from, codes] = ["key", "encoded_from", "codes"].map(col);
        Ok(Some(images.select(vec![key.alias("image_key"), from.alias("known_from"), codes.alias("known_codes")])?))
    }
}

/// Which of `of` buckets have keys in common with one of `buckets`: both cut the same line into equal parts.
fn overlapping(bucket: u32, buckets: u32, of: u32) -> std::ops::RangeInclusive<u32> {
    let (bucket, buckets, of) = (u64::from(bucket), u64::from(buckets.max(1)), u64::from(of.max(1)));
    let first = bucket * of / buckets;
    let last = ((bucket + 1) * of - 1) / buckets;
    first as u32..=last as u32
}

/// The columns of what is known, of which nothing is.
pub fn nothing_known() -> Result<Vec<datafusion::prelude::Expr>, RunError> {
    let null = |field: arrow::datatypes::Field| -> Result<_, RunError> {
        Ok(lit(ScalarValue::try_new_null(field.data_type())?).alias(field.name()))
    };
    Ok(vec![null(columns::known_from().field())?, null(columns::known_codes().field())?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::exchange::bucket_of;

    #[test]
    fn every_key_is_in_a_bucket_that_overlaps_its_own() {
        for (buckets, of) in [(1, 1), (1, 7), (7, 1), (3, 5), (5, 3), (4096, 3), (3, 4096)] {
            for step in 0..1000_u64 {
                let key = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let range = overlapping(bucket_of(key, buckets), buckets, of);
                assert!(range.contains(&bucket_of(key, of)), "{key} of {buckets} in {of}");
            }
        }
        assert_eq!(overlapping(1, 4, 2), 0..=0);
    }
}
