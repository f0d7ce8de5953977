//! Neighbours: the table that a job names is read once, and says to each bucket what its units need to know of it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::filter_record_batch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionContext, col};
use futures::try_join;
use pageloom_schemas::lists::{key_lists, keys_of};
use pageloom_schemas::{Key, columns, tables};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::engine::clock::{Spent, Stopwatch};
use crate::engine::exchange::bucket_of;
use crate::engine::exchange_reader::whole;
use crate::engine::nodes::{MapExec, StreamExec, external, sort};
use crate::engine::plan::Unit;
use crate::engine::reading::{BATCHES_WAITING, receive};
use crate::engine::session::session_of_short_rows;
use crate::engine::table_writer::{TableFile, write_plan};
use crate::engine::unit::{Files, Run, UnitLog};
use crate::error::{JobError, Problem, RunError, StepError};
use crate::neighbours::{self, Settings};
use crate::random::order_hash;

/// Neighbours of a batch: they are tens of bytes each.
const BATCH_NEIGHBOURS: u32 = 4096;
/// Rows of a batch, at least.
const LEAST_BATCH_ROWS: u32 = 64;

/// Runs the unit: the whole table. Both exchanges are sorted on disk where memory is short, so how many documents the table
/// names costs time and disk alone.
pub async fn run(run: &Run, unit: &Unit, log: &Arc<UnitLog>) -> Result<Files, RunError> {
    let settings = table(run)?;
    let context = session_of_short_rows(&run.store, run.memory_of_unit(), batch_rows(settings))?;
    let (rows, thread) = read(run, settings, log.clone());
    let twice: Arc<Mutex<Option<Key>>> = Arc::default();
    let chosen = find_twice(sort(StreamExec::plan(rows), &["bucket", "order", "key"])?, twice.clone());
    let thread = async { thread.await.map_err(|error| RunError::Bug(error.to_string()))? };
    let sink = log.exchange(run, unit, "chosen", tables::chosen_neighbours())?;
    let (chosen, ()) = try_join!(write_plan(&context, chosen, sink), thread)?;
    if let Some(key) = *twice.lock().unwrap_or_else(PoisonError::into_inner) {
        return Err(no_table(run, settings, &format!("document {key} has two rows")));
    }
    let wanted = write_wanted(run, unit, log, &context, &chosen).await?;
    log.count("wanted_neighbours", wanted.rows);
    Ok(vec![("chosen".into(), chosen), ("wanted".into(), wanted)])
}

/// What the job says about its table; a job without one has no unit of this stage.
fn table(run: &Run) -> Result<&Settings, RunError> {
    let settings = run.checked.job.sequences.as_ref().and_then(|sequences| sequences.retrieval.as_ref());
    settings.ok_or_else(|| RunError::Bug("the job names no neighbours".into()))
}

fn batch_rows(settings: &Settings) -> usize {
    (BATCH_NEIGHBOURS / settings.max_documents.max(1)).max(LEAST_BATCH_ROWS) as usize
}

fn file(run: &Run, settings: &Settings) -> PathBuf {
    run.checked.folder.join(&settings.neighbours)
}

/// Bytes of the table; none where the job names no such.
pub fn table_bytes(run: &Run) -> u64 {
    let file = table(run).map(|settings| file(run, settings));
    file.ok().and_then(|file| std::fs::metadata(file).ok()).map_or(0, |metadata| metadata.len())
}

fn no_table(run: &Run, settings: &Settings, cause: &str) -> RunError {
    let file = file(run, settings).display().to_string();
    let problem = Problem::new(file, format!("is no table of neighbours: {cause}"));
    JobError::from(problem.hint(neighbours::HINT)).into()
}

/// Starts reading the table: a stream of which documents stand in front of which, and the thread that fills it.
fn read(
    run: &Run,
    settings: &Settings,
    log: Arc<UnitLog>,
) -> (SendableRecordBatchStream, JoinHandle<Result<(), RunError>>) {
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
    let (run, settings) = (run.clone(), settings.clone());
    // Named before anything else, so that it is listed first.
    log.charge("read", (0, 0), Spent::default());
    let thread = tokio::task::spawn_blocking(move || {
        let watch = Stopwatch::start();
        let file = file(&run, &settings);
        let (seed, buckets) = (run.checked.job.seed, run.plan.buckets);
        let (mut rows, batch_rows) = (Chosen::default(), batch_rows(&settings));
        let send = |rows: &mut Chosen| {
            log.count("table_rows", rows.keys.len() as u64);
            log.count("neighbours_chosen", rows.neighbours.iter().map(|chosen| chosen.len() as u64).sum());
            run.progress.worked(std::mem::take(&mut rows.bytes));
            let batch = std::mem::take(rows).finish(buckets).map_err(external);
            log.at_work().did("read", &file.display().to_string());
            match sender.blocking_send(batch) {
                Ok(()) => ControlFlow::Continue(()),
                // Nobody listens any more where the unit has failed; its own error is the one to report.
                Err(_) => ControlFlow::Break(()),
            }
        };
        let read = neighbours::read(&file, |row, bytes| {
            let chosen = settings.choose(&row, seed);
            rows.push(order_hash(seed, &row.key.0), row.key, chosen);
            rows.bytes += bytes;
            if rows.keys.len() < batch_rows { ControlFlow::Continue(()) } else { send(&mut rows) }
        });
        read.map_err(|cause| no_table(&run, &settings, &cause))?;
        let _ = send(&mut rows);
        let count = log.counted("table_rows");
        log.charge("read", (count, count), watch.spent());
        Ok(())
    });
    (receive(tables::chosen_neighbours(), receiver), thread)
}

/// Rows of [`tables::chosen_neighbours`] in the making.
#[derive(Default)]
struct Chosen {
    orders: Vec<u64>,
    keys: Vec<Key>,
    neighbours: Vec<Vec<Key>>,
    /// What they take in the table.
    bytes: u64,
}

impl Chosen {
    fn push(&mut self, order: u64, key: Key, neighbours: Vec<Key>) {
        self.orders.push(order);
        self.keys.push(key);
        self.neighbours.push(neighbours);
    }

    fn finish(self, buckets: u32) -> Result<RecordBatch, StepError> {
        let bucket = UInt32Array::from_iter_values(self.orders.iter().map(|order| bucket_of(*order, buckets)));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(bucket),
            Arc::new(UInt64Array::from(self.orders)),
            Key::column(self.keys)?,
            key_lists(&self.neighbours)?,
        ];
        Ok(RecordBatch::try_new(tables::chosen_neighbours(), columns)?)
    }
}

/// Looks for a document that has two rows, while they go by one behind another.
fn find_twice(rows: Arc<dyn ExecutionPlan>, twice: Arc<Mutex<Option<Key>>>) -> Arc<dyn ExecutionPlan> {
    let last = Mutex::new(None);
    let look = move |batch: RecordBatch| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        for key in Key::all_of(columns::key().of(&batch)?)? {
            if last.replace(key) == Some(key) {
                twice.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(key);
            }
        }
        Ok(batch)
    };
    MapExec::plan("find_twice", rows, tables::chosen_neighbours(), Arc::new(look))
}

/// Which buckets have documents that a neighbour stands in front of, read back from the unit's own file.
async fn write_wanted(
    run: &Run,
    unit: &Unit,
    log: &Arc<UnitLog>,
    context: &SessionContext,
    chosen: &TableFile,
) -> Result<TableFile, RunError> {
    let chosen = whole(context, &run.store, chosen, &tables::chosen_neighbours())?;
    let chosen = chosen.select(vec![col("bucket"), col("neighbours")])?.create_physical_plan().await?;
    let (seed, buckets) = (run.checked.job.seed, run.plan.buckets);
    let by_neighbour = move |batch: RecordBatch| by_neighbour(&batch, seed, buckets);
    let wanted = MapExec::plan("by_neighbour", chosen, tables::wanted_neighbours(), Arc::new(by_neighbour));
    let wanted = once(sort(wanted, &["bucket", "key", "for_bucket"])?);
    write_plan(context, wanted, log.exchange(run, unit, "wanted", tables::wanted_neighbours())?).await
}

fn by_neighbour(batch: &RecordBatch, seed: u64, buckets: u32) -> Result<RecordBatch, StepError> {
    let (for_bucket, neighbours) = (columns::bucket(), columns::neighbours());
    let (for_bucket, neighbours) = (for_bucket.of(batch)?, neighbours.of(batch)?);
    let (mut keys, mut for_buckets) = (Vec::new(), Vec::new());
    for row in 0..batch.num_rows() {
        for key in keys_of(neighbours, row)? {
            keys.push(key);
            for_buckets.push(for_bucket.value(row));
        }
    }
    let bucket = keys.iter().map(|key| bucket_of(order_hash(seed, &key.0), buckets));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(bucket)),
        Key::column(keys)?,
        Arc::new(UInt32Array::from(for_buckets)),
    ];
    Ok(RecordBatch::try_new(tables::wanted_neighbours(), columns)?)
}

/// Each of these rows, which come sorted, once.
fn once(rows: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let last = Mutex::new(None);
    let keep = move |batch: RecordBatch| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, for_bucket) = (columns::key(), columns::for_bucket());
        let each = Key::all_of(key.of(&batch)?)?.into_iter().zip(for_bucket.of(&batch)?.values());
        let is_new = each.map(|(key, bucket)| {
            let here = (key, *bucket);
            Some(last.replace(here) != Some(here))
        });
        let is_new: BooleanArray = is_new.collect();
        Ok(filter_record_batch(&batch, &is_new)?)
    };
    MapExec::plan("once", rows, tables::wanted_neighbours(), Arc::new(keep))
}
