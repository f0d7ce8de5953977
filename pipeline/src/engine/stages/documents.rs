//! Documents: one split of a source becomes tokens, image references and image locations, each in its buckets.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionContext, col};
use futures::try_join;
use pageloom_schemas::passages::passages;
use pageloom_schemas::places::{ImagePlace, PlaceTexts, image_places_of};
use pageloom_schemas::{Key, columns, tables};

use crate::engine::aside::sort_aside;
use crate::engine::exchange::{bucket_of, image_bucket};
use crate::engine::exchange_reader::whole;
use crate::engine::nodes::{MapExec, StreamExec};
use crate::engine::plan::Unit;
use crate::engine::reading::read;
use crate::engine::session::session;
use crate::engine::stages::steps_over;
use crate::engine::table_writer::{TableFile, write_plan};
use crate::engine::unit::{Files, Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::random::order_hash;
use crate::step::Kind;

/// Rows of a batch while sorting: documents are tens of kilobytes each.
const BATCH_ROWS: usize = 256;
/// What is large of a document where anything is.
pub const LARGE: &[&str] = &["tokens", "image_slots", "passages"];

/// Runs one unit.
pub async fn run(run: &Run, unit: &Unit, log: &Arc<UnitLog>) -> Result<Files, RunError> {
    let context = session(&run.store, run.memory_of_unit(), BATCH_ROWS)?;
    let reading = read(run, &run.plan.splits[unit.index as usize], log.clone());
    let pages = StreamExec::plan(reading.pages);
    let tokenised = steps_over(run, pages, &run.checked.job.documents, Kind::Document, log)?;
    let documents = place_documents(run, tokenised, log);
    let documents = sort_aside(documents, &["bucket", "order", "key"], LARGE)?;
    let locations = StreamExec::plan(reading.locations);
    let locations = sort_aside(locations, &["bucket", "key", "source", "path", "offset"], &["inline"])?;
    let thread = async { reading.thread.await.map_err(|error| RunError::Bug(error.to_string()))? };
    let (documents, locations, ()) = try_join!(
        write_plan(&context, documents, log.exchange(run, unit, "documents", tables::documents())?),
        write_plan(&context, locations, log.exchange(run, unit, "image_locations", tables::image_locations())?),
        thread,
    )?;
    let references = write_references(run, unit, log, &context, &documents).await?;
    log.count("documents", documents.rows);
    log.count("image_references", references.rows);
    let files = [("documents", documents), ("image_locations", locations), ("image_references", references)];
    Ok(files.map(|(table, file)| (table.to_owned(), file)).into())
}

/// Adds each document's position in the global order, and the bucket that follows from it.
fn place_documents(run: &Run, input: Arc<dyn ExecutionPlan>, log: &Arc<UnitLog>) -> Arc<dyn ExecutionPlan> {
    let (seed, buckets, log) = (run.checked.job.seed, run.plan.buckets, log.clone());
    let place = move |batch: RecordBatch| {
        let (key, url) = (columns::key(), columns::url());
        let (tokens, slots) = (columns::tokens(), columns::image_slots());
        let (key, url, tokens, slots) = (key.of(&batch)?, url.of(&batch)?, tokens.of(&batch)?, slots.of(&batch)?);
        log.count("text_tokens", tokens.value_offsets().windows(2).map(|ends| (ends[1] - ends[0]) as u64).sum());
        let orders: Vec<u64> = key.iter().flatten().map(|key| order_hash(seed, key)).collect();
        let bucket = UInt32Array::from_iter_values(orders.iter().map(|order| bucket_of(*order, buckets)));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(bucket),
            Arc::new(UInt64Array::from(orders)),
            Arc::new(key.clone()),
            Arc::new(url.clone()),
            Arc::new(tokens.clone()),
            Arc::new(slots.clone()),
            passages_of_all(&batch)?,
        ];
        Ok(RecordBatch::try_new(tables::documents(), columns)?)
    };
    MapExec::plan("place_documents", input, tables::documents(), Arc::new(place))
}

/// The passages of documents; of most jobs' documents, none.
fn passages_of_all(batch: &RecordBatch) -> Result<ArrayRef, StepError> {
    match batch.column_by_name(columns::passages().name()) {
        Some(there) => Ok(there.clone()),
        None => Ok(passages(&vec![Vec::new(); batch.num_rows()])?),
    }
}

/// One row per document and image, by image, read back from the unit's own documents.
async fn write_references(
    run: &Run,
    unit: &Unit,
    log: &Arc<UnitLog>,
    context: &SessionContext,
    documents: &TableFile,
) -> Result<TableFile, RunError> {
    let documents = whole(context, &run.store, documents, &tables::documents())?;
    let documents = documents.select(vec![col("key"), col("url"), col("image_slots")])?.create_physical_plan().await?;
    let buckets = run.plan.buckets;
    let explode = move |batch: RecordBatch| references(&batch, buckets);
    let plan = MapExec::plan("image_references", documents, tables::image_references(), Arc::new(explode));
    // A `data:` URL is as large as its image.
    let plan = sort_aside(plan, &["bucket", "key", "document_key"], &["url"])?;
    let plan = count_images(plan, log);
    write_plan(context, plan, log.exchange(run, unit, "image_references", tables::image_references())?).await
}

/// Counts the images that the unit's documents show, each once, while their sorted references go by.
fn count_images(plan: Arc<dyn ExecutionPlan>, log: &Arc<UnitLog>) -> Arc<dyn ExecutionPlan> {
    let (log, last) = (log.clone(), Mutex::new(Vec::new()));
    let count = move |batch: RecordBatch| {
        let keys = columns::key();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut images = 0;
        for key in keys.of(&batch)?.iter().flatten() {
            if *last != key {
                images += 1;
                *last = key.to_vec();
            }
        }
        log.count("shown_images", images);
        Ok(batch)
    };
    let schema = plan.schema();
    MapExec::plan("count_images", plan, schema, Arc::new(count))
}

fn references(batch: &RecordBatch, buckets: u32) -> Result<RecordBatch, StepError> {
    let (key, url, slots) = (columns::key(), columns::url(), columns::image_slots());
    let (keys, url, slots) = (Key::all_of(key.of(batch)?)?, url.of(batch)?, slots.of(batch)?);
    let mut shown: Vec<(usize, ImagePlace)> = Vec::new();
    for row in 0..batch.num_rows() {
        let mut seen = BTreeSet::new();
        for place in image_places_of(slots, row)? {
            if seen.insert(place.key) {
                shown.push((row, place));
            }
        }
    }
    let places = || shown.iter().map(|(_, place)| place);
    let text = |of: fn(&PlaceTexts) -> &Option<String>| -> ArrayRef {
        Arc::new(places().map(|place| of(&place.texts).as_deref()).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(places().map(|place| image_bucket(&place.key, buckets)))),
        Key::column(places().map(|place| place.key))?,
        Arc::new(StringArray::from_iter_values(places().map(|place| &place.url))),
        Key::column(shown.iter().map(|(row, _)| keys[*row]))?,
        Arc::new(StringArray::from_iter_values(shown.iter().map(|(row, _)| url.value(*row)))),
        text(|texts| &texts.alt),
        text(|texts| &texts.title),
        text(|texts| &texts.caption),
    ];
    Ok(RecordBatch::try_new(tables::image_references(), columns)?)
}
