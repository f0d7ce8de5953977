//! The one abstraction: a step takes a batch of rows, keeps those it can, and rejects the rest with a reason.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use pageloom_schemas::{Key, columns};
use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::vocabulary::Vocabulary;
use pageloom_vq::ImageTokenizer;

use crate::engine::memory::Memory;
use crate::engine::watch::Hand;
use crate::error::StepError;
use crate::sources::Input;

/// One step of a job. Sees one batch at a time, on one thread, and remembers nothing between batches: the engine spreads
/// rows over threads, and so knows what each step costs.
pub trait Step: Debug + Send + Sync {
    /// A row it can't keep goes to `rejects` with a reason; an `Err` means the job itself is wrong.
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError>;
    /// About how many bytes it holds while it works on these rows, where that doesn't follow from what they weigh.
    fn working_bytes(&self, _: &RecordBatch) -> u64 {
        0
    }
}

/// What a job file says about a step: plain data, checked before a run and sent to every worker as it is.
pub trait StepSettings {
    /// Settings that work on the pages of any test; used in the docs and by the law tests.
    fn example() -> Self;
    /// Which columns it reads, writes and drops: known before any data or model is read.
    fn columns(&self) -> Columns;
    /// Whatever is wrong with the settings by themselves, in the user's words.
    fn check(&self) -> Vec<String> {
        Vec::new()
    }
    /// The text files it reads, each with the setting that names it: they are there, or the job is refused.
    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        Vec::new()
    }
    /// What it can't use of the text of one of these files, by the setting that names it.
    fn unusable_lines(&self, _setting: &str, _text: &str) -> UnusableLines {
        UnusableLines::default()
    }
    /// The step, ready to run.
    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError>;
}

/// Lines of a file that a step can't use.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnusableLines {
    /// The first of them by their numbers, from 1, each with what is wrong with it and what to do.
    pub first: Vec<(usize, String)>,
    /// How many there are.
    pub count: usize,
    /// Whether there is no other line, so that the file comes to nothing.
    pub all: bool,
}

/// What steps share: loaded once per process, read only.
#[derive(Clone)]
pub struct Resources {
    /// The job's seed.
    pub seed: u64,
    /// Text to ids, and every id: where the job has text.
    pub ids: Option<Ids>,
    /// Images to codes.
    pub images: Arc<dyn ImageTokenizer>,
    /// Whether the job makes the table of images.
    pub makes_image_table: bool,
    /// The memory of the process, for what is large.
    pub memory: Arc<Memory>,
    /// Where the bytes of each of the job's sources lie.
    pub inputs: Vec<Arc<dyn Input>>,
    /// The folder that the job's paths are relative to.
    pub folder: PathBuf,
}

/// What turns text into ids.
#[derive(Debug, Clone)]
pub struct Ids {
    /// Text to ids.
    pub text: Arc<TextTokenizer>,
    /// Every id, images' included.
    pub vocabulary: Arc<Vocabulary>,
}

impl Resources {
    /// What turns text into ids; an error where the job has no text, which is checked before any step asks.
    pub fn ids(&self) -> Result<&Ids, StepError> {
        self.ids.as_ref().ok_or_else(|| StepError::Bug("the job names no text tokenizer".into()))
    }
}

/// What a step does to the columns of a table.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    reads: Vec<Field>,
    writes: Vec<Field>,
    drops: Vec<String>,
}

impl Columns {
    /// The columns it needs.
    pub fn reads(fields: impl IntoIterator<Item = Field>) -> Self {
        Self { reads: fields.into_iter().collect(), ..Self::default() }
    }

    /// The columns it adds at the end, in this order.
    pub fn writes(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.writes = fields.into_iter().collect();
        self
    }

    /// The columns it takes away.
    pub fn drops(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.drops = fields.into_iter().map(|field| field.name().clone()).collect();
        self
    }

    /// The first column that it needs and that is not there.
    pub fn missing(&self, schema: &Schema) -> Option<String> {
        let missing = self.reads.iter().find(|wanted| schema.field_with_name(wanted.name()).is_err());
        missing.map(|wanted| wanted.name().clone())
    }

    /// Whether it adds a column of this name.
    pub fn written(&self, name: &str) -> bool {
        self.writes.iter().any(|field| field.name() == name)
    }

    /// The table that leaves the step; an error names the column that the step misses.
    pub fn apply(&self, schema: &Schema) -> Result<SchemaRef, String> {
        for wanted in &self.reads {
            match schema.field_with_name(wanted.name()) {
                Err(_) => return Err(format!("reads column `{}`, which no step before it writes", wanted.name())),
                Ok(found) if found.data_type() != wanted.data_type() => {
                    let (name, expected, there) = (wanted.name(), wanted.data_type(), found.data_type());
                    return Err(format!("reads column `{name}: {expected}`, but it is `{there}` here"));
                }
                Ok(_) => {}
            }
        }
        let kept = schema.fields().iter().filter(|field| !self.drops.contains(field.name()));
        let fields: Vec<Field> = kept.map(|field| field.as_ref().clone()).chain(self.writes.clone()).collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The batch that leaves the step: without the dropped columns, with the new ones at the end.
    pub fn replace(&self, batch: &RecordBatch, new: Vec<ArrayRef>) -> Result<RecordBatch, StepError> {
        let schema = self.apply(&batch.schema()).map_err(StepError::Bug)?;
        let fields = batch.schema();
        let kept = fields.fields().iter().zip(batch.columns());
        let kept = kept.filter(|(field, _)| !self.drops.contains(field.name())).map(|(_, column)| column.clone());
        Ok(RecordBatch::try_new(schema, kept.chain(new).collect())?)
    }
}

/// What a rejected row was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A page.
    Document,
    /// Pages joined end to end.
    Block,
    /// An image, or a page's reference to one.
    Image,
    /// A piece of a source that is neither.
    Record,
}

impl Kind {
    /// The word in the rejects table.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Document => "document",
            Kind::Block => "block",
            Kind::Image => "image",
            Kind::Record => "record",
        }
    }
}

/// Why a row can't be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word in snake case, for counting.
    pub reason: &'static str,
    /// What was found, for a person.
    pub detail: String,
}

impl Refusal {
    /// A reason with what was found.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// One row of the rejects table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reject {
    /// What it was.
    pub kind: Kind,
    /// Its key, or where a record stood in its source.
    pub key: String,
    /// Its URL, as far as known.
    pub url: String,
    /// The step that refused it.
    pub step: String,
    /// Why, in a word.
    pub reason: &'static str,
    /// What was found.
    pub detail: String,
}

/// The rows a step could not keep.
#[derive(Debug)]
pub struct Rejects {
    kind: Kind,
    step: String,
    rows: Vec<Reject>,
    dropped: Vec<Reject>,
    hand: Option<Arc<Hand>>,
}

impl Rejects {
    /// An empty list for one step over rows of one kind.
    pub fn new(kind: Kind, step: impl Into<String>) -> Self {
        Self::watched(kind, step, None)
    }

    /// The same for rows that somebody watches.
    pub fn watched(kind: Kind, step: impl Into<String>, hand: Option<Arc<Hand>>) -> Self {
        Self { kind, step: step.into(), rows: Vec::new(), dropped: Vec::new(), hand }
    }

    /// The numbers of a batch's rows. Whoever watches sees which one is in hand, so that a slow one can be named.
    pub fn each_row(&self, batch: &RecordBatch) -> impl Iterator<Item = usize> + use<> {
        let hand = self.hand.clone();
        (0..batch.num_rows()).inspect(move |row| hand.iter().for_each(|hand| hand.at(*row)))
    }

    /// Rows of the batch that left it.
    pub fn rows(&self) -> &[Reject] {
        &self.rows
    }

    /// Adds what another part of the same batch lost.
    pub fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
        self.dropped.append(&mut other.dropped);
    }

    /// Rejected rows, and the references to images that were dropped from rows that stayed.
    pub fn into_parts(self) -> (Vec<Reject>, Vec<Reject>) {
        (self.rows, self.dropped)
    }

    /// Keeps the rows with an outcome, records the refusals of the others, and returns both columns in step.
    pub fn keep_ok<T>(
        &mut self,
        batch: &RecordBatch,
        outcomes: Vec<Result<T, Refusal>>,
    ) -> Result<(RecordBatch, Vec<T>), StepError> {
        let mut kept = Vec::with_capacity(outcomes.len());
        let mut keep = Vec::with_capacity(outcomes.len());
        for (row, outcome) in outcomes.into_iter().enumerate() {
            keep.push(outcome.is_ok());
            match outcome {
                Ok(value) => kept.push(value),
                Err(refusal) => self.refuse(batch, row, refusal)?,
            }
        }
        if kept.len() == batch.num_rows() {
            return Ok((batch.clone(), kept));
        }
        Ok((filter_record_batch(batch, &BooleanArray::from(keep))?, kept))
    }

    /// Records that one row of the batch is not kept.
    pub fn refuse(&mut self, batch: &RecordBatch, row: usize, refusal: Refusal) -> Result<(), StepError> {
        let reject = self.reject(self.kind, batch, row, None, refusal)?;
        self.rows.push(reject);
        Ok(())
    }

    /// Records that a kept row lost one of its images, by URL.
    pub fn drop_image(
        &mut self,
        batch: &RecordBatch,
        row: usize,
        url: &str,
        refusal: Refusal,
    ) -> Result<(), StepError> {
        let reject = self.reject(Kind::Image, batch, row, Some(url), refusal)?;
        self.dropped.push(reject);
        Ok(())
    }

    fn reject(
        &self,
        kind: Kind,
        batch: &RecordBatch,
        row: usize,
        url: Option<&str>,
        refusal: Refusal,
    ) -> Result<Reject, StepError> {
        let key = columns::key();
        let key = Key::of(key.of(batch)?, row)?;
        let row_url = columns::url();
        let row_url = row_url.of(batch)?;
        Ok(Reject {
            kind,
            key: key.to_string(),
            url: shorten(url.unwrap_or_else(|| row_url.value(row)), 2048),
            step: self.step.clone(),
            reason: refusal.reason,
            detail: shorten(&refusal.detail, 512),
        })
    }
}

/// The text's first `bytes` bytes at most, cut at a character.
pub fn shorten(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes)])
}
