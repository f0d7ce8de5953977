//! What one unit works with and keeps books in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use pageloom_schemas::tables;

use crate::check::CheckedJob;
use crate::engine::commit::{Commit, StepReport};
use crate::engine::plan::{RunPlan, Unit};
use crate::engine::progress::Progress;
use crate::engine::store::Store;
use crate::engine::table_writer::{TableFile, TableWriter, exchange_properties};
use crate::error::RunError;
use crate::step::{Reject, Rejects};

/// Everything that the units of a run share.
#[derive(Clone)]
pub struct Run {
    /// The job, checked, with its tokenizers loaded.
    pub checked: Arc<CheckedJob>,
    /// The plan.
    pub plan: Arc<RunPlan>,
    /// Where output goes.
    pub store: Store,
    /// Who watches.
    pub progress: Arc<Progress>,
    /// Marks this process's files, so that two attempts at one unit never write to one name.
    pub attempt: String,
}

impl Run {
    /// A name for one of a unit's files that no other attempt uses.
    pub fn file(&self, unit: &Unit, table: &str) -> String {
        format!("work/{}/{:05}-{}/{}-{table}.parquet", unit.stage.name(), unit.index, unit.id, self.attempt)
    }
}

/// The books of a unit while it runs.
#[derive(Debug)]
pub struct UnitLog {
    started: Instant,
    books: Mutex<Books>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Books {
    rejects: Vec<Reject>,
    dropped: Vec<Reject>,
    skipped: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
    steps: Vec<StepReport>,
}

impl UnitLog {
    /// Empty books.
    pub fn new(progress: Arc<Progress>) -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), books: Mutex::default(), progress })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One batch went through a step.
    pub fn step(&self, name: &str, rows_in: usize, rows_out: usize, busy: Duration, rejects: Rejects) {
        let mut books = self.books();
        let report = match books.steps.iter().position(|report| report.step == name) {
            Some(index) => &mut books.steps[index],
            None => {
                books.steps.push(StepReport { step: name.into(), rows_in: 0, rows_out: 0, busy_seconds: 0.0 });
                let last = books.steps.len() - 1;
                &mut books.steps[last]
            }
        };
        report.rows_in += rows_in as u64;
        report.rows_out += rows_out as u64;
        report.busy_seconds += busy.as_secs_f64();
        let (rows, dropped) = rejects.into_parts();
        self.progress.rejected(rows.len() as u64);
        books.rejects.extend(rows);
        books.dropped.extend(dropped);
    }

    /// A source could not keep a record.
    pub fn reject(&self, reject: Reject) {
        self.progress.rejected(1);
        self.books().rejects.push(reject);
    }

    /// A source passed over a record that is neither page nor image.
    pub fn skip(&self, kind: &str) {
        *self.books().skipped.entry(kind.into()).or_default() += 1;
    }

    /// Adds to a count.
    pub fn count(&self, name: &str, rows: u64) {
        *self.books().counts.entry(name.into()).or_default() += rows;
    }

    /// Writes the rejects and closes the books over the unit's files.
    pub async fn close(&self, run: &Run, unit: &Unit, files: Vec<(&str, TableFile)>) -> Result<Commit, RunError> {
        let mut books = std::mem::take(&mut *self.books());
        books.rejects.sort();
        books.dropped.sort();
        let mut files: BTreeMap<String, TableFile> =
            files.into_iter().map(|(table, file)| (table.into(), file)).collect();
        for (table, rows) in [("rejects", &books.rejects), ("dropped", &books.dropped)] {
            if !rows.is_empty() {
                let path = run.file(unit, table);
                let mut writer = TableWriter::create(&run.store, path, tables::rejects(), exchange_properties())?;
                writer.write(reject_rows(rows)?).await?;
                files.insert(table.into(), writer.finish().await?);
            }
        }
        Ok(Commit {
            unit: unit.id.clone(),
            index: unit.index,
            files,
            counts: books.counts,
            rejects: tally(&books.rejects),
            skipped: books.skipped,
            dropped: tally(&books.dropped),
            steps: books.steps,
            seconds: self.started.elapsed().as_secs_f64(),
        })
    }
}

fn tally(rejects: &[Reject]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for reject in rejects {
        *counts.entry(format!("{}.{}", reject.kind.as_str(), reject.reason)).or_default() += 1;
    }
    counts
}

fn reject_rows(rejects: &[Reject]) -> Result<RecordBatch, RunError> {
    let text =
        |of: fn(&Reject) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rejects.iter().map(of))) };
    let columns = vec![
        text(|reject| reject.kind.as_str()),
        text(|reject| &reject.key),
        text(|reject| &reject.url),
        text(|reject| &reject.step),
        text(|reject| reject.reason),
        text(|reject| &reject.detail),
    ];
    Ok(RecordBatch::try_new(tables::rejects(), columns)?)
}
