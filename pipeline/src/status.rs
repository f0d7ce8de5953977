//! How far a run is: units committed per stage, and what was rejected so far.

use std::collections::BTreeMap;

use crate::engine::commit::Commit;
use crate::engine::plan::{RunPlan, Stage};
use crate::engine::store::Store;
use crate::error::{JobError, Problem, RunError};
use crate::finish::MANIFEST;
use crate::run::PLAN_RECORD;

/// One stage of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StageStatus {
    /// Its name.
    pub stage: &'static str,
    /// Units committed.
    pub done: usize,
    /// Units in all; unknown for the last stage until the one before it is done.
    pub units: Option<usize>,
    /// What was rejected, by `kind.reason`.
    pub rejects: BTreeMap<String, u64>,
}

/// How far a run is, stage by stage, and whether its manifest is there.
pub async fn status(store: &Store) -> Result<(Vec<StageStatus>, bool), RunError> {
    let plan = plan_of(store).await?;
    let mut stages = Vec::new();
    for stage in Stage::ALL {
        let commits = commits_of(store, stage).await?;
        let units = (stage != Stage::Shards).then(|| plan.units(stage).len());
        let mut rejects = BTreeMap::new();
        for (reason, count) in commits.iter().flat_map(|commit| &commit.rejects) {
            *rejects.entry(reason.clone()).or_default() += count;
        }
        stages.push(StageStatus { stage: stage.name(), done: commits.len(), units, rejects });
    }
    Ok((stages, store.read(MANIFEST).await?.is_some()))
}

/// The plan of a run; an error says that the folder is none.
pub async fn plan_of(store: &Store) -> Result<RunPlan, RunError> {
    let missing = || {
        let problem = Problem::new(store.root().display().to_string(), "is no output folder of pageloom");
        JobError::from(problem.hint("name the folder that `pageloom run` was given as --out"))
    };
    Ok(store.read_json(PLAN_RECORD).await?.ok_or_else(missing)?)
}

/// All commits of a stage, in the units' order.
pub async fn commits_of(store: &Store, stage: Stage) -> Result<Vec<Commit>, RunError> {
    let mut commits = Vec::new();
    for path in store.list(&format!("commits/{}", stage.name())).await? {
        commits.extend(store.read_json::<Commit>(&path).await?);
    }
    commits.sort_by_key(|commit| commit.index);
    Ok(commits)
}
