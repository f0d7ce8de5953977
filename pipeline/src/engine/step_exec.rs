//! Runs one step inside a plan: computes on rayon, counts every row, and turns a panic into a reject.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;

use crate::engine::nodes::{MapExec, external};
use crate::engine::unit::UnitLog;
use crate::error::StepError;
use crate::step::{Kind, Refusal, Rejects, Step};

/// Batches that one step may have in hand at once, so that a step and the one before it overlap.
const BATCHES_IN_HAND: usize = 2;

/// One step of a job, as a function for a plan node.
struct StepNode {
    name: &'static str,
    kind: Kind,
    step: Arc<dyn Step>,
    schema: SchemaRef,
    log: Arc<UnitLog>,
}

/// A node that runs one step; it gives rows of `schema`, the step's promise.
pub fn step_plan(
    name: &'static str,
    kind: Kind,
    step: Arc<dyn Step>,
    schema: SchemaRef,
    log: Arc<UnitLog>,
    input: Arc<dyn ExecutionPlan>,
) -> Arc<dyn ExecutionPlan> {
    let node = Arc::new(StepNode { name, kind, step, schema: schema.clone(), log });
    let compute = move |batch| node.clone().compute(batch).boxed();
    MapExec::in_background(name, input, schema, BATCHES_IN_HAND, Arc::new(compute))
}

impl StepNode {
    /// Runs the step on rayon's threads. Two batches may end in either order: the books are sorted when they are closed.
    async fn compute(self: Arc<Self>, batch: RecordBatch) -> datafusion::common::Result<RecordBatch> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        let node = self.clone();
        rayon::spawn(move || {
            let rows = batch.num_rows();
            let started = Instant::now();
            let outcome = guarded(node.step.as_ref(), node.kind, node.name, &node.schema, batch);
            // The receiver is gone when the run was stopped; then nobody waits for this batch.
            let _ = done.send((rows, started.elapsed(), outcome));
        });
        let outcome = outcome.await.map_err(|_| external(StepError::Bug("a compute thread vanished".into())))?;
        let (rows, busy, outcome) = outcome;
        let (batch, rejects) = outcome.map_err(external)?;
        self.log.step(self.name, rows, batch.num_rows(), busy, rejects);
        Ok(batch)
    }
}

/// The rows that a step kept, and those it did not.
pub type Outcome = Result<(RecordBatch, Rejects), StepError>;

/// The step's outcome on a batch. Where it panics, the batch is halved until the row that does it stands alone.
pub fn guarded(step: &dyn Step, kind: Kind, name: &str, schema: &SchemaRef, batch: RecordBatch) -> Outcome {
    let mut rejects = Rejects::new(kind, name);
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
            let (first, mut rejects) = guarded(step, kind, name, schema, batch.slice(0, middle))?;
            let rest = batch.slice(middle, batch.num_rows() - middle);
            let (second, more) = guarded(step, kind, name, schema, rest)?;
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
    use arrow::array::{ArrayRef, FixedSizeBinaryArray, StringArray};
    use pageloom_schemas::columns;

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
        let keys = FixedSizeBinaryArray::try_from_iter(urls.iter().map(|_| [0u8; 16])).unwrap();
        let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(StringArray::from(urls.to_vec()))];
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
