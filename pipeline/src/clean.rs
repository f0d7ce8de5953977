//! Removes what attempts have left that no commit names: killed runs, units that were done twice.

use std::collections::BTreeSet;

use crate::engine::commit::{Commit, commits_of, committed};
use crate::engine::plan::{RunPlan, Stage};
use crate::engine::stages::Before;
use crate::engine::stages::shards::{IMAGES, SEQUENCES};
use crate::engine::store::{STAGING, Store};
use crate::error::{JobError, Problem, RunError};
use crate::finish::MANIFEST;
use crate::status::plan_of;

/// Files that no commit names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Orphans {
    /// Their paths, relative to the output folder.
    pub paths: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Whether they are gone now.
    pub removed: bool,
}

/// Folders in which nothing stays but what a commit names.
const FOLDERS: [&str; 4] = [SEQUENCES, IMAGES, STAGING, "work"];

/// Finds orphans, and removes them if told to. A run that has not ended may be at work on what looks like one, so it is
/// refused unless `unfinished` says that no process is.
pub async fn clean(store: &Store, remove: bool, unfinished: bool) -> Result<Orphans, RunError> {
    let plan = plan_of(store).await?;
    if remove && !unfinished && store.read(MANIFEST).await?.is_none() {
        let problem = Problem::new(store.root().to_string(), "holds a run that has not ended");
        let hint = "run its job to the end first; or, where no process is at work on it, add --unfinished";
        return Err(JobError::from(problem.hint(hint)).into());
    }
    let commits = all_commits(store, &plan).await?;
    let files = commits.into_iter().flat_map(|commit| commit.files.into_values());
    let named: BTreeSet<String> = files.map(|file| file.path).collect();
    let mut orphans = Orphans { paths: Vec::new(), bytes: 0, removed: remove };
    for folder in FOLDERS {
        let found = if folder == STAGING { store.staged()? } else { store.list(folder).await? };
        for (path, bytes) in found {
            if !named.contains(&path) {
                orphans.bytes += bytes;
                orphans.paths.push(path);
            }
        }
    }
    if remove {
        for path in &orphans.paths {
            store.remove(path).await?;
        }
    }
    Ok(orphans)
}

/// Every commit. Stores there are whose listings lag behind what was written: what such a one does not list yet is asked
/// for by the name that the plan gives it, for its files would be taken for orphans.
async fn all_commits(store: &Store, plan: &RunPlan) -> Result<Vec<Commit>, RunError> {
    let (mut all, mut before) = (Vec::new(), Before::default());
    for stage in Stage::ALL {
        let mut commits = commits_of(store, stage).await?;
        let listed: BTreeSet<String> = commits.iter().map(|commit| commit.unit.clone()).collect();
        for unit in plan.units(stage, &before).iter().filter(|unit| !listed.contains(&unit.id)) {
            commits.extend(committed(store, unit).await?);
        }
        commits.sort_by_key(|commit| commit.index);
        all.extend(commits.clone());
        before = before.with(stage, commits);
    }
    Ok(all)
}

impl Orphans {
    /// For a person.
    pub fn text(&self) -> String {
        let listed: String = self.paths.iter().map(|path| format!("{path}\n")).collect();
        let done = match (self.removed, self.paths.is_empty()) {
            (_, true) => "nothing to remove",
            (true, _) => "removed",
            (false, _) => "found; add --remove to remove them",
        };
        format!("{listed}{} orphans, {:.1} MB: {done}\n", self.paths.len(), self.bytes as f64 / 1e6)
    }
}
