//! Images: every image of one bucket that a document shows is encoded once, and its tokens go to each such document.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StructArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::min;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, SessionContext, col};
use futures::FutureExt;
use futures::future::ready;
use pageloom_schemas::lists::{ListColumn, uint32_rows};
use pageloom_schemas::{columns, tables};

use crate::engine::commit::Commit;
use crate::engine::earlier::nothing_known;
use crate::engine::exchange::bucket_of;
use crate::engine::exchange_reader::bucket;
use crate::engine::nodes::{Batches, MapExec, external, sort};
use crate::engine::plan::{TrainingTable, Unit};
use crate::engine::session::{scan, session};
use crate::engine::stages::{image_rows, steps_over};
use crate::engine::store::Store;
use crate::engine::table_writer::{TableFile, write_plan};
use crate::engine::unit::{Files, Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::random::order_hash;
use crate::step::Kind;

/// Images of a batch: bounds how many decoded images are in memory, and fills the encoder's batch.
const BATCH_ROWS: usize = 64;

/// Runs one unit: one bucket of images.
pub async fn run(run: &Run, unit: &Unit, log: &Arc<UnitLog>, documents: &[Commit]) -> Result<Files, RunError> {
    let context = session(&run.store, run.memory_of_unit(), BATCH_ROWS)?;
    let references = references(&context, &run.store, documents, unit.index)?;
    let located = located_images(&context, run, documents, unit.index).await?;
    let located = part_by_files(count_images(located, log), run.checked.resources.memory.of_files());
    let encoded = steps_over(run, located, &run.checked.job.images, Kind::Image, log)?;
    let encoded = count_work(encoded, run);
    let schema = tables::images(image_rows::masks(&run.checked));
    let encoded = sort(MapExec::conform(encoded, schema.clone()), &["key"])?;
    let images = write_plan(&context, encoded, log.table(run, unit, "images", schema)?).await?;
    log.count("images", images.rows);
    let mut files = Vec::new();
    if let Some(settings) = &run.checked.job.image_shards {
        let rows = image_rows::write(run, unit, log, &context, references.clone(), &images, settings).await?;
        log.count("rows", rows.rows);
        files.push(("image_rows".into(), rows));
    }
    if run.plan.makes(TrainingTable::Sequences) {
        let without_tokens = count_without_tokens(&context, references.clone(), &images).await?;
        let image_tokens = write_image_tokens(run, unit, log, &context, references, &images).await?;
        log.count("image_tokens", image_tokens.rows);
        log.count("references_without_tokens", without_tokens);
        files.push(("image_tokens".into(), image_tokens));
    }
    files.push(("images".into(), images));
    Ok(files)
}

/// Which documents show which images of a bucket.
fn references(
    context: &SessionContext,
    store: &Store,
    documents: &[Commit],
    index: u32,
) -> Result<DataFrame, RunError> {
    bucket(context, store, documents, "image_references", index, &tables::image_references())
}

/// Each wanted image of a bucket once, with the first of its locations; null where no source holds it.
pub async fn located_images(
    context: &SessionContext,
    run: &Run,
    documents: &[Commit],
    index: u32,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let store = &run.store;
    let wanted = references(context, store, documents, index)?.select(vec![col("key"), col("url")])?;
    let schema = tables::image_locations();
    let locations = bucket(context, store, documents, "image_locations", index, &schema)?;
    let wanted = match run.checked.job.wants_all_images() {
        true => wanted.union(locations.clone().select(vec![col("key"), col("image_url").alias("url")])?)?,
        false => wanted,
    };
    let wanted = wanted.aggregate(vec![col("key")], vec![min(col("url")).alias("url")])?;
    let fields = ["source", "container", "path", "offset", "length", "inline"];
    let place = std::iter::once(col("key").alias("location_key")).chain(fields.map(col)).collect();
    let first = ["key", "source", "path", "offset"].map(|name| col(name).sort(true, false)).to_vec();
    let locations = locations.distinct_on(vec![col("key")], place, Some(first))?;
    let located = wanted.join(locations, JoinType::Left, &["key"], &["location_key"], None)?;
    let located = with_known(context, run, located, index).await?;
    let located =
        located.select(tables::located_images().fields().iter().map(|field| col(field.name())).collect::<Vec<_>>())?;
    Ok(MapExec::conform(located.create_physical_plan().await?, tables::located_images()))
}

/// Beside each image what an earlier run has found for it, if the job names one.
async fn with_known(
    context: &SessionContext,
    run: &Run,
    located: DataFrame,
    index: u32,
) -> Result<DataFrame, RunError> {
    let known = match &run.earlier {
        Some(earlier) => earlier.known(context, index, run.plan.buckets).await?,
        None => None,
    };
    if let Some(known) = known {
        return Ok(located.join(known, JoinType::Left, &["key"], &["image_key"], None)?);
    }
    let there = located.schema().columns().into_iter().map(datafusion::prelude::Expr::Column);
    let columns: Vec<_> = there.chain(nothing_known()?).collect();
    Ok(located.select(columns)?)
}

fn count_images(plan: Arc<dyn ExecutionPlan>, log: &Arc<UnitLog>) -> Arc<dyn ExecutionPlan> {
    let log = log.clone();
    let count = move |batch: RecordBatch| {
        log.count("wanted_images", batch.num_rows() as u64);
        let bytes = columns::length();
        log.count("image_bytes", bytes.of(&batch)?.iter().flatten().sum());
        Ok(batch)
    };
    let schema = plan.schema();
    MapExec::plan("count_images", plan, schema, Arc::new(count))
}

/// Hands on fewer images at once where their files are large: those of a batch are held together.
fn part_by_files(plan: Arc<dyn ExecutionPlan>, most_bytes: u64) -> Arc<dyn ExecutionPlan> {
    let schema = plan.schema();
    let part = move |batch: RecordBatch| ready(parted(batch, most_bytes).map_err(external)).boxed();
    MapExec::in_background("part_by_files", plan, schema, 1, Arc::new(part))
}

/// Parts of a batch whose files have so many bytes together, or one more. What an archive has compressed counts as it lies there.
fn parted(batch: RecordBatch, most_bytes: u64) -> Result<Batches, StepError> {
    let (length, url) = (columns::length(), columns::url());
    let (lengths, urls) = (length.of(&batch)?, url.of(&batch)?);
    let (mut parts, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (row, (length, url)) in lengths.iter().zip(urls.iter()).enumerate() {
        // A `data:` URL lies nowhere else.
        let more = length.unwrap_or_else(|| url.map_or(0, str::len) as u64);
        if row > from && bytes + more > most_bytes {
            parts.push(batch.slice(from, row - from));
            (from, bytes) = (row, 0);
        }
        bytes += more;
    }
    parts.push(batch.slice(from, batch.num_rows() - from));
    Ok(Box::new(parts.into_iter().map(Ok)))
}

fn count_work(plan: Arc<dyn ExecutionPlan>, run: &Run) -> Arc<dyn ExecutionPlan> {
    let progress = run.progress.clone();
    let count = move |batch: RecordBatch| {
        progress.worked(batch.num_rows() as u64);
        Ok(batch)
    };
    let schema = plan.schema();
    MapExec::plan("count_work", plan, schema, Arc::new(count))
}

/// References to images that were rejected: counted by themselves, so that a lost reference shows in the books.
async fn count_without_tokens(
    context: &SessionContext,
    references: DataFrame,
    images: &TableFile,
) -> Result<u64, RunError> {
    let images = scan(context, images, &tables::images([])).await?;
    let images = images.select(vec![col("key").alias("image_key")])?;
    let without = references.join(images, JoinType::LeftAnti, &["key"], &["image_key"], None)?;
    Ok(without.count().await? as u64)
}

/// The images' tokens, once per document that shows them, in the documents' buckets.
async fn write_image_tokens(
    run: &Run,
    unit: &Unit,
    log: &UnitLog,
    context: &SessionContext,
    references: DataFrame,
    images: &TableFile,
) -> Result<TableFile, RunError> {
    let images = scan(context, images, &tables::images([])).await?;
    let images = images.select(["key", "grid_width", "grid_height", "codes"].map(col).to_vec())?;
    let references = references.select(vec![col("key").alias("image_key"), col("document_key")])?;
    let joined = references.join(images, JoinType::Inner, &["image_key"], &["key"], None)?;
    let joined = joined.create_physical_plan().await?;
    let (seed, buckets) = (run.checked.job.seed, run.plan.buckets);
    let one_crop = run.checked.resources.images.codes_per_image() as usize;
    let reshape = move |batch: RecordBatch| image_tokens(&batch, seed, buckets, one_crop);
    let plan = MapExec::plan("image_tokens", joined, tables::image_tokens(), Arc::new(reshape));
    // The image's key is inside `image`, so rows of one document are told apart by nothing that a sort can name;
    // their order has no meaning, for the document says where each image stands.
    let plan = sort(plan, &["bucket", "document_key"])?;
    write_plan(context, plan, log.exchange(run, unit, "image_tokens", tables::image_tokens())?).await
}

/// Of several crops, a document has the first.
fn image_tokens(batch: &RecordBatch, seed: u64, buckets: u32, one_crop: usize) -> Result<RecordBatch, StepError> {
    let document = columns::document_key();
    let document = document.of(batch)?;
    let bucket = document.iter().flatten().map(|key| bucket_of(order_hash(seed, key), buckets));
    let bucket: ArrayRef = Arc::new(UInt32Array::from_iter_values(bucket));
    let mut codes = ListColumn::<UInt32Type>::default();
    let all = columns::codes();
    let all = uint32_rows(all.of(batch)?)?;
    for row in 0..batch.num_rows() {
        let crops = all.row(row);
        codes.push(&crops[..one_crop.min(crops.len())])?;
    }
    let parts = ["key", "grid_width", "grid_height"].map(|name| batch.column_by_name(name).cloned());
    let parts: Option<Vec<ArrayRef>> = parts.into_iter().collect();
    let mut parts = parts.ok_or_else(|| StepError::Bug("the join lost a column of the image table".into()))?;
    parts.push(codes.finish()?);
    let image = StructArray::try_new(columns::image_fields(), parts, None)?;
    Ok(RecordBatch::try_new(tables::image_tokens(), vec![bucket, Arc::new(document.clone()), Arc::new(image)])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_whose_files_are_large_are_handed_on_a_few_at_a_time_and_in_order() {
        use arrow::array::{StringArray, UInt64Array};
        let urls: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "data:,123", "c", "d"]));
        let lengths: ArrayRef = Arc::new(UInt64Array::from(vec![Some(4), Some(6), None, Some(50), Some(1)]));
        let batch = RecordBatch::try_from_iter([("url", urls), ("length", lengths)]).unwrap();
        let rows = |most_bytes| -> Vec<usize> {
            parted(batch.clone(), most_bytes).unwrap().map(|part| part.unwrap().num_rows()).collect()
        };
        assert_eq!([rows(10), rows(0), rows(u64::MAX >> 1)], [vec![2, 1, 1, 1], vec![1; 5], vec![5]]);
    }
}
