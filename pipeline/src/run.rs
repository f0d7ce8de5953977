//! The path of a job, top to bottom.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pageloom_storage::Settings;
use tokio::runtime::Handle;

use crate::check::{CheckedJob, check};
use crate::engine::commit::all_committed;
use crate::engine::earlier::Earlier;
use crate::engine::input::is_address;
use crate::engine::launch::{run_and_commit, run_stage, selftest};
use crate::engine::memory::{Beside, Wanted};
use crate::engine::no_room::ended_beside_units;
use crate::engine::plan::{RunPlan, Stage, TrainingTable, Unit};
use crate::engine::progress::Progress;
use crate::engine::stages::Before;
use crate::engine::stages::shards::ShardedTable;
use crate::engine::store::{Created, Place, Store, json_bytes};
use crate::engine::unit::Run;
use crate::engine::watch::Watcher;
use crate::error::{JobError, Problem, RunError};
use crate::finish::{Manifest, Shards, finish};
use crate::identity::Identity;
use crate::job::{Job, LoadedJob};
use crate::status::plan_of;
use crate::tell;

/// The job as it was run, in the output folder.
pub const JOB_RECORD: &str = "job.json";
/// The plan, in the output folder.
pub const PLAN_RECORD: &str = "plan.json";

/// Runs a job to its manifest. What is committed already is not run again; nor is what `reuse`, another run's output, has
/// of the same units.
pub async fn run(job: LoadedJob, out: &Place, parallel: usize, reuse: Option<&Place>) -> Result<Manifest, RunError> {
    run_whole(job, out, parallel, reuse).await.map_err(|error| ended_beside_units(out, error))
}

async fn run_whole(job: LoadedJob, out: &Place, parallel: usize, reuse: Option<&Place>) -> Result<Manifest, RunError> {
    let mut run = open(job, out).await?;
    if let Some(earlier) = reuse {
        run.earlier = Some(Earlier::open(open_earlier(earlier, &run)?).await?);
    }
    let parallel = share_memory(&run, parallel)?;
    watched(&run, to_the_end(&run, parallel)).await
}

/// Runs stage after stage.
async fn to_the_end(run: &Run, parallel: usize) -> Result<Manifest, RunError> {
    let neighbours = match run.plan.retrieves {
        true => run_stage(run, Stage::Neighbours, Before::default(), parallel).await?,
        false => Vec::new(),
    };
    let before = Before { neighbours, ..Before::default() };
    let documents = run_stage(run, Stage::Documents, before.clone(), parallel).await?;
    let before = Before { documents, ..before };
    let images = run_stage(run, Stage::Images, before.clone(), parallel).await?;
    let before = Before { images, ..before };
    let image_shards = match run.plan.makes(TrainingTable::Images) {
        true => run_stage(run, Stage::ImageShards, before.clone(), parallel).await?,
        false => Vec::new(),
    };
    if !run.plan.makes(TrainingTable::Sequences) {
        return finish(run, &before, &Shards { images: image_shards, sequences: Vec::new() }).await;
    }
    let retrieved = match run.plan.retrieves {
        true => run_stage(run, Stage::Retrieved, before.clone(), parallel).await?,
        false => Vec::new(),
    };
    let before = Before { retrieved, ..before };
    let sequences = run_stage(run, Stage::Sequences, before.clone(), parallel).await?;
    let before = Before { sequences, ..before };
    let shards = run_stage(run, Stage::Shards, before.clone(), parallel).await?;
    finish(run, &before, &Shards { images: image_shards, sequences: shards }).await
}

/// Shares out the memory that the job's models have left; how many units may be in flight.
fn share_memory(run: &Run, parallel: usize) -> Result<usize, RunError> {
    // No more than there are units: what is left of the memory is for those that there are.
    let most = Stage::ALL.into_iter().filter_map(|stage| run.plan.count(stage)).max().unwrap_or(1) as usize;
    let parallel = parallel.clamp(1, most.max(1));
    let resources = &run.checked.resources;
    let share = resources.memory.share_out(&Wanted {
        parallel,
        of_unit: run.checked.job.units.memory,
        threads: rayon::current_num_threads(),
        working_bytes: &|threads| resources.images.working_bytes(threads),
    });
    let share = share.map_err(|why| JobError::from(run.checked.text.problem_at("units.memory_limit", why, None)))?;
    if share.parallel < parallel {
        tell!("{} of {parallel} units run at once: more do not fit into the memory", share.parallel);
    }
    if share.encoders < rayon::current_num_threads() {
        let (encoders, threads) = (share.encoders, rayon::current_num_threads());
        tell!("{encoders} of {threads} threads encode images at once: more do not fit into the memory");
    }
    Ok(share.parallel)
}

/// Awaits work of a run while somebody looks at it: what is slow is told, and too much memory is its end.
async fn watched<T>(run: &Run, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    let silence = Duration::from_secs(run.checked.job.units.heartbeat_seconds.into());
    let bounds = run.checked.resources.memory.bounds(rayon::current_num_threads());
    let (_watcher, exceeded) = Watcher::start(run.progress.watch.clone(), silence, bounds);
    tokio::select! {
        done = work => done,
        Ok(held) = exceeded => Err(RunError::Memory(held)),
    }
}

/// Runs one unit of a job, for launchers that place units themselves.
pub async fn run_one(job: LoadedJob, out: &Place, stage: Stage, index: u32) -> Result<Unit, RunError> {
    run_unit(job, out, stage, index).await.map_err(|error| ended_beside_units(out, error))
}

async fn run_unit(job: LoadedJob, out: &Place, stage: Stage, index: u32) -> Result<Unit, RunError> {
    let run = open(job, out).await?;
    if run.plan.count(stage) == Some(0) {
        let problem = Problem::new(format!("--stage {}", stage.name()), "is no stage of this job");
        return Err(JobError::from(problem.hint("`pageloom plan JOB` lists its stages")).into());
    }
    let before = before(&run, stage).await?;
    let units = run.plan.units(stage, &before);
    let Some(unit) = units.get(index as usize) else {
        let message = format!("stage {} has {} units", stage.name(), units.len());
        return Err(JobError::from(Problem::new(format!("--index {index}"), message).hint("indices start at 0")).into());
    };
    selftest(&run, stage).await?;
    share_memory(&run, 1)?;
    // In a task of its own: while it computes nobody else could be told that its memory is at its end.
    let task = tokio::spawn({
        let (run, unit) = (Run { beside: Beside::Nobody, ..run.clone() }, unit.clone());
        async move { run_and_commit(&run, &unit, &before).await }
    });
    let done = async { task.await.map_err(|error| RunError::Bug(error.to_string()))? };
    watched(&run, done).await?;
    Ok(unit.clone())
}

/// The commits that units of a stage read; an error names the first unit that is missing.
async fn before(run: &Run, stage: Stage) -> Result<Before, RunError> {
    let mut before = Before::default();
    for earlier in Stage::ALL.into_iter().take_while(|earlier| *earlier < stage) {
        let commits = all_committed(&run.store, &run.plan.units(earlier, &before)).await?;
        before = before.with(earlier, commits);
    }
    Ok(before)
}

/// Checks the job and makes its plan, without an output folder.
pub async fn plan(job: LoadedJob) -> Result<(CheckedJob, RunPlan), RunError> {
    let runtime = Handle::current();
    let planned = tokio::task::spawn_blocking(move || {
        let checked = check(job, runtime)?;
        let plan = RunPlan::make(&checked)?;
        Ok((checked, plan))
    });
    planned.await.map_err(|error| RunError::Bug(error.to_string()))?
}

/// Opens the output folder for a job: a new one, or one where the same job on the same input was begun.
async fn open(job: LoadedJob, out: &Place) -> Result<Run, RunError> {
    let progress = Arc::new(Progress::default());
    let (file, sets) = (job.text.file(), job.text.sets());
    let (checked, plan) = plan(job).await?;
    let checked = Arc::new(checked);
    checked.warnings.iter().for_each(|warning| tell!("warning: {warning}"));
    refuse_output_in_input(&checked, out)?;
    let begun = is_begun(out, &checked.job.storage).await?;
    if !begun {
        verify_manifests(checked.clone()).await?;
    }
    let store = Store::create(out, &checked.job.storage).await?;
    let job = serde_json::to_value(&checked.job).unwrap_or_default();
    let (digest, identity) = (checked.digest.clone(), checked.identity.clone());
    let record = JobRecord { digest, file, sets, job, identity };
    // Where both are there nothing is written: a finished run is left as it is, on a full disk too.
    if begun || store.create_json(JOB_RECORD, &record).await? == Created::Before {
        refuse_other_job(&store, &record, out).await?;
    }
    if begun || store.create_json(PLAN_RECORD, &plan).await? == Created::Before {
        refuse_other_input(&store, &plan, out).await?;
    }
    Ok(Run::new(checked, plan, store, progress))
}

/// An output below a source would be its input when the run goes on.
fn refuse_output_in_input(checked: &CheckedJob, out: &Place) -> Result<(), RunError> {
    let absolute = |path: &str| match is_address(path) {
        true => path.to_owned(),
        false => std::path::absolute(checked.folder.join(path)).unwrap_or_default().display().to_string(),
    };
    let folder = match out {
        Place::Folder(folder) => std::path::absolute(folder).unwrap_or_default().display().to_string(),
        Place::Bucket(address) => address.to_string(),
    };
    let mut sources = checked.job.sources.iter().zip(&checked.places);
    let Some((_, place)) = sources.find(|(source, _)| source.files().reads_below(&folder, absolute)) else {
        return Ok(());
    };
    let problem = Problem::new(format!("--out {out}"), format!("lies where {place} reads its input from"));
    Err(JobError::from(problem.hint("name a folder outside of it, or name the input by a narrower pattern")).into())
}

/// A job beside an output that was begun, by this job or another. Nothing is written.
pub async fn look(job: LoadedJob, out: &Place) -> Result<Run, RunError> {
    let progress = Arc::new(Progress::default());
    let (checked, plan) = plan(job).await?;
    let store = Store::open(out, &checked.job.storage)?;
    Ok(Run::new(Arc::new(checked), plan, store, progress))
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

/// Opens a run that was begun, with the job that it wrote down then. Files that this names have to be the same still.
pub async fn reopen(store: &Store) -> Result<Run, RunError> {
    let plan = plan_of(store).await?;
    let record: JobRecord = store.read_json(JOB_RECORD).await?.ok_or_else(|| RunError::Bug("no job record".into()))?;
    let unreadable = |error: serde_json::Error| RunError::Record {
        path: JOB_RECORD.into(),
        cause: format!("{error}; another version of pageloom wrote it"),
    };
    let job: Job = serde_json::from_value(record.job).map_err(unreadable)?;
    let (runtime, progress) = (Handle::current(), Arc::new(Progress::default()));
    let loaded = LoadedJob::of_record(job, &record.file);
    let checked = tokio::task::spawn_blocking(move || check(loaded, runtime));
    let checked = checked.await.map_err(|error| RunError::Bug(error.to_string()))??;
    if checked.digest != record.digest {
        let message =
            format!("is of other files than are here now: {}", first_change(&record.identity, &checked.identity));
        let problem = Problem::new(store.root().to_string(), message);
        return Err(JobError::from(problem.hint("set back the tokenizer, model or list that the job names")).into());
    }
    Ok(Run::new(Arc::new(checked), plan, store.clone(), progress))
}

/// The other output of which a run takes over what it can.
fn open_earlier(earlier: &Place, run: &Run) -> Result<Store, RunError> {
    let store = Store::open(earlier, &run.checked.job.storage)?;
    if store.root() == run.store.root() {
        let problem = Problem::new(format!("--reuse {earlier}"), "is the output itself");
        return Err(
            JobError::from(problem.hint("name a new folder with --out; nothing in the other is touched")).into()
        );
    }
    Ok(store)
}

/// The job as it was run.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct JobRecord {
    digest: String,
    /// Where the job file lay, and the options laid over it: to read it again.
    file: PathBuf,
    sets: Vec<String>,
    job: serde_json::Value,
    /// What its output follows from, beside its input.
    #[serde(default)]
    pub identity: Identity,
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
    let difference = first_change(&there.identity, &record.identity);
    let problem = Problem::new(format!("--out {}", out), format!("holds the output of another job: {difference}"));
    Err(JobError::from(problem.hint(format!("{}, or set the job back", another(out)))).into())
}

fn first_change(there: &Identity, here: &Identity) -> String {
    let change = there.changes(here).into_iter().next();
    change.map_or("it tells no identity of its own".into(), |change| change.to_string())
}

/// What to do where an output is not that of this job on this input. Old output and new are never in one folder.
fn another(out: &Place) -> String {
    format!(
        "`pageloom plan JOB --diff {out}` says what would run again; `pageloom run JOB --out NEW --reuse {out}` runs just \
         that, and takes over the rest"
    )
}

async fn refuse_other_input(store: &Store, plan: &RunPlan, out: &Place) -> Result<(), RunError> {
    let there: Option<RunPlan> = store.read_json(PLAN_RECORD).await?;
    if there.as_ref() == Some(plan) {
        return Ok(());
    }
    let program = there.as_ref().is_some_and(|there| there.splits == plan.splits && there.parts != plan.parts);
    let what = if program { "this output was begun by another version of pageloom" } else { INPUT_CHANGED };
    let problem = Problem::new(format!("--out {}", out), what);
    Err(JobError::from(problem.hint(another(out))).into())
}

const INPUT_CHANGED: &str = "the input has changed since this output was begun";

/// A plan for people and launchers: what each stage consists of.
pub fn describe_plan(checked: &CheckedJob, plan: &RunPlan) -> Result<String, RunError> {
    let stage = |stage: Stage| {
        let name = stage.name();
        match (ShardedTable::of(checked, stage), plan.count(stage).unwrap_or_default()) {
            (Some(_), _) => Some(serde_json::json!({"stage": name, "units": null, "note": "known when its rows are"})),
            (None, 0) => None,
            (None, units) => Some(serde_json::json!({"stage": name, "units": units})),
        }
    };
    let value = serde_json::json!({
        "job": checked.job.name,
        "job_digest": plan.job,
        "plan_digest": plan.digest(),
        "block_length": checked.job.block_length(),
        "tables": plan.tables,
        "stages": Stage::ALL.into_iter().filter_map(stage).collect::<Vec<_>>(),
        "splits": plan.splits,
    });
    String::from_utf8(json_bytes(&value)?).map_err(|error| RunError::Bug(error.to_string()))
}
