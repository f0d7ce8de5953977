//! Retrieved: documents of one bucket that stand in front of others are made ready once, and handed on to these.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use pageloom_schemas::{Key, columns, tables};

use crate::engine::exchange_reader::bucket;
use crate::engine::nodes::{MapExec, StreamExec, sort};
use crate::engine::plan::Unit;
use crate::engine::session::session;
use crate::engine::stages::copies::{copies, only};
use crate::engine::stages::{Before, sequences, steps_over};
use crate::engine::table_writer::write_plan;
use crate::engine::unit::{Files, Run, UnitLog};
use crate::error::RunError;
use crate::step::Kind;

/// Documents of a batch.
const BATCH_ROWS: usize = 128;

/// For each document that stands in front of others: the buckets of these.
type Wanted = HashMap<Key, Vec<u32>>;

/// Runs one unit: one bucket of documents. What is held is the keys of those that are wanted; documents go by.
pub async fn run(run: &Run, unit: &Unit, log: &Arc<UnitLog>, before: &Before) -> Result<Files, RunError> {
    let context = session(&run.store, run.memory_of_unit(), BATCH_ROWS)?;
    let wanted = Arc::new(Mutex::new(wanted(run, &context, before, unit.index).await?));
    let documents = sequences::illustrated_documents(&context, &run.store, before, unit.index).await?;
    let (schema, keys) = (documents.schema(), wanted.clone());
    let filter = move |batch: RecordBatch| {
        let (key, keys) = (columns::key(), open(&keys));
        let keep = Key::all_of(key.of(&batch)?)?.into_iter().map(|key| Some(keys.contains_key(&key)));
        Ok(filter_record_batch(&batch, &keep.collect::<BooleanArray>())?)
    };
    let documents = MapExec::plan("wanted", documents, schema, Arc::new(filter));
    let [interleave, _] = sequences::wanted(run)?.steps();
    let documents = steps_over(run, documents, &[interleave], Kind::Document, log)?;
    let documents = execute_stream(documents, context.task_ctx())?;
    let handed_on = hand_on(run, documents, wanted.clone(), log);
    let handed_on = sort(StreamExec::plan(handed_on), &["bucket", "key"])?;
    let sink = log.exchange(run, unit, "retrieved", tables::retrieved_documents())?;
    let retrieved = write_plan(&context, handed_on, sink).await?;
    log.count("not_there", open(&wanted).values().map(|for_buckets| for_buckets.len() as u64).sum());
    Ok(vec![("retrieved".into(), retrieved)])
}

fn open(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn wanted(run: &Run, context: &SessionContext, before: &Before, index: u32) -> Result<Wanted, RunError> {
    let rows = bucket(context, &run.store, &before.neighbours, "wanted", index, &tables::wanted_neighbours())?;
    let mut rows = rows.execute_stream().await?;
    let mut wanted = Wanted::new();
    while let Some(batch) = rows.try_next().await? {
        let (key, for_bucket) = (columns::key(), columns::for_bucket());
        let each = Key::all_of(key.of(&batch)?)?.into_iter().zip(for_bucket.of(&batch)?.values());
        for (key, for_bucket) in each {
            wanted.entry(key).or_default().push(*for_bucket);
        }
    }
    Ok(wanted)
}

/// Each document once for every bucket that it is wanted in; what stays in `wanted` is not there.
fn hand_on(
    run: &Run,
    documents: SendableRecordBatchStream,
    wanted: Arc<Mutex<Wanted>>,
    log: &Arc<UnitLog>,
) -> SendableRecordBatchStream {
    let of_row = move |key: &Key| open(&wanted).remove(key).unwrap_or_default();
    let (log, progress) = (log.clone(), run.progress.clone());
    let hand_on = move |batch: &RecordBatch, for_buckets: Vec<u32>| {
        log.count("handed_on", batch.num_rows() as u64);
        progress.worked(batch.num_rows() as u64);
        let for_bucket: ArrayRef = Arc::new(UInt32Array::from(for_buckets));
        only(batch, vec![for_bucket], &["key", "document_tokens", "image_runs"], tables::retrieved_documents())
    };
    copies(documents, tables::retrieved_documents(), of_row, hand_on)
}
