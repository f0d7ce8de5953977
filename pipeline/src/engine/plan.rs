//! The plan of a run: which units there are. It follows from the input and the job alone, never from who runs it.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::check::CheckedJob;
use crate::engine::commit::Commit;
use crate::engine::exchange::segment;
use crate::engine::stages::Before;
use crate::engine::stages::shards::RowsOf;
use crate::error::RunError;
use crate::identity::{Parts, digest_of};
use crate::job::Job;
use crate::sources::{Input, Piece, SourceError, Split};

/// The parts of a run, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Stage {
    /// A table of neighbours to what each bucket has to know of it.
    Neighbours,
    /// Pages to tokens, with their images' places.
    Documents,
    /// Images to codes.
    Images,
    /// Images' rows to files of equal length.
    ImageShards,
    /// Documents and codes to what stands in front of other documents.
    Retrieved,
    /// Documents and codes to packed sequences.
    Sequences,
    /// Packed sequences to files of equal length.
    Shards,
}

impl Stage {
    /// All stages, in their order.
    pub const ALL: [Stage; 7] = [
        Stage::Neighbours,
        Stage::Documents,
        Stage::Images,
        Stage::ImageShards,
        Stage::Retrieved,
        Stage::Sequences,
        Stage::Shards,
    ];

    /// Width of the longest name, for columns of text.
    pub const NAME_WIDTH: usize = 12;

    /// The word for it, in paths and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Neighbours => "neighbours",
            Stage::Documents => "documents",
            Stage::Images => "images",
            Stage::ImageShards => "image_shards",
            Stage::Retrieved => "retrieved",
            Stage::Sequences => "sequences",
            Stage::Shards => "shards",
        }
    }

    /// The stages whose files its units read.
    pub fn reads(self) -> &'static [Stage] {
        match self {
            Stage::Neighbours | Stage::Documents => &[],
            Stage::Images => &[Stage::Documents],
            Stage::ImageShards => &[Stage::Images],
            Stage::Retrieved => &[Stage::Neighbours, Stage::Documents, Stage::Images],
            Stage::Sequences => &[Stage::Neighbours, Stage::Documents, Stage::Images, Stage::Retrieved],
            Stage::Shards => &[Stage::Sequences],
        }
    }

    /// Whether what its steps reject is in its books. Documents go through a step once more to be handed on as retrieved
    /// ones; what it rejects there it rejects in the documents' own unit, too, and there it is counted.
    pub fn books_rejects(self) -> bool {
        self != Stage::Retrieved
    }
}

/// An independent, deterministic piece of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its stage.
    pub stage: Stage,
    /// Its place in the stage.
    pub index: u32,
    /// Hash of everything that its output follows from.
    pub id: String,
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} unit {}", self.stage.name(), self.index)
    }
}

/// A split of one source, with the identity of what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedSplit {
    /// Index of the source in the job.
    pub source: u32,
    /// The pieces that one unit reads.
    pub split: Split,
    /// Hash of the pieces' names, sizes, first and last bytes.
    pub content: String,
}

/// Written once into the output folder; a run whose plan differs is refused there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Digest of the job, its tokenizers included.
    pub job: String,
    /// Digests of what each stage follows from by itself.
    #[serde(default)]
    pub parts: Parts,
    /// Digests of the sources' settings.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Rows of every shard but the last, or the last of each phase of training.
    #[serde(default)]
    pub rows_per_shard: u64,
    /// Rows of every shard of images but the last; 0 where there is no such table.
    pub image_rows_per_shard: u64,
    /// One per unit of the documents stage.
    pub splits: Vec<PlannedSplit>,
    /// Buckets of the exchanges: units of the images, the retrieved and the sequences stage.
    pub buckets: u32,
    /// Whether documents stand in front of others that they were retrieved for.
    pub retrieves: bool,
    /// What trainers get.
    pub tables: Vec<TrainingTable>,
}

/// A table that trainers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingTable {
    /// Packed sequences.
    Sequences,
    /// Images with their tokens and masks.
    Images,
}

impl TrainingTable {
    /// Those that a job wants.
    pub fn of(job: &Job) -> Vec<Self> {
        let sequences = job.sequences.is_some().then_some(Self::Sequences);
        let images = job.image_shards.is_some().then_some(Self::Images);
        sequences.into_iter().chain(images).collect()
    }
}

/// Bytes at either end of a piece that go into its identity in a plan, which is made again wherever a unit runs.
const SAMPLE: u64 = 64 << 10;
/// Bytes that are read at once where all are.
const AT_ONCE: u64 = 4 << 20;

impl RunPlan {
    /// The most buckets: one file holds all buckets of a unit, so more would only make row groups small.
    const MAX_BUCKETS: u64 = 4096;

    /// Lists the sources and cuts them into splits.
    pub fn make(checked: &CheckedJob) -> Result<Self, RunError> {
        let mut splits = Vec::new();
        for (index, source) in checked.sources.iter().enumerate() {
            let input = &checked.resources.inputs[index];
            let found = source.splits(input.as_ref(), checked.job.units.bytes);
            let found = found.map_err(|error| checked.unsuited(index, error))?;
            let planned: Result<Vec<_>, RunError> =
                found.into_par_iter().map(|split| planned(index as u32, split, input.as_ref())).collect();
            splits.extend(planned?);
        }
        let bytes: u64 = splits.iter().flat_map(|split| &split.split.pieces).map(|piece| piece.length).sum();
        let buckets = bytes.div_ceil(checked.job.units.bytes.max(1)).clamp(1, Self::MAX_BUCKETS) as u32;
        let sources = checked.job.sources.iter();
        let sources = sources.map(|source| digest_of(&serde_json::to_value(source).unwrap_or_default())).collect();
        Ok(Self {
            job: checked.digest.clone(),
            parts: checked.identity.parts(),
            sources,
            rows_per_shard: checked.job.shards.rows_per_shard,
            image_rows_per_shard: checked.job.image_shards.as_ref().map_or(0, |shards| shards.rows_per_shard),
            splits,
            buckets,
            retrieves: checked.job.sequences.as_ref().is_some_and(|sequences| sequences.retrieval.is_some()),
            tables: TrainingTable::of(&checked.job),
        })
    }

    /// Digest of the whole plan.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&json).to_hex().to_string()
    }

    /// Whether trainers get this table.
    pub fn makes(&self, table: TrainingTable) -> bool {
        self.tables.contains(&table)
    }

    /// How many units a stage has; unknown for shards, where it follows from the rows of the stage before them.
    pub fn count(&self, stage: Stage) -> Option<u32> {
        match stage {
            Stage::Neighbours if self.retrieves => Some(1),
            Stage::Documents => Some(self.splits.len() as u32),
            Stage::Images => Some(self.buckets),
            Stage::Retrieved if self.retrieves => Some(self.buckets),
            Stage::Sequences if self.makes(TrainingTable::Sequences) => Some(self.buckets),
            Stage::Shards if self.makes(TrainingTable::Sequences) => None,
            Stage::ImageShards if self.makes(TrainingTable::Images) => None,
            Stage::Neighbours | Stage::Retrieved => Some(0),
            Stage::Sequences | Stage::Shards | Stage::ImageShards => Some(0),
        }
    }

    /// Rows of every shard of a stage but the last, or the last of each phase of training.
    fn per_shard(&self, stage: Stage) -> u64 {
        if stage == Stage::ImageShards { self.image_rows_per_shard } else { self.rows_per_shard }
    }

    /// The rows that the shards of a stage take.
    pub fn rows_of<'a>(&self, stage: Stage, before: &'a Before) -> RowsOf<'a> {
        RowsOf::of(stage, before, self.per_shard(stage))
    }

    /// Units of a stage. What a unit follows from is what it reads of the stages before it, whose commits are `before`: so
    /// it has the same identity in another run where that comes to the same, whatever else the other run's job says.
    pub fn units(&self, stage: Stage, before: &Before) -> Vec<Unit> {
        let rows_of = self.rows_of(stage, before);
        let count = self.count(stage).unwrap_or_else(|| rows_of.num_shards());
        let unit = |index: u32| {
            let mut follows = Follows::from(stage, self.buckets);
            match stage {
                Stage::Neighbours => self.neighbours_follow(&mut follows),
                Stage::Documents => self.document_follows(index, &mut follows),
                Stage::Images => self.images_follow(index, &before.documents, &mut follows),
                Stage::Retrieved => self.retrieved_follow(index, before, &mut follows),
                Stage::Sequences => self.sequences_follow(index, before, &mut follows),
                Stage::Shards | Stage::ImageShards => self.shard_follows(index, count, &rows_of, &mut follows),
            }
            Unit { stage, index, id: follows.id() }
        };
        (0..count).map(unit).collect()
    }

    fn neighbours_follow(&self, follows: &mut Follows) {
        follows.text(&self.parts.neighbours);
    }

    fn document_follows(&self, index: u32, follows: &mut Follows) {
        let PlannedSplit { source, content, .. } = &self.splits[index as usize];
        follows.text(&self.parts.documents).number((*source).into());
        follows.text(self.sources.get(*source as usize).map_or("", String::as_str)).text(content);
    }

    fn images_follow(&self, index: u32, documents: &[Commit], follows: &mut Follows) {
        follows.text(&self.parts.images).number(index.into());
        for commit in documents {
            follows.bucket(commit, "image_references", index);
            // Locations say where images lie, not what they are: that stands in the digest of the split.
            if follows.bucket(commit, "image_locations", index) {
                follows.text(commit.input.as_deref().unwrap_or_default());
            }
        }
    }

    fn retrieved_follow(&self, index: u32, before: &Before, follows: &mut Follows) {
        follows.text(&self.parts.retrieved).number(index.into());
        follows.buckets(&before.neighbours, "wanted", index);
        follows.buckets(&before.documents, "documents", index).buckets(&before.images, "image_tokens", index);
    }

    fn sequences_follow(&self, index: u32, before: &Before, follows: &mut Follows) {
        follows.text(&self.parts.sequences).number(index.into());
        follows.buckets(&before.documents, "documents", index).buckets(&before.images, "image_tokens", index);
        // A job without retrieval has no such commits.
        follows.buckets(&before.neighbours, "chosen", index).buckets(&before.retrieved, "retrieved", index);
    }

    fn shard_follows(&self, index: u32, count: u32, rows_of: &RowsOf<'_>, follows: &mut Follows) {
        follows.text(&self.parts.shards).number(index.into()).number(count.into());
        for (file, first, rows) in rows_of.of_shard(index) {
            follows.text(&file.sha256).number(first).number(rows);
        }
    }
}

/// What a unit follows from, on its way to an identity. Each text is told with its length, so that none runs into the next.
struct Follows(blake3::Hasher);

impl Follows {
    fn from(stage: Stage, buckets: u32) -> Self {
        let mut follows = Self(blake3::Hasher::new());
        follows.text(stage.name()).number(buckets.into());
        follows
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64).0.update(text.as_bytes());
        self
    }

    /// The rows of a bucket in a table that a stage has handed on.
    fn buckets(&mut self, commits: &[Commit], table: &str, bucket: u32) -> &mut Self {
        for commit in commits {
            self.bucket(commit, table, bucket);
        }
        self
    }

    /// The rows of a bucket, by their checksums; `false` if a commit has none, which then says nothing.
    fn bucket(&mut self, commit: &Commit, table: &str, bucket: u32) -> bool {
        let Some(found) = commit.file(table).and_then(|file| segment(file, bucket)) else { return false };
        self.text(table).number(found.rows).number(found.bytes);
        for checksum in &found.checksums {
            self.number(*checksum);
        }
        true
    }

    fn id(&self) -> String {
        self.0.finalize().to_hex()[..32].to_owned()
    }
}

/// Digest of all that a split holds and of what was read beyond it; in a bucket, of the tags that its store gives to versions
/// of objects. Reads the split's files from end to end, which at a documents unit's end are still in the system's memory.
pub fn whole_content(split: &Split, beyond: &[Piece], input: &dyn Input) -> Result<String, SourceError> {
    let mut hasher = blake3::Hasher::new();
    for piece in split.pieces.iter().chain(beyond) {
        let Piece { path, offset, length } = piece;
        hasher.update(path.as_bytes()).update(&offset.to_le_bytes()).update(&length.to_le_bytes());
        if let Some(tag) = input.tag(path)? {
            hasher.update(tag.as_bytes());
            continue;
        }
        for from in (0..*length).step_by(AT_ONCE as usize) {
            hasher.update(&input.read_range(path, offset + from, AT_ONCE.min(length - from))?);
        }
    }
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}

fn planned(source: u32, split: Split, input: &dyn Input) -> Result<PlannedSplit, RunError> {
    let mut hasher = blake3::Hasher::new();
    for piece in &split.pieces {
        hash_piece(piece, input, &mut hasher)?;
    }
    Ok(PlannedSplit { source, split, content: hasher.finalize().to_hex()[..32].to_owned() })
}

fn hash_piece(piece: &Piece, input: &dyn Input, hasher: &mut blake3::Hasher) -> Result<(), RunError> {
    hasher.update(piece.path.as_bytes());
    hasher.update(&piece.offset.to_le_bytes());
    hasher.update(&piece.length.to_le_bytes());
    let head = piece.length.min(SAMPLE);
    let tail = (piece.length - head).min(SAMPLE);
    let mut sample = |offset: u64, length: u64| -> Result<(), RunError> {
        if length > 0 {
            let bytes = input.read_range(&piece.path, offset, length).map_err(crate::sources::SourceError::from)?;
            hasher.update(&bytes);
        }
        Ok(())
    };
    sample(piece.offset, head)?;
    sample(piece.offset + piece.length - tail, tail)
}
