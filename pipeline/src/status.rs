//! How far a run is: units committed per stage, what they cost, and what was rejected so far.

use std::collections::BTreeMap;

use crate::engine::commit::{add_up, commits_of};
use crate::engine::plan::{RunPlan, Stage};
use crate::engine::stages::Before;
use crate::engine::store::Store;
use crate::error::{JobError, Problem, RunError};
use crate::finish::MANIFEST;
use crate::run::PLAN_RECORD;
use crate::speed::StageSpeed;

/// A run, finished or not.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Status {
    /// Its stages, in their order.
    pub stages: Vec<StageStatus>,
    /// Whether its manifest is there.
    pub finished: bool,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StageStatus {
    /// Its name.
    pub stage: &'static str,
    /// Units committed.
    pub done: usize,
    /// Units in all; unknown for stages of shards until the one before is done.
    pub units: Option<usize>,
    /// What was rejected, by `kind.reason`.
    pub rejects: BTreeMap<String, u64>,
    /// What its units cost.
    pub speed: StageSpeed,
}

/// How far a run is, stage by stage.
pub async fn status(store: &Store) -> Result<Status, RunError> {
    let (plan, mut before) = (plan_of(store).await?, Before::default());
    let mut stages: Vec<StageStatus> = Vec::new();
    for stage in Stage::ALL {
        let commits = commits_of(store, stage).await?;
        let is_known = stages.last().is_some_and(|stage| stage.units == Some(stage.done));
        let of_rows = || is_known.then(|| plan.rows_of(stage, &before).num_shards());
        let units = plan.count(stage).or_else(of_rows).map(|count| count as usize);
        if units == Some(0) && commits.is_empty() {
            continue;
        }
        let done = commits.len();
        let rejects = add_up(commits.iter().map(|commit| &commit.rejects));
        let speed = StageSpeed::of(stage, &commits);
        stages.push(StageStatus { stage: stage.name(), done, units, rejects, speed });
        before = before.with(stage, commits);
    }
    Ok(Status { stages, finished: store.read(MANIFEST).await?.is_some() })
}

impl Status {
    /// For a person: each stage with its steps and rejects.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for stage in &self.stages {
            let units = stage.units.map_or("?".to_owned(), |units| units.to_string());
            let rejects: u64 = stage.rejects.values().sum();
            let width = Stage::NAME_WIDTH;
            text.push_str(&format!("{:<width$} {}/{units} units, {rejects} rejects", stage.stage, stage.done));
            match stage.done {
                0 => text.push('\n'),
                _ => text.push_str(&format!(", {}", stage.speed)),
            }
            for (reason, count) in &stage.rejects {
                text.push_str(&format!("    {count:>10} {reason}\n"));
            }
        }
        text.push_str(if self.finished { "finished\n" } else { "not finished: run the same command to go on\n" });
        text
    }
}

/// The plan of a run; an error says that the folder is none.
pub async fn plan_of(store: &Store) -> Result<RunPlan, RunError> {
    let missing = || {
        let problem = Problem::new(store.root().to_string(), "is no output folder of pageloom");
        JobError::from(problem.hint("name the folder that `pageloom run` was given as --out"))
    };
    Ok(store.read_json(PLAN_RECORD).await?.ok_or_else(missing)?)
}

/// All commits of all stages but the last.
pub async fn before_shards(store: &Store) -> Result<Before, RunError> {
    Ok(Before {
        neighbours: commits_of(store, Stage::Neighbours).await?,
        documents: commits_of(store, Stage::Documents).await?,
        images: commits_of(store, Stage::Images).await?,
        retrieved: commits_of(store, Stage::Retrieved).await?,
        sequences: commits_of(store, Stage::Sequences).await?,
    })
}
