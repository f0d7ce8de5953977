//! The plan of a run: which units there are. It follows from the input and the job alone, never from who runs it.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::check::CheckedJob;
use crate::engine::commit::Commit;
use crate::error::RunError;
use crate::sources::{Input, Piece, Split};

/// The parts of a run, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Stage {
    /// Pages to tokens, with their images' places.
    Documents,
    /// Images to codes.
    Images,
    /// Images' rows to files of equal length.
    ImageShards,
    /// Documents and codes to packed sequences.
    Sequences,
    /// Packed sequences to files of equal length.
    Shards,
}

impl Stage {
    /// All stages, in their order.
    pub const ALL: [Stage; 5] = [Stage::Documents, Stage::Images, Stage::ImageShards, Stage::Sequences, Stage::Shards];

    /// Width of the longest name, for columns of text.
    pub const NAME_WIDTH: usize = 12;

    /// The word for it, in paths and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Documents => "documents",
            Stage::Images => "images",
            Stage::ImageShards => "image_shards",
            Stage::Sequences => "sequences",
            Stage::Shards => "shards",
        }
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
    /// One per unit of the documents stage.
    pub splits: Vec<PlannedSplit>,
    /// Buckets of the exchanges: units of the images and of the sequences stage.
    pub buckets: u32,
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

/// Bytes at either end of a piece that go into its identity.
const SAMPLE: u64 = 64 << 10;

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
        let sequences = checked.job.sequences.is_some().then_some(TrainingTable::Sequences);
        let images = checked.job.image_shards.is_some().then_some(TrainingTable::Images);
        let tables = sequences.into_iter().chain(images).collect();
        Ok(Self { job: checked.digest.clone(), splits, buckets, tables })
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

    /// Units of every stage but those of shards, whose number follows from the rows of the stage before them.
    pub fn units(&self, stage: Stage) -> Vec<Unit> {
        let count = match stage {
            Stage::Documents => self.splits.len() as u32,
            Stage::Images => self.buckets,
            Stage::Sequences if self.makes(TrainingTable::Sequences) => self.buckets,
            Stage::Sequences | Stage::Shards | Stage::ImageShards => 0,
        };
        self.numbered(stage, count)
    }

    /// Units of a stage of shards, one for each: `rows_of` are the commits whose rows they take.
    pub fn shard_units(&self, stage: Stage, rows_of: &[Commit], rows_per_shard: u64) -> Vec<Unit> {
        let rows: u64 = rows_of.iter().map(|commit| commit.count("rows")).sum();
        self.numbered(stage, rows.div_ceil(rows_per_shard.max(1)) as u32)
    }

    fn numbered(&self, stage: Stage, count: u32) -> Vec<Unit> {
        let digest = self.digest();
        let unit = |index: u32| {
            let id = blake3::hash(format!("{digest}/{}/{index}", stage.name()).as_bytes());
            Unit { stage, index, id: id.to_hex()[..16].to_owned() }
        };
        (0..count).map(unit).collect()
    }
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
