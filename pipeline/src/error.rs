//! What can go wrong: a job that is wrong, a run that failed, a bug of ours.

use std::fmt;

use pageloom_schemas::SchemaError;

/// One thing that is wrong with a job, where it stands, and what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// File and line, or the command-line option.
    pub place: String,
    /// What is wrong, and what was found there.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a remedy of its own.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), hint: None }
    }

    /// The same problem with its remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobError(pub Vec<Problem>);

impl From<Problem> for JobError {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        formatter.write_str(&problems.join("\n"))
    }
}

impl std::error::Error for JobError {}

/// A step could not work: the job does not fit the data, or we have a bug. A bad document is never one of these.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A column is not what the step was promised.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Arrow refused to build a column.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// The model refused to work.
    #[error("the image encoder failed: {0}")]
    Encoder(#[from] pageloom_vq::VqError),
    /// A file that the step reads says something that it can't use, with the file and the line.
    #[error("{0}")]
    File(String),
    /// A file or object of the job can't be read.
    #[error("{0}; no image is given up for that: once it can be read, the same command goes on from here")]
    Storage(#[from] crate::sources::InputError),
    /// A record needs more memory than the process may hold.
    #[error("not enough memory: {0}; raise `units.memory_limit`, or set the step's limits lower")]
    Memory(String),
    /// Something that can't happen did.
    #[error("bug in pageloom: {0}; please report it")]
    Bug(String),
}

/// A run stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The job itself is wrong: exit code 1.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A unit failed.
    #[error("{unit} failed: {cause}")]
    Unit {
        /// Stage and index.
        unit: String,
        /// Why.
        cause: String,
    },
    /// Units of a stage failed as often as the job allows; all others of the stage are committed.
    #[error("{} of {stage} failed, each {attempts} times; all others are committed, and the same command tries these again:\n  {}", units_of(.failed.len()), .failed.join("\n  "))]
    Units {
        /// The stage.
        stage: &'static str,
        /// How often each was tried.
        attempts: u32,
        /// Each unit with what its last attempt ended in.
        failed: Vec<String>,
    },
    /// The disk is full, or a quota of it.
    #[error(
        "no room is left in {place}: {unit} failed: {cause}\n    hint: make room, {needed}; the same command goes on from here"
    )]
    NoRoom {
        /// What is full.
        place: String,
        /// How much it takes.
        needed: String,
        /// Stage and index, or what else was done.
        unit: String,
        /// Why.
        cause: String,
    },
    /// A unit's plan needs more memory than it has.
    #[error(
        "{unit} failed: {held} MB for its plan are too few ({cause})\n    hint: raise `units.memory` and `units.memory_limit`, or lower `units.bytes`"
    )]
    Share {
        /// Stage and index.
        unit: String,
        /// What it had.
        held: u64,
        /// Why.
        cause: String,
    },
    /// The process holds more memory than it may.
    #[error(
        "out of memory: {0}\n    hint: raise `units.memory_limit`, or lower `--parallel`; the same command goes on from here"
    )]
    Memory(String),
    /// DataFusion reported an error.
    #[error(transparent)]
    Engine(#[from] datafusion::error::DataFusionError),
    /// The store can't be read or written.
    #[error("storage: {0}")]
    Storage(#[from] object_store::Error),
    /// Standard output can't be written.
    #[error("the answer can't be written: {0}")]
    Answer(std::io::Error),
    /// A source can't be read.
    #[error(transparent)]
    Source(#[from] crate::sources::SourceError),
    /// A Parquet file can't be read or written.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A table is not what its reader was promised.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A step could not work.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A record of the run can't be read.
    #[error("{path}: {cause}")]
    Record {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A model, or a file named beside it, can't be used.
    #[error("{0}")]
    Model(String),
    /// The books don't balance.
    #[error("verify found {}:\n  {}\n    hint: {hint}", problems_of(.problems.len()), .problems.join("\n  "))]
    Unbalanced {
        /// Each with its place.
        problems: Vec<String>,
        /// What to do about them.
        hint: &'static str,
    },
    /// A unit has to wait for another.
    #[error("{0} has to be committed first")]
    Uncommitted(String),
    /// The user stopped the run.
    #[error("stopped; the same command goes on from here")]
    Interrupted,
    /// Something that can't happen did.
    #[error("bug in pageloom: {0}; please report it")]
    Bug(String),
}

fn problems_of(count: usize) -> String {
    if count == 1 { "1 problem".into() } else { format!("{count} problems") }
}

fn units_of(count: usize) -> String {
    if count == 1 { "1 unit".into() } else { format!("{count} units") }
}

impl From<arrow::error::ArrowError> for RunError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Step(StepError::Arrow(error))
    }
}
