//! Runs one step inside a plan: computes on rayon, counts every row, and turns a panic into a reject.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;
use rayon::prelude::*;

use crate::engine::clock::{Spent, Stopwatch};
use crate::engine::memory::{Memory, Room};
use crate::engine::nodes::{Batches, MapExec, external};
use crate::engine::unit::UnitLog;
use crate::engine::watch::AtWork;
use crate::error::StepError;
use crate::step::{Kind, Refusal, Rejects, Step};

/// Batches that one step may have in hand at once, so that a step and the one before it overlap.
const BATCHES_IN_HAND: usize = 2;
/// Parts of a batch for each thread: more than one, because rows differ.
const PARTS_PER_THREAD: usize = 4;

/// What a thread may hold however small its pages are: a tokenizer remembers words for each.
const BYTES_OF_A_THREAD: usize = 24 << 20;
/// Batches are joined up to this size. A larger one would be held twice meanwhile, and a column has room for 2 GiB.
const BYTES_OF_A_BATCH: usize = 64 << 20;
/// What a step may hold while it works on a byte: a page as bytes, as text, as a tree, as markup and as tokens.
const BYTES_FOR_A_BYTE: usize = 16;

/// One step of a job, as a function for a plan node.
struct StepNode {
    name: &'static str,
    kind: Kind,
    step: Arc<dyn Step>,
    schema: SchemaRef,
    log: Arc<UnitLog>,
    memory: Arc<Memory>,
}

/// A node that runs one step; it gives rows of `schema`, the step's promise.
pub fn step_plan(
    name: &'static str,
    kind: Kind,
    step: Arc<dyn Step>,
    schema: SchemaRef,
    (log, memory): (Arc<UnitLog>, Arc<Memory>),
    input: Arc<dyn ExecutionPlan>,
) -> Arc<dyn ExecutionPlan> {
    let node = Arc::new(StepNode { name, kind, step, schema: schema.clone(), log, memory });
    let compute = move |batch| node.clone().compute(batch).boxed();
    MapExec::in_background(name, input, schema, BATCHES_IN_HAND, Arc::new(compute))
}

impl StepNode {
    /// Runs the step on rayon's threads. Two batches may end in either order: the books are sorted when they are closed.
    async fn compute(self: Arc<Self>, batch: RecordBatch) -> datafusion::common::Result<Batches> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        let node = self.clone();
        rayon::spawn(move || {
            // The receiver is gone when the run was stopped; then nobody waits for this batch.
            let _ = done.send((batch.num_rows(), node.spread(&batch)));
        });
        let outcome = outcome.await.map_err(|_| external(StepError::Bug("a compute thread vanished".into())))?;
        let (rows, outcome) = outcome;
        let (spent, kept, rejects) = outcome.map_err(external)?;
        let rows_kept: usize = kept.iter().map(RecordBatch::num_rows).sum();
        self.log.step(self.name, (rows as u64, rows_kept as u64), spent, rejects).map_err(external)?;
        Ok(Box::new(kept.into_iter().map(Ok)))
    }

    /// Pages are worked on in fewer threads, and large ones one after another, where there is no memory for more. An image's
    /// step asks by itself, by the pixels, and would wait here for what its own thread holds.
    fn room(&self, rows: &RecordBatch) -> Option<Room<'_>> {
        let bytes = (bytes_of(rows) * BYTES_FOR_A_BYTE).max(BYTES_OF_A_THREAD) as u64;
        let bytes = bytes.max(self.step.working_bytes(rows));
        (self.kind == Kind::Document).then(|| self.memory.room(bytes))
    }

    /// Spreads the batch over all threads. Steps themselves never do: a part is computed on one thread from its first row
    /// to its last, so that its time is the step's and nobody else's.
    fn spread(&self, batch: &RecordBatch) -> Result<(Spent, Vec<RecordBatch>, Rejects), StepError> {
        let (step, schema) = (self.step.as_ref(), &self.schema);
        let compute = |rows: RecordBatch| {
            let _room = self.room(&rows);
            let watch = Stopwatch::start();
            let at_work = Some(self.log.at_work());
            let (kept, rejects) = watched(at_work, step, self.kind, self.name, schema, rows)?;
            Ok((watch.spent(), kept, rejects))
        };
        let parts = parts(batch, PARTS_PER_THREAD * rayon::current_num_threads());
        let parts: Result<Vec<_>, StepError> = parts.into_par_iter().with_max_len(1).map(compute).collect();
        let (mut spent, mut rejects) = (Spent::default(), Rejects::new(self.kind, self.name));
        let mut kept = Vec::new();
        for (part_spent, part, refused) in parts? {
            spent += part_spent;
            rejects.append(refused);
            kept.push(part);
        }
        Ok((spent, joined(schema, kept)?, rejects))
    }
}

fn bytes_of(rows: &RecordBatch) -> usize {
    rows.columns().iter().filter_map(|column| column.to_data().get_slice_memory_size().ok()).sum()
}

/// Parts that follow each other in one batch, or in several where they are large.
fn joined(schema: &SchemaRef, parts: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, StepError> {
    let (mut batches, mut together, mut bytes) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        let of_part = bytes_of(&part);
        if !together.is_empty() && bytes + of_part > BYTES_OF_A_BATCH {
            batches.push(concat_batches(schema, &together)?);
            together.clear();
            bytes = 0;
        }
        bytes += of_part;
        together.push(part);
    }
    batches.push(concat_batches(schema, &together)?);
    Ok(batches)
}

/// The batch in so many parts of about equal length, in order; fewer where it has fewer rows.
fn parts(batch: &RecordBatch, count: usize) -> Vec<RecordBatch> {
    let (rows, count) = (batch.num_rows(), count.clamp(1, batch.num_rows().max(1)));
    let start = |part: usize| rows * part / count;
    (0..count).map(|part| batch.slice(start(part), start(part + 1) - start(part))).collect()
}

/// The rows that a step kept, and those it did not.
pub type Outcome = Result<(RecordBatch, Rejects), StepError>;

/// The step's outcome on a batch. Where it panics, the batch is halved until the row that does it stands alone.
pub fn guarded(step: &dyn Step, kind: Kind, name: &str, schema: &SchemaRef, batch: RecordBatch) -> Outcome {
    watched(None, step, kind, name, schema, batch)
}

/// As [`guarded`]; whoever watches the unit sees which row is in hand.
fn watched(
    at_work: Option<&Arc<AtWork>>,
    step: &dyn Step,
    kind: Kind,
    name: &str,
    schema: &SchemaRef,
    batch: RecordBatch,
) -> Outcome {
    let in_hand = at_work.map(|at_work| at_work.take(name, &batch));
    let mut rejects = Rejects::watched(kind, name, in_hand.as_ref().map(|in_hand| in_hand.hand().clone()));
    let outcome = catch_unwind(AssertUnwindSafe(|| step.process(batch.clone(), &mut rejects)));
    match outcome {
        Ok(kept) => balanced(name, schema, batch.num_rows(), kept?, rejects),
        // Without a row there is nothing to halve and nothing to reject.
        Err(panic) if batch.num_rows() == 0 => {
            let what = panic_text(panic.as_ref());
            Err(StepError::Bug(format!("step `{name}` panicked on no rows: {what}")))
        }
        Err(panic) if batch.num_rows() == 1 => {
            let mut rejects = Rejects::new(kind, name);
            rejects.refuse(&batch, 0, Refusal::new("panicked", panic_text(panic.as_ref())))?;
            Ok((RecordBatch::new_empty(schema.clone()), rejects))
        }
        Err(_) => {
            let middle = batch.num_rows() / 2;
            let (first, mut rejects) = watched(at_work, step, kind, name, schema, batch.slice(0, middle))?;
            let rest = batch.slice(middle, batch.num_rows() - middle);
            let (second, more) = watched(at_work, step, kind, name, schema, rest)?;
            rejects.append(more);
            Ok((concat_batches(schema, [&first, &second])?, rejects))
        }
    }
}

/// Holds the step to its promises: the schema, and every row kept or rejected.
fn balanced(name: &str, schema: &SchemaRef, rows: usize, kept: RecordBatch, rejects: Rejects) -> Outcome {
    if kept.num_rows() + rejects.rows().len() != rows {
        let (out, refused) = (kept.num_rows(), rejects.rows().len());
        return Err(StepError::Bug(format!("step `{name}` made {out} rows and {refused} rejects of {rows} rows")));
    }
    if kept.schema().fields() != schema.fields() {
        return Err(StepError::Bug(format!("step `{name}` returned {:?} for {schema:?}", kept.schema())));
    }
    Ok((kept, rejects))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};
    use pageloom_schemas::{Key, columns};

    use super::*;

    #[derive(Debug)]
    struct PanicsAtB;

    impl Step for PanicsAtB {
        fn process(&self, batch: RecordBatch, _: &mut Rejects) -> Result<RecordBatch, StepError> {
            let url = columns::url();
            assert!(url.of(&batch)?.iter().flatten().all(|url| url != "b"), "hit b");
            Ok(batch)
        }
    }

    fn batch(urls: &[&str]) -> RecordBatch {
        let keys = Key::column(urls.iter().map(|_| Key::default())).unwrap();
        let columns: Vec<ArrayRef> = vec![keys, Arc::new(StringArray::from(urls.to_vec()))];
        let schema = arrow::datatypes::Schema::new(vec![columns::key().field(), columns::url().field()]);
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    #[test]
    fn a_panic_in_one_row_costs_that_row() {
        let batch = batch(&["a", "b", "c", "d", "e"]);
        let (kept, rejects) = guarded(&PanicsAtB, Kind::Document, "step", &batch.schema(), batch.clone()).unwrap();
        let url = columns::url();
        assert_eq!(url.of(&kept).unwrap().iter().flatten().collect::<Vec<_>>(), ["a", "c", "d", "e"]);
        let reject = &rejects.rows()[0];
        assert_eq!((reject.url.as_str(), reject.reason, reject.detail.as_str()), ("b", "panicked", "hit b"));
    }

    #[test]
    fn the_parts_of_a_batch_are_all_of_it_in_order() {
        let batch = batch(&["a", "b", "c", "d", "e"]);
        for (count, lengths) in [(2, vec![2, 3]), (9, vec![1; 5]), (0, vec![5])] {
            let parts = parts(&batch, count);
            assert_eq!(parts.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), lengths);
            assert_eq!(concat_batches(&batch.schema(), &parts).unwrap(), batch);
        }
    }

    #[test]
    fn parts_are_joined_in_order_and_large_ones_stand_apart() {
        let small = batch(&["a"]);
        let large = batch(&[&"b".repeat(BYTES_OF_A_BATCH / 2)]);
        let parts = vec![small.clone(), large.clone(), large.clone(), small.clone(), large.clone()];
        let lengths: Vec<usize> =
            joined(&small.schema(), parts.clone()).unwrap().iter().map(RecordBatch::num_rows).collect();
        assert_eq!(lengths, [2, 2, 1]);
        let all = concat_batches(&small.schema(), &joined(&small.schema(), parts.clone()).unwrap()).unwrap();
        assert_eq!(all, concat_batches(&small.schema(), &parts).unwrap());
        assert_eq!(joined(&small.schema(), Vec::new()).unwrap()[0].num_rows(), 0);
    }

    #[derive(Debug)]
    struct Panics;

    impl Step for Panics {
        fn process(&self, _: RecordBatch, _: &mut Rejects) -> Result<RecordBatch, StepError> {
            panic!("hit anything")
        }
    }

    #[test]
    fn a_panic_without_a_row_is_a_bug() {
        let none = batch(&["a"]).slice(0, 0);
        let outcome = guarded(&Panics, Kind::Document, "step", &none.schema(), none.clone());
        assert!(outcome.unwrap_err().to_string().contains("panicked on no rows: hit anything"));
    }

    #[derive(Debug)]
    struct Loses;

    impl Step for Loses {
        fn process(&self, batch: RecordBatch, _: &mut Rejects) -> Result<RecordBatch, StepError> {
            Ok(batch.slice(1, batch.num_rows() - 1))
        }
    }

    #[test]
    fn a_step_that_loses_a_row_is_a_bug() {
        let batch = batch(&["a", "b"]);
        let outcome = guarded(&Loses, Kind::Document, "step", &batch.schema(), batch.clone());
        assert!(outcome.unwrap_err().to_string().contains("made 1 rows and 0 rejects of 2 rows"));
    }
}
