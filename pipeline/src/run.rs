//! The path of a job, top to bottom.

use std::path::PathBuf;
use std::sync::Arc;

use pageloom_storage::Settings;
use tokio::runtime::Handle;

use crate::check::{CheckedJob, check};
use crate::engine::commit::{Commit, all_committed};
use crate::engine::launch::{run_and_commit, run_stage, selftest, units};
use crate::engine::plan::{RunPlan, Stage, TrainingTable, Unit};
use crate::engine::progress::Progress;
use crate::engine::reuse::Reuse;
use crate::engine::stages::Before;
use crate::engine::stages::shards::ShardedTable;
use crate::engine::store::{Created, Place, Store, attempt, json_bytes};
use crate::engine::unit::Run;
use crate::error::{JobError, Problem, RunError};
use crate::finish::{Manifest, Shards, finish};
use crate::job::LoadedJob;
use crate::status::plan_of;

/// The job as it was run, in the output folder.
pub const JOB_RECORD: &str = "job.json";
/// The plan, in the output folder.
pub const PLAN_RECORD: &str = "plan.json";

/// Runs a job to its manifest. What is committed already is not run again.
pub async fn run(job: LoadedJob, out: &Place, parallel: usize) -> Result<Manifest, RunError> {
    let run = open(job, out).await?;
    let documents = run_stage(&run, Stage::Documents, Before::default(), parallel).await?;
    let before = Before { documents, ..Before::default() };
    let images = run_stage(&run, Stage::Images, before.clone(), parallel).await?;
    let before = Before { images, ..before };
    let image_shards = match run.plan.makes(TrainingTable::Images) {
        true => run_stage(&run, Stage::ImageShards, before.clone(), parallel).await?,
        false => Vec::new(),
    };
    if !run.plan.makes(TrainingTable::Sequences) {
        return finish(&run, &before, &Shards { images: image_shards, sequences: Vec::new() }).await;
    }
    let sequences = run_stage(&run, Stage::Sequences, before.clone(), parallel).await?;
    let before = Before { sequences, ..before };
    let shards = run_stage(&run, Stage::Shards, before.clone(), parallel).await?;
    finish(&run, &before, &Shards { images: image_shards, sequences: shards }).await
}

/// Runs one unit of a job, for launchers that place units themselves.
pub async fn run_one(job: LoadedJob, out: &Place, stage: Stage, index: u32) -> Result<Unit, RunError> {
    let run = open(job, out).await?;
    let before = before(&run, stage).await?;
    let units = units(&run, stage, &before);
    let Some(unit) = units.get(index as usize) else {
        let message = format!("stage {} has {} units", stage.name(), units.len());
        return Err(JobError::from(Problem::new(format!("--index {index}"), message).hint("indices start at 0")).into());
    };
    selftest(&run, stage).await?;
    run_and_commit(&run, unit, &before).await?;
    Ok(unit.clone())
}

/// The commits that units of a stage read; an error names the first unit that is missing.
async fn before(run: &Run, stage: Stage) -> Result<Before, RunError> {
    let mut before = Before::default();
    for earlier in Stage::ALL.into_iter().take_while(|earlier| *earlier < stage) {
        let commits: Vec<Commit> = all_committed(&run.store, &run.plan.units(earlier)).await?;
        match earlier {
            Stage::Documents => before.documents = commits,
            Stage::Images => before.images = commits,
            Stage::Sequences => before.sequences = commits,
            Stage::ImageShards | Stage::Shards => {}
        }
    }
    Ok(before)
}

/// Checks the job and makes its plan, without an output folder.
pub async fn plan(job: LoadedJob, progress: &Progress) -> Result<(CheckedJob, RunPlan), RunError> {
    let (runtime, read) = (Handle::current(), progress.bytes_read.clone());
    let planned = tokio::task::spawn_blocking(move || {
        let checked = check(job, runtime, read)?;
        let plan = RunPlan::make(&checked)?;
        Ok((checked, plan))
    });
    planned.await.map_err(|error| RunError::Bug(error.to_string()))?
}

/// Opens the output folder for a job: a new one, or one where the same job on the same input was begun.
async fn open(job: LoadedJob, out: &Place) -> Result<Run, RunError> {
    let progress = Arc::new(Progress::default());
    let (file, sets) = (job.text.file(), job.text.sets());
    let (checked, plan) = plan(job, &progress).await?;
    let checked = Arc::new(checked);
    if !is_begun(out, &checked.job.storage).await? {
        verify_manifests(checked.clone()).await?;
    }
    let store = Store::create(out, &checked.job.storage).await?;
    let job = serde_json::to_value(&checked.job).unwrap_or_default();
    let record = JobRecord { digest: checked.digest.clone(), file, sets, job };
    if store.create_json(JOB_RECORD, &record).await? == Created::Before {
        refuse_other_job(&store, &record, out).await?;
    }
    if store.create_json(PLAN_RECORD, &plan).await? == Created::Before {
        refuse_other_input(&store, &plan, out).await?;
    }
    let reuse = reuse(&checked).await?;
    Ok(Run { checked, plan: Arc::new(plan), store, reuse, progress, attempt: attempt() })
}

/// The earlier run that the job names.
async fn reuse(checked: &CheckedJob) -> Result<Option<Reuse>, RunError> {
    let Some(place) = &checked.job.tokenizers.reuse else { return Ok(None) };
    // Nothing is relative in an address, and everything is in a path.
    let Ok(place) = place.parse::<Place>();
    let place = match place {
        Place::Folder(folder) => Place::Folder(checked.folder.join(folder)),
        bucket => bucket,
    };
    Reuse::open(&place, &checked.job.storage).await.map(Some)
}

/// Compares the input with the digests of its manifests. That reads all of it, so it is done where a run begins, and not
/// again where it goes on.
async fn verify_manifests(checked: Arc<CheckedJob>) -> Result<(), RunError> {
    let verified = tokio::task::spawn_blocking(move || {
        let mut sources = checked.job.sources.iter().zip(&checked.resources.inputs).enumerate();
        sources.try_for_each(|(index, (source, input))| {
            source.files().verify(input.as_ref()).map_err(|error| checked.unsuited(index, error))
        })
    });
    verified.await.map_err(|error| RunError::Bug(error.to_string()))?
}

/// Opens a run that was begun, with the job file it was begun with.
pub async fn reopen(store: &Store) -> Result<Run, RunError> {
    let missing = || Problem::new(store.root().to_string(), "is no output folder of pageloom");
    let record: JobRecord = store.read_json(JOB_RECORD).await?.ok_or_else(|| JobError::from(missing()))?;
    let (runtime, progress) = (Handle::current(), Arc::new(Progress::default()));
    let loaded = LoadedJob::read(&record.file, &record.sets)?;
    let read = progress.bytes_read.clone();
    let checked = tokio::task::spawn_blocking(move || check(loaded, runtime, read));
    let checked = checked.await.map_err(|error| RunError::Bug(error.to_string()))??;
    if checked.digest != record.digest {
        let problem = Problem::new(record.file.display().to_string(), "has changed since this output was begun");
        return Err(JobError::from(problem.hint("set it back")).into());
    }
    let plan = plan_of(store).await?;
    let (checked, store) = (Arc::new(checked), store.clone());
    Ok(Run { checked, plan: Arc::new(plan), store, reuse: None, progress, attempt: attempt() })
}

#[derive(serde::Serialize, serde::Deserialize)]
struct JobRecord {
    digest: String,
    /// Where the job file lay, and the options laid over it: to read it again.
    file: PathBuf,
    sets: Vec<String>,
    job: serde_json::Value,
}

/// Whether a run was begun there. An error if what is there is no run's: nothing is ever written among such files.
async fn is_begun(out: &Place, storage: &Settings) -> Result<bool, RunError> {
    if matches!(out, Place::Folder(folder) if !folder.is_dir()) {
        return Ok(false);
    }
    let store = Store::open(out, storage)?;
    // Asked last whether there is a job: another process may write its own meanwhile.
    if let Some(file) = store.any_file().await?
        && store.read(JOB_RECORD).await?.is_none()
    {
        let message = format!("holds files that are no run of pageloom, such as `{file}`");
        let problem = Problem::new(format!("--out {out}"), message);
        return Err(JobError::from(problem.hint("name a new or an empty folder")).into());
    }
    Ok(store.read(PLAN_RECORD).await?.is_some())
}

async fn refuse_other_job(store: &Store, record: &JobRecord, out: &Place) -> Result<(), RunError> {
    let there: Option<JobRecord> = store.read_json(JOB_RECORD).await?;
    let there = there.ok_or_else(|| RunError::Bug("the job record vanished".into()))?;
    if there.digest == record.digest {
        return Ok(());
    }
    let difference = first_difference("", &there.job, &record.job)
        .unwrap_or_else(|| "a file that the job names says something else now".into());
    let problem = Problem::new(format!("--out {}", out), format!("holds the output of another job: {difference}"));
    Err(JobError::from(problem.hint("name another folder with --out, or set the job back")).into())
}

/// Settings that change nothing of what comes out, as those of `storage`.
const UNSEEN: [&str; 4] = ["name", "tokenizers.reuse", "units.memory", "units.attempts"];

/// The first setting in which two jobs differ, as `path: there -> here`.
fn first_difference(path: &str, there: &serde_json::Value, here: &serde_json::Value) -> Option<String> {
    use serde_json::Value::{Array, Object};
    match (there, here) {
        (Object(one), Object(other)) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            let null = serde_json::Value::Null;
            keys.into_iter().find_map(|key| {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                first_difference(&below, one.get(key).unwrap_or(&null), other.get(key).unwrap_or(&null))
            })
        }
        (Array(one), Array(other)) if one.len() == other.len() => {
            let pairs = one.iter().zip(other).enumerate();
            pairs.into_iter().find_map(|(index, (one, other))| first_difference(&format!("{path}.{index}"), one, other))
        }
        _ if there == here || UNSEEN.contains(&path) => None,
        _ if path.starts_with("storage.") => None,
        _ => Some(format!("`{path}` is {there} there and {here} here")),
    }
}

async fn refuse_other_input(store: &Store, plan: &RunPlan, out: &Place) -> Result<(), RunError> {
    let there: Option<RunPlan> = store.read_json(PLAN_RECORD).await?;
    if there.as_ref() == Some(plan) {
        return Ok(());
    }
    let problem = Problem::new(format!("--out {}", out), "the input has changed since this output was begun");
    Err(JobError::from(problem.hint("name another folder with --out")).into())
}

/// A plan for people and launchers: what each stage consists of.
pub fn describe_plan(checked: &CheckedJob, plan: &RunPlan) -> Result<String, RunError> {
    let stage = |stage: Stage| {
        let name = stage.name();
        match (ShardedTable::of(checked, stage), plan.units(stage).len()) {
            (Some(_), _) => Some(serde_json::json!({"stage": name, "units": null, "note": "known when its rows are"})),
            (None, 0) => None,
            (None, units) => Some(serde_json::json!({"stage": name, "units": units})),
        }
    };
    let value = serde_json::json!({
        "job": checked.job.name,
        "job_digest": plan.job,
        "plan_digest": plan.digest(),
        "tables": plan.tables,
        "stages": Stage::ALL.into_iter().filter_map(stage).collect::<Vec<_>>(),
        "splits": plan.splits,
    });
    String::from_utf8(json_bytes(&value)?).map_err(|error| RunError::Bug(error.to_string()))
}
