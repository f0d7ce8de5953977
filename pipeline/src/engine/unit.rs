//! What one unit works with and keeps books in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use pageloom_schemas::tables;
use parquet::file::properties::WriterProperties;

use crate::check::CheckedJob;
use crate::engine::clock::{Meter, Spent, metered, peak_memory_bytes, unix_seconds};
use crate::engine::commit::{Commit, StepReport};
use crate::engine::earlier::Earlier;
use crate::engine::exchange_writer::ExchangeWriter;
use crate::engine::memory::Beside;
use crate::engine::plan::{RunPlan, Unit};
use crate::engine::progress::Progress;
use crate::engine::reject_table::RejectTable;
use crate::engine::store::{Store, attempt};
use crate::engine::table_writer::{TableFile, TableWriter, table_properties};
use crate::engine::watch::{AtWork, UnitAtWork};
use crate::error::RunError;
use crate::sources::Piece;
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
    /// Another output, of which is taken over what is the same.
    pub earlier: Option<Earlier>,
    /// Whether other units run at the same time.
    pub beside: Beside,
}

impl Run {
    /// A run beside others, with nothing to take over.
    pub fn new(checked: Arc<CheckedJob>, plan: RunPlan, store: Store, progress: Arc<Progress>) -> Self {
        let (plan, attempt) = (Arc::new(plan), attempt());
        Self { checked, plan, store, progress, attempt, earlier: None, beside: Beside::Others }
    }

    /// What one unit's plan may hold before it spills.
    pub fn memory_of_unit(&self) -> u64 {
        self.checked.resources.memory.of_unit(self.beside, self.checked.job.units.memory)
    }

    /// A name for one of a unit's files that no other attempt uses.
    pub fn file(&self, unit: &Unit, table: &str, ending: &str) -> String {
        format!("work/{}/{:05}-{}/{}-{table}.{ending}", unit.stage.name(), unit.index, unit.id, self.attempt)
    }
}

/// The books of a unit while it runs.
pub struct UnitLog {
    began: f64,
    started: Instant,
    books: Mutex<Books>,
    books_rejects: bool,
    progress: Arc<Progress>,
    at_work: UnitAtWork,
    /// What the unit's own task costs, writing and packing in it.
    task: Meter,
    writing: Arc<Meter>,
    packing: Meter,
}

/// A unit's files by table.
pub type Files = Vec<(String, TableFile)>;

#[derive(Default)]
struct Books {
    rejects: RejectTable,
    dropped: RejectTable,
    skipped: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
    steps: Vec<StepReport>,
    input: Option<String>,
    beyond: Vec<Piece>,
}

impl UnitLog {
    /// Empty books.
    pub fn new(progress: Arc<Progress>, unit: &Unit) -> Arc<Self> {
        let at_work = progress.watch.begin(unit.to_string());
        let (task, writing, packing) = (Meter::default(), Arc::default(), Meter::default());
        let (began, started) = (unix_seconds(), Instant::now());
        let (books, books_rejects) = (Mutex::default(), unit.stage.books_rejects());
        Arc::new(Self { began, started, books, books_rejects, progress, at_work, task, writing, packing })
    }

    /// What the unit is at, for those who watch.
    pub fn at_work(&self) -> &Arc<AtWork> {
        self.at_work.at_work()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One batch went through a step: rows in and out, and what that cost.
    pub fn step(&self, name: &str, rows: (u64, u64), spent: Spent, rejects: Rejects) -> Result<(), RunError> {
        self.charge(name, rows, spent);
        if !self.books_rejects {
            return Ok(());
        }
        let (rows, dropped) = rejects.into_parts();
        self.progress.rejected(rows.len() as u64);
        let mut books = self.books();
        books.rejects.add(rows)?;
        books.dropped.add(dropped)
    }

    /// Adds rows and cost to a step, which is listed where it was first named.
    pub fn charge(&self, name: &str, (rows_in, rows_out): (u64, u64), spent: Spent) {
        let mut books = self.books();
        let index = books.steps.iter().position(|report| report.step == name).unwrap_or_else(|| {
            books.steps.push(StepReport { step: name.into(), ..StepReport::default() });
            books.steps.len() - 1
        });
        let report = &mut books.steps[index];
        report.rows_in += rows_in;
        report.rows_out += rows_out;
        report.cpu_seconds += spent.cpu_seconds;
        report.seconds += spent.seconds;
    }

    /// Awaits what the unit's own task does; the job's steps run elsewhere and are charged by themselves.
    pub async fn task<T>(&self, work: impl Future<Output = T>) -> T {
        metered(&self.task, work).await
    }

    /// Charges packing, which the unit's own task does between reading and writing.
    pub fn packed(&self, rows: (u64, u64), spent: Spent) {
        self.packed_by("pack", rows, spent);
    }

    /// Charges a part of packing under a name of its own.
    pub fn packed_by(&self, name: &str, rows: (u64, u64), spent: Spent) {
        self.packing.add(spent);
        self.charge(name, rows, spent);
    }

    /// Starts a table of an exchange, whose rows come sorted by bucket.
    pub fn exchange(&self, run: &Run, unit: &Unit, table: &str, schema: SchemaRef) -> Result<ExchangeWriter, RunError> {
        ExchangeWriter::create(&run.store, run.file(unit, table, "arrow"), schema, self.writing.clone())
    }

    /// Starts a table that is read whole, or by rows.
    pub fn table(&self, run: &Run, unit: &Unit, table: &str, schema: SchemaRef) -> Result<TableWriter, RunError> {
        self.file(run, run.file(unit, table, "parquet"), schema, table_properties())
    }

    /// Starts a file with properties of its own.
    pub fn file(
        &self,
        run: &Run,
        path: String,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<TableWriter, RunError> {
        TableWriter::create(&run.store, path, schema, properties, self.writing.clone())
    }

    /// A source could not keep a record.
    pub fn reject(&self, reject: Reject) -> Result<(), RunError> {
        self.progress.rejected(1);
        self.books().rejects.add([reject])
    }

    /// A source passed over a record that is neither page nor image.
    pub fn skip(&self, kind: &str) {
        *self.books().skipped.entry(kind.into()).or_default() += 1;
    }

    /// What the unit's split was found to hold, and what was read beyond it.
    pub fn input(&self, digest: String, beyond: Vec<Piece>) {
        let mut books = self.books();
        (books.input, books.beyond) = (Some(digest), beyond);
    }

    /// Adds to a count.
    pub fn count(&self, name: &str, rows: u64) {
        let mut books = self.books();
        match books.counts.get_mut(name) {
            Some(count) => *count += rows,
            None => drop(books.counts.insert(name.into(), rows)),
        }
    }

    /// A count so far.
    pub fn counted(&self, name: &str) -> u64 {
        self.books().counts.get(name).copied().unwrap_or(0)
    }

    /// Writes the rejects and closes the books over the unit's files.
    pub async fn close(&self, run: &Run, unit: &Unit, files: Files) -> Result<Commit, RunError> {
        self.charge_task(files.iter().map(|(_, file)| file.rows).sum());
        let books = std::mem::take(&mut *self.books());
        let (rejects, dropped) = (books.rejects.counts(), books.dropped.counts());
        let mut files: BTreeMap<String, TableFile> = files.into_iter().collect();
        for (table, rows) in [("rejects", books.rejects), ("dropped", books.dropped)] {
            if !rows.is_empty() {
                let writer = self.table(run, unit, table, tables::rejects())?;
                files.insert(table.into(), rows.write(writer, (&run.store, run.memory_of_unit())).await?);
            }
        }
        Ok(Commit {
            unit: unit.id.clone(),
            index: unit.index,
            input: books.input,
            beyond: books.beyond,
            files,
            counts: books.counts,
            rejects,
            skipped: books.skipped,
            dropped,
            steps: books.steps,
            began: self.began,
            // Not by the clock on the wall, which may be set while the unit runs.
            seconds: self.started.elapsed().as_secs_f64(),
            threads: rayon::current_num_threads() as u32,
            peak_memory_bytes: peak_memory_bytes(),
        })
    }

    /// Two more steps: writing the unit's files, and what is left of its task: scans, joins and sorts.
    fn charge_task(&self, rows_written: u64) {
        let (task, writing, packing) = (self.task.sum(), self.writing.sum(), self.packing.sum());
        let left = |task: f64, writing: f64, packing: f64| (task - writing - packing).max(0.0);
        let plan = Spent {
            cpu_seconds: left(task.cpu_seconds, writing.cpu_seconds, packing.cpu_seconds),
            seconds: left(task.seconds, writing.seconds, packing.seconds),
        };
        self.charge("scan_join_sort", (0, 0), plan);
        self.charge("write", (rows_written, rows_written), writing);
    }
}
