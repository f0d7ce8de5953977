//! Reads a finished run again from end to end: every byte of its files, every row made anew, every example inverted.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;

use crate::engine::commit::{Commit, commits_of};
use crate::engine::plan::{Stage, Unit};
use crate::engine::stages::shards::ShardedTable;
use crate::engine::stages::{Before, sequences, shards};
use crate::engine::store::Store;
use crate::engine::table_writer::TableFile;
use crate::engine::unit::{Run, UnitLog};
use crate::error::RunError;
use crate::job::Sequences;
use crate::run::reopen;
use crate::status::before_shards;
use crate::steps::apply_objective::Inverse;
use crate::verify::compared::Compared;
use crate::verify::{check_sum, unbalanced};

/// What was read and made again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Deep {
    /// Files whose SHA-256 is the one of their commit.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Units of the sequences stage whose rows were made again, and are the same.
    pub units: u64,
    /// Documents of those units.
    pub documents: u64,
    /// Examples of theirs that gave the document's tokens back; none where the objective can't be inverted.
    pub inverted: u64,
    /// Shards whose rows are those of the stage before them.
    pub shards: u64,
}

/// Verifies a finished run deeply. `sample` bounds the units whose rows are made again; they are spread evenly.
pub async fn verify_deep(store: &Store, sample: Option<usize>) -> Result<Deep, RunError> {
    let run = reopen(store).await?;
    let mut findings = Vec::new();
    let mut deep = Deep { files: 0, bytes: 0, units: 0, documents: 0, inverted: 0, shards: 0 };
    let before = before_shards(store).await?;
    let image_shards = commits_of(store, Stage::ImageShards).await?;
    let shards = commits_of(store, Stage::Shards).await?;
    let Before { neighbours, documents, images, retrieved, sequences } = &before;
    let stages = [neighbours, documents, images, &image_shards, retrieved, sequences, &shards];
    for file in stages.into_iter().flatten().flat_map(|commit| commit.files.values()) {
        findings.extend(check_sum(store, file).await.err());
        deep.files += 1;
        deep.bytes += file.bytes;
    }
    let units = run.plan.units(Stage::Sequences, &before);
    for unit in spread(&units, sample) {
        remake_sequences(&run, unit, &before, &mut deep, &mut findings).await?;
    }
    for (stage, shards) in [(Stage::ImageShards, &image_shards), (Stage::Shards, &shards)] {
        let Some(table) = ShardedTable::of(&run.checked, stage) else { continue };
        for unit in run.plan.units(stage, &before) {
            deep.shards += compare_shard(&run, &unit, &table, &before, shards, &mut findings).await?;
        }
    }
    if findings.is_empty() { Ok(deep) } else { Err(unbalanced(findings, true)) }
}

/// So many of the units, from the first on, with the same distance between them.
fn spread(units: &[Unit], sample: Option<usize>) -> impl Iterator<Item = &Unit> {
    let count = sample.unwrap_or(units.len()).min(units.len());
    (0..count).map(move |index| &units[index * units.len() / count])
}

async fn remake_sequences(
    run: &Run,
    unit: &Unit,
    before: &Before,
    deep: &mut Deep,
    findings: &mut Vec<String>,
) -> Result<(), RunError> {
    let mut compared = Vec::new();
    for phase in 0..num_phases(run) {
        let table = sequences::table_of_phase(phase);
        let Some(file) = committed_file(&before.sequences, unit, &table, findings) else { return Ok(()) };
        compared.push(Compared::with(&run.store, &file.path).await?);
    }
    let log = UnitLog::new(run.progress.clone(), unit);
    let lost: Arc<Mutex<Vec<String>>> = Arc::default();
    let (inverse, found) = (inverse(run)?, lost.clone());
    let counted = log.clone();
    let look = move |batch: RecordBatch| {
        if let Some(inverse) = &inverse {
            let (inverted, lost) = inverse.check(&batch)?;
            counted.count("inverted", inverted);
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(lost);
        }
        Ok(batch)
    };
    if let Err(error) = sequences::run_into(run, unit, &log, before, compared, look).await {
        findings.push(format!("{unit}: {error}"));
    }
    findings.append(&mut lost.lock().unwrap_or_else(PoisonError::into_inner));
    deep.units += 1;
    deep.documents += log.counted("documents");
    deep.inverted += log.counted("inverted");
    Ok(())
}

/// How many phases of training the job's rows are for.
fn num_phases(run: &Run) -> u32 {
    run.checked.job.sequences.as_ref().map_or(0, |sequences| sequences.objective.num_phases())
}

/// What inverts the job's objective, if anything does.
fn inverse(run: &Run) -> Result<Option<Inverse>, RunError> {
    let sequences = run.checked.job.sequences.as_ref();
    let invertible = sequences.filter(|sequences| sequences.objective.is_invertible());
    let build = |of: &Sequences| Ok(Inverse::build(of.apply_objective(), &run.checked.resources)?);
    invertible.map(build).transpose()
}

/// Compares a shard with the rows that it was made of; the answer is how many were compared: none if it isn't committed.
async fn compare_shard(
    run: &Run,
    unit: &Unit,
    table: &ShardedTable,
    before: &Before,
    shards: &[Commit],
    findings: &mut Vec<String>,
) -> Result<u64, RunError> {
    let Some(file) = committed_file(shards, unit, "shard", findings) else { return Ok(0) };
    let compared = Compared::with(&run.store, &file.path).await?;
    let log = UnitLog::new(run.progress.clone(), unit);
    if let Err(error) = shards::run_into(run, unit, &log, table, &table.rows_of(before), compared).await {
        findings.push(format!("{unit}: {error}"));
    }
    Ok(1)
}

/// The file of a unit, by its commit; that there is none is a finding.
fn committed_file<'a>(
    commits: &'a [Commit],
    unit: &Unit,
    table: &str,
    findings: &mut Vec<String>,
) -> Option<&'a TableFile> {
    let file = commits.iter().find(|commit| commit.unit == unit.id).and_then(|commit| commit.file(table));
    if file.is_none() {
        findings.push(format!("{unit} is not committed, so there is nothing to compare"));
    }
    file
}
