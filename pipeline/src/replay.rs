//! Runs one page or image of a run through its steps again, alone, and says what each of them did.

mod columns;
mod find;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use pageloom_schemas::Key;
use serde::Serialize;

use crate::engine::commit::commits_of;
use crate::engine::exchange::{bucket_of, image_bucket};
use crate::engine::plan::Stage;
use crate::engine::reading::page_rows;
use crate::engine::session::session;
use crate::engine::stages::{Before, images, sequences};
use crate::engine::step_exec::guarded;
use crate::engine::store::Store;
use crate::engine::unit::Run;
use crate::error::{JobError, Problem, RunError, StepError};
use crate::finish::image_grid;
use crate::random::order_hash;
use crate::run::reopen;
use crate::step::Kind;
use crate::steps::StepConfig;
use crate::words::Words;
use find::Found;

/// What happened to one page or image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// `document`, `image` or `record`.
    pub kind: &'static str,
    /// Its key, or where a record stands in its source.
    pub key: String,
    /// Its URL.
    pub url: String,
    /// What it was, and what each step left of it, in order.
    pub steps: Vec<ReplayedStep>,
    /// What became of it.
    pub end: String,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayedStep {
    /// Its name; `read` for what the source gave.
    pub step: String,
    /// The columns that it wrote, in words.
    pub columns: Vec<(String, String)>,
    /// What it refused, and images that it took out: `reason: what was found`.
    pub rejects: Vec<String>,
}

/// Runs a page or an image through its steps again; `id` is its key or its URL.
pub async fn replay(store: &Store, id: &str) -> Result<Replay, RunError> {
    let run = reopen(store).await?;
    let before = Before {
        documents: commits_of(store, Stage::Documents).await?,
        images: commits_of(store, Stage::Images).await?,
        ..Before::default()
    };
    let context = session(store, run.checked.job.units.memory, 128)?;
    match find::find(&run, &before, id).await? {
        Some(Found::Page(key, document)) => {
            let steps = Steps::start(&run, Kind::Document, page_rows(&[(key, document)])?)?;
            replay_document(steps, &context, &before, key).await
        }
        Some(Found::Record(reject)) => Ok(Replay {
            kind: "record",
            key: reject.key,
            url: reject.url,
            steps: Vec::new(),
            end: format!("rejected while reading as {}: {}", reject.reason, reject.detail),
        }),
        None => replay_image(&run, &context, &before, id).await,
    }
}

async fn replay_document(
    mut steps: Steps<'_>,
    context: &SessionContext,
    before: &Before,
    key: Key,
) -> Result<Replay, RunError> {
    let (run, seed) = (steps.run, steps.run.checked.job.seed);
    if !steps.through(&run.checked.job.documents)? {
        return steps.finish_rejected();
    }
    if before.images.len() < run.plan.buckets as usize {
        return steps.finish("kept; its images are not encoded yet, so that nothing more can be shown");
    }
    let bucket = bucket_of(order_hash(seed, &key.0), run.plan.buckets);
    let documents = sequences::illustrated_documents(context, &run.store, before, bucket).await?;
    let Some(rows) = row_of(documents, context, key).await? else {
        return steps.finish("kept now, but it is not among the run's documents: the source has changed");
    };
    steps.take("join", rows);
    let Some(sequences) = &run.checked.job.sequences else {
        return steps.finish("kept; the job makes no sequences of it");
    };
    let [interleave, objective] = sequences.steps();
    if !steps.through(&[interleave])? {
        return steps.finish_rejected();
    }
    if sequences.retrieval.is_some() {
        return steps.finish("kept, ready to have its neighbours put in front");
    }
    if sequences.objective.takes_blocks() {
        return steps.finish("kept, ready to be joined with other documents into blocks");
    }
    let kept = steps.through(&[objective])?;
    if kept { steps.finish("kept: an example, ready to be packed") } else { steps.finish_rejected() }
}

async fn replay_image(run: &Run, context: &SessionContext, before: &Before, id: &str) -> Result<Replay, RunError> {
    let key = find::image(run, context, before, id).await?;
    let images = images::located_images(context, run, &before.documents, image_bucket(&key, run.plan.buckets)).await?;
    let Some(rows) = row_of(images, context, key).await? else {
        let place = run.store.root().to_string();
        let problem = Problem::new(place, format!("no page and no image of the units committed so far is `{id}`"));
        let hint = "give a key or a URL as `pageloom rejects` and `pageloom show` print them";
        return Err(JobError::from(problem.hint(hint)).into());
    };
    let mut steps = Steps::start(run, Kind::Image, rows)?;
    let kept = steps.through(&run.checked.job.images)?;
    if kept { steps.finish("kept: its codes go to each page that shows it") } else { steps.finish_rejected() }
}

/// The row with this key, as a batch of its own.
pub(crate) async fn row_of(
    plan: Arc<dyn ExecutionPlan>,
    context: &SessionContext,
    key: Key,
) -> Result<Option<RecordBatch>, RunError> {
    let mut batches = execute_stream(plan, context.task_ctx())?;
    while let Some(batch) = batches.try_next().await? {
        let keys = pageloom_schemas::columns::key();
        let row = keys.of(&batch)?.iter().position(|found| found == Some(&key.0));
        if let Some(row) = row {
            return Ok(Some(batch.slice(row, 1)));
        }
    }
    Ok(None)
}

/// One row on its way.
struct Steps<'a> {
    run: &'a Run,
    kind: Kind,
    words: Words,
    rows: RecordBatch,
    key: String,
    url: String,
    done: Vec<ReplayedStep>,
}

impl<'a> Steps<'a> {
    fn start(run: &'a Run, kind: Kind, rows: RecordBatch) -> Result<Self, RunError> {
        let resources = &run.checked.resources;
        let words = Words { ids: resources.ids.clone(), image_grid: image_grid(resources) };
        let (key, url) = (pageloom_schemas::columns::key(), pageloom_schemas::columns::url());
        let key = Key::of(key.of(&rows)?, 0)?.to_string();
        let url = url.of(&rows)?.value(0).to_owned();
        let empty = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let mut steps = Self { run, kind, words, rows: empty, key, url, done: Vec::new() };
        steps.take("read", rows);
        Ok(steps)
    }

    /// Goes on with these rows, and notes what they hold that the ones before did not.
    fn take(&mut self, step: &str, rows: RecordBatch) {
        let columns = columns::new_in_words(&self.rows, &rows, &self.words);
        self.done.push(ReplayedStep { step: step.into(), columns, rejects: Vec::new() });
        self.rows = rows;
    }

    /// Goes through steps; `false` if one of them rejects the row.
    fn through(&mut self, configs: &[StepConfig]) -> Result<bool, RunError> {
        for config in configs {
            let schema = config.columns().apply(&self.rows.schema()).map_err(StepError::Bug)?;
            let step = self.run.checked.step(config)?;
            // Steps wait for bytes as they would on a thread of their own.
            let process = || guarded(step.as_ref(), self.kind, config.name(), &schema, self.rows.clone());
            let (kept, rejects) = tokio::task::block_in_place(process)?;
            self.take(config.name(), kept);
            let (refused, dropped) = rejects.into_parts();
            let in_words =
                |reject: &crate::step::Reject| format!("{}: {} ({})", reject.reason, reject.detail, reject.url);
            if let Some(done) = self.done.last_mut() {
                done.rejects = refused.iter().chain(&dropped).map(in_words).collect();
            }
            if self.rows.num_rows() == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says once more which step it was, and why: the last thing that is read.
    fn finish_rejected(self) -> Result<Replay, RunError> {
        let end = self.done.last().map(|last| {
            let reason =
                last.rejects.first().and_then(|reject| reject.split_once(':')).map_or("", |(reason, _)| reason);
            format!("rejected by {} as {reason}", last.step)
        });
        self.finish(&end.unwrap_or_default())
    }

    fn finish(self, end: &str) -> Result<Replay, RunError> {
        Ok(Replay { kind: self.kind.as_str(), key: self.key, url: self.url, steps: self.done, end: end.into() })
    }
}

impl Replay {
    /// The replay for a terminal; no column takes more than `chars` characters.
    pub fn text(&self, chars: usize) -> String {
        let mut text = format!("{} {} {}\n", self.kind, self.key, self.url);
        for step in &self.steps {
            text.push_str(&format!("\n── {}\n", step.step));
            for (name, words) in &step.columns {
                text.push_str(&format!("{name}: {}\n", columns::cut(words, chars)));
            }
            if step.columns.is_empty() && step.rejects.is_empty() {
                text.push_str("   kept as it was\n");
            }
            for reject in &step.rejects {
                text.push_str(&format!("   not kept: {}\n", columns::cut(reject, chars)));
            }
        }
        text.push_str(&format!("\n{}\n", self.end));
        text
    }
}
