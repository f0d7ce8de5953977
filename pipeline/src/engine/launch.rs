//! The local launcher: runs the units of a stage that are not committed, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};

use crate::engine::commit::{Commit, all_committed, commit, committed, each_committed};
use crate::engine::memory::{Beside, megabytes};
use crate::engine::no_room::{ended, full, out_of_share};
use crate::engine::plan::{Stage, Unit};
use crate::engine::progress::{Measure, StageDisplay};
use crate::engine::reuse::take_over;
use crate::engine::stages::neighbours::table_bytes;
use crate::engine::stages::{Before, run_unit};
use crate::engine::store::Created;
use crate::engine::unit::Run;
use crate::error::RunError;
use crate::tell;

/// What is waited after a first failure; after the n-th it is n times as long.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs a stage to its end and returns its commits, in the units' order.
pub async fn run_stage(run: &Run, stage: Stage, before: Before, parallel: usize) -> Result<Vec<Commit>, RunError> {
    let units = run.plan.units(stage, &before);
    if let Some(earlier) = &run.earlier {
        take_over(run, earlier, stage, &units).await?;
    }
    let there = each_committed(&run.store, &units).await?;
    let open: Vec<Unit> =
        units.iter().zip(there).filter(|(_, there)| there.is_none()).map(|(unit, _)| unit.clone()).collect();
    let (total, measure) = work(run, stage, &before, &open);
    let done_before = units.len() - open.len();
    if done_before > 0 {
        let width = Stage::NAME_WIDTH;
        tell!("{:<width$} {done_before}/{} units are there already", stage.name(), units.len());
    }
    if open.is_empty() {
        return all_committed(&run.store, &units).await;
    }
    selftest(run, stage).await?;
    let display = StageDisplay::start(&run.progress, stage.name(), open.len() as u64, total, measure);
    let before = Arc::new(before);
    let failed: Vec<Option<String>> = stream::iter(open)
        .map(|unit| {
            let (run, before) = (run.clone(), before.clone());
            let task = tokio::spawn(async move { attempt(&run, &unit, &before).await });
            async move { task.await.map_err(|error| RunError::Bug(error.to_string()))? }
        })
        .buffer_unordered(parallel.max(1))
        .try_collect()
        .await?;
    let failed: Vec<String> = failed.into_iter().flatten().collect();
    display.finish(if failed.is_empty() { "done" } else { "not done" });
    if !failed.is_empty() {
        let attempts = run.checked.job.units.attempts;
        return Err(RunError::Units { stage: stage.name(), attempts, failed });
    }
    all_committed(&run.store, &units).await
}

/// Tries a unit as often as the job allows; if it never succeeds, says what it ended in. A wrong job is an error at once.
async fn attempt(run: &Run, unit: &Unit, before: &Arc<Before>) -> Result<Option<String>, RunError> {
    let attempts = run.checked.job.units.attempts.max(1);
    let (mut number, mut beside) = (1, Beside::Others);
    loop {
        let _turn = run.checked.resources.memory.turn(beside).await;
        // In a task of its own, so that a panic costs this attempt and no other unit.
        let task = tokio::spawn({
            let (run, unit, before) = (Run { beside, ..run.clone() }, unit.clone(), before.clone());
            async move { run_and_commit(&run, &unit, &before).await }
        });
        let error = match task.await.map_err(|error| panicked(unit, &error)) {
            Ok(Ok(())) => return Ok(None),
            // What ends the whole run at once: every other unit would fare the same.
            Ok(Err(error @ (RunError::Job(_) | RunError::NoRoom { .. }))) => return Err(error),
            Ok(Err(error)) | Err(error) => error,
        };
        // Another run may have done meanwhile what ours failed at.
        if committed(&run.store, unit).await.is_ok_and(|commit| commit.is_some()) {
            return Ok(None);
        }
        let out_of_share = matches!(error, RunError::Share { .. });
        if out_of_share && beside == Beside::Others {
            tell!("{unit} needs more memory than its share; it runs again by itself");
            beside = Beside::Nobody;
            continue;
        }
        if number >= attempts || out_of_share {
            return Ok(Some(error.to_string()));
        }
        tell!("{error}; attempt {} of {attempts} begins", number + 1);
        tokio::time::sleep(PAUSE * number).await;
        number += 1;
    }
}

fn panicked(unit: &Unit, error: &tokio::task::JoinError) -> RunError {
    RunError::Unit { unit: unit.to_string(), cause: error.to_string() }
}

/// Holds an executor that isn't the reference against it before a stage encodes anything with it.
pub async fn selftest(run: &Run, stage: Stage) -> Result<(), RunError> {
    let images = run.checked.resources.images.clone();
    if stage != Stage::Images || images.provenance().executor.is_reference() {
        return Ok(());
    }
    let tested = tokio::task::spawn_blocking(move || images.selftest());
    let tested = tested.await.map_err(|error| RunError::Bug(error.to_string()))?;
    tell!("{}", tested.map_err(|error| RunError::Model(error.to_string()))?);
    Ok(())
}

/// Runs one unit and commits it. That another attempt was first is no error: its output is as good as ours.
pub async fn run_and_commit(run: &Run, unit: &Unit, before: &Before) -> Result<(), RunError> {
    let made = async {
        let record = run_unit(run, unit, before).await?;
        commit(&run.store, unit, &record).await
    };
    match made.await {
        Ok(created) => {
            if created == Created::Before && run.progress.meets_another_run() {
                tell!(
                    "another run works on this output: {unit} is committed by it. Neither harms the other, but both do all the work"
                );
            }
            run.progress.unit_done();
            Ok(())
        }
        Err(RunError::Job(error)) => Err(RunError::Job(error)),
        Err(error) => Err(match full(&error) {
            Some(full) => ended(run, unit, before, full, error.to_string()).await,
            None if out_of_share(&error) => {
                let (held, cause) = (megabytes(run.memory_of_unit()), error.to_string());
                RunError::Share { unit: unit.to_string(), held, cause }
            }
            None => RunError::Unit { unit: unit.to_string(), cause: error.to_string() },
        }),
    }
}

/// How much there is to do, in what.
fn work(run: &Run, stage: Stage, before: &Before, open: &[Unit]) -> (u64, Measure) {
    let bucketed = |commits: &[Commit], table: &str| -> u64 {
        open.iter().map(|unit| crate::engine::exchange::rows_in_bucket(commits, table, unit.index)).sum()
    };
    match stage {
        Stage::Documents => {
            let splits = open.iter().map(|unit| &run.plan.splits[unit.index as usize].split);
            (splits.flat_map(|split| &split.pieces).map(|piece| piece.length).sum(), Measure::Bytes)
        }
        Stage::Images => {
            // An image on pages of two units counts twice here; buckets are alike, for they go by hash.
            let all = run.checked.job.wants_all_images();
            let counted = if all { "image_locations" } else { "shown_images" };
            let images: u64 = before.documents.iter().map(|commit| commit.count(counted)).sum();
            (images * open.len() as u64 / u64::from(run.plan.buckets.max(1)), Measure::Rows("images"))
        }
        Stage::Neighbours => (table_bytes(run), Measure::Bytes),
        Stage::Retrieved => (bucketed(&before.neighbours, "wanted"), Measure::Rows("documents")),
        Stage::Sequences => (bucketed(&before.documents, "documents"), Measure::Rows("documents")),
        Stage::Shards | Stage::ImageShards => (run.plan.rows_of(stage, before).count(), Measure::Rows("rows")),
    }
}
