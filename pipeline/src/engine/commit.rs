//! What a finished unit leaves: one record, created once, that names its files and balances its books.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::engine::plan::{Stage, Unit};
use crate::engine::store::{Created, Store};
use crate::engine::table_writer::TableFile;
use crate::error::RunError;
use crate::sources::Piece;

/// A unit's record. Readers list commits, never data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// The unit's identity.
    pub unit: String,
    /// The unit's place in its stage.
    pub index: u32,
    /// Digest of all that a documents unit's split held; see `plan::whole_content`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// What a documents unit read beyond its split, for that is in the digest too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<Piece>,
    /// Files by table.
    pub files: BTreeMap<String, TableFile>,
    /// Row counts by name; which must balance stands in `verify`.
    pub counts: BTreeMap<String, u64>,
    /// Rejected rows by `kind.reason`.
    pub rejects: BTreeMap<String, u64>,
    /// Records that were neither page nor image, by kind.
    pub skipped: BTreeMap<String, u64>,
    /// References to images that were dropped from documents that stayed, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What each step did. Neither this nor what follows goes into any shard.
    pub steps: Vec<StepReport>,
    /// When the unit began, in seconds since 1970.
    pub began: f64,
    /// Wall-clock time of the unit.
    pub seconds: f64,
    /// Threads that computed in the unit's process.
    #[serde(default)]
    pub threads: u32,
    /// The most memory that the unit's process had held until its end, other units' in it.
    pub peak_memory_bytes: Option<u64>,
}

/// What one step did in one unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Its name in the job; or `read`, `pack`, `scan_join_sort` or `write`, which are the engine's own.
    pub step: String,
    /// Rows it took.
    pub rows_in: u64,
    /// Rows it kept.
    pub rows_out: u64,
    /// CPU time it took, on however many threads.
    pub cpu_seconds: f64,
    /// Wall-clock time it was busy, added up over threads: more than its CPU time where it waits.
    pub seconds: f64,
}

impl Commit {
    /// A count by name; 0 if the unit counted no such thing.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// A table's file, if the unit wrote one.
    pub fn file(&self, table: &str) -> Option<&TableFile> {
        self.files.get(table)
    }
}

/// Counts by name, added up over units.
pub fn add_up<'a>(counts: impl IntoIterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (name, count) in counts.into_iter().flatten() {
        *sums.entry(name.clone()).or_default() += count;
    }
    sums
}

fn folder(stage: Stage) -> String {
    format!("commits/{}", stage.name())
}

fn path(unit: &Unit) -> String {
    format!("{}/{:05}-{}.json", folder(unit.stage), unit.index, unit.id)
}

/// Commits a unit. Where another attempt was first, its record stands and ours is garbage.
pub async fn commit(store: &Store, unit: &Unit, record: &Commit) -> Result<Created, RunError> {
    store.create_json(&path(unit), record).await
}

/// A unit's record, if it is committed.
pub async fn committed(store: &Store, unit: &Unit) -> Result<Option<Commit>, RunError> {
    read(store, &path(unit)).await
}

/// A commit by the name of its file. One that can't be read is no commit: its unit can be done again.
async fn read(store: &Store, path: &str) -> Result<Option<Commit>, RunError> {
    store.read_json(path).await.map_err(|error| match error {
        RunError::Record { path, cause } => {
            let cause =
                format!("{cause}\n    hint: remove this file, and run the same command again: its unit is done anew");
            RunError::Record { path, cause }
        }
        other => other,
    })
}

/// So many records are asked for at once, for each may be a round trip away.
const AT_ONCE: usize = 16;

/// The records of units, each as far as it is committed.
pub async fn each_committed(store: &Store, units: &[Unit]) -> Result<Vec<Option<Commit>>, RunError> {
    stream::iter(units).map(|unit| committed(store, unit)).buffered(AT_ONCE).try_collect().await
}

/// The records of all units; an error names the first that is not committed.
pub async fn all_committed(store: &Store, units: &[Unit]) -> Result<Vec<Commit>, RunError> {
    let records = each_committed(store, units).await?.into_iter().zip(units);
    records.map(|(record, unit)| record.ok_or_else(|| RunError::Uncommitted(unit.to_string()))).collect()
}

/// All records of a stage, in the units' order.
pub async fn commits_of(store: &Store, stage: Stage) -> Result<Vec<Commit>, RunError> {
    let paths = store.list(&folder(stage)).await?;
    let records = stream::iter(paths).map(|(path, _)| async move { read(store, &path).await }).buffered(AT_ONCE);
    let records: Vec<Option<Commit>> = records.try_collect().await?;
    let mut records: Vec<Commit> = records.into_iter().flatten().collect();
    records.sort_by_key(|commit| commit.index);
    Ok(records)
}
