//! Compares a job and its input with an output that was begun: which units would run again, and why.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::engine::commit::{Commit, commits_of};
use crate::engine::plan::{PlannedSplit, RunPlan, Stage, Unit};
use crate::engine::reuse::reads_the_same;
use crate::engine::stages::Before;
use crate::engine::store::Place;
use crate::engine::unit::Run;
use crate::error::RunError;
use crate::identity::Change;
use crate::job::LoadedJob;
use crate::run::{JOB_RECORD, JobRecord, look};
use crate::sources::Piece;
use crate::status::plan_of;

/// What `run --out NEW --reuse OUT` would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// Settings, tokenizers, models and files that are others now.
    pub changes: Vec<Change>,
    /// Stage by stage.
    pub stages: Vec<StageDiff>,
}

/// The units of one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageDiff {
    /// Its name.
    pub stage: &'static str,
    /// Its units; none where that can't be known before those of other stages have run.
    pub units: Option<usize>,
    /// Units that are taken over.
    pub same: usize,
    /// Units that run again, by what has changed for them.
    pub again: BTreeMap<String, usize>,
    /// Whether it depends on what units before hand on, once they have run: a unit that is handed the same is taken over.
    pub depends: bool,
    /// Splits of the other output that this job's input no longer has.
    pub gone: usize,
}

/// Compares. All input is read whose names and sizes are as they were, for it is the content that counts, and not its time.
pub async fn diff(job: LoadedJob, out: &Place) -> Result<Diff, RunError> {
    let run = look(job, out).await?;
    let there = plan_of(&run.store).await?;
    let record: Option<JobRecord> = run.store.read_json(JOB_RECORD).await?;
    let changes = record.map(|record| record.identity.changes(&run.checked.identity)).unwrap_or_default();
    let mut stages = Vec::new();
    let (mut before, mut settled) = (Before::default(), Vec::new());
    for stage in Stage::ALL {
        let commits = commits_of(&run.store, stage).await?;
        if !stage.reads().iter().all(|read| settled.contains(read)) {
            stages.push(unknown(&run, stage, &changes));
            continue;
        }
        let (found, same) = compare(&run, stage, &before, &there, &commits, &changes).await?;
        if found.again.is_empty() {
            before = before.with(stage, same);
            settled.push(stage);
        }
        stages.push(found);
    }
    stages.retain(|stage| stage.units != Some(0));
    Ok(Diff { changes, stages })
}

/// A stage whose units' identities follow from units that have to run first.
fn unknown(run: &Run, stage: Stage, changes: &[Change]) -> StageDiff {
    let units = run.plan.count(stage).map(|count| count as usize);
    let why = settings(changes, stage);
    let depends = why.is_none();
    let again = why.into_iter().map(|why| (why, units.unwrap_or_default())).collect();
    StageDiff { stage: stage.name(), units, same: 0, again, depends, gone: 0 }
}

/// A stage whose units are known; also the commits that would be taken over, in the units' order.
async fn compare(
    run: &Run,
    stage: Stage,
    before: &Before,
    there: &RunPlan,
    commits: &[Commit],
    changes: &[Change],
) -> Result<(StageDiff, Vec<Commit>), RunError> {
    let units = run.plan.units(stage, before);
    let (mut same, mut again) = (Vec::new(), BTreeMap::new());
    let by_id: HashMap<&str, &Commit> = commits.iter().map(|commit| (commit.unit.as_str(), commit)).collect();
    let indices: HashSet<u32> = commits.iter().map(|commit| commit.index).collect();
    let beginnings = Beginnings::of(there);
    for unit in &units {
        let found = by_id.get(unit.id.as_str()).copied();
        match found {
            Some(found) if reads_the_same(run, unit, found).await? => same.push(found.clone()),
            found => {
                let why = match stage {
                    Stage::Documents => why_documents(run, unit, (there, &beginnings), found.is_some(), changes),
                    stage => settings(changes, stage).unwrap_or_else(|| {
                        let done = indices.contains(&unit.index);
                        if done { "what is handed to it has changed" } else { NOT_DONE }.to_owned()
                    }),
                };
                *again.entry(why).or_default() += 1;
            }
        }
    }
    let gone = if stage == Stage::Documents { gone(&run.plan, there) } else { 0 };
    let units = Some(units.len());
    Ok((StageDiff { stage: stage.name(), units, same: same.len(), again, depends: false, gone }, same))
}

const NOT_DONE: &str = "it was not done there";

/// The settings that make a stage another, if any do.
fn settings(changes: &[Change], stage: Stage) -> Option<String> {
    let touching = changes.iter().filter(|change| change.touches(stage.name()));
    let touching: Vec<String> = touching.map(|change| format!("`{}`", change.path)).collect();
    (!touching.is_empty()).then(|| format!("{} changed", touching.join(", ")))
}

/// Why a split has to be read again. `found` if only its content is another, between what stands at the files' ends.
fn why_documents(
    run: &Run,
    unit: &Unit,
    (there, beginnings): (&RunPlan, &Beginnings<'_>),
    found: bool,
    changes: &[Change],
) -> String {
    if let Some(settings) = settings(changes, Stage::Documents) {
        return settings;
    }
    if there.buckets != run.plan.buckets {
        return format!("the input's size makes {} buckets, and made {}", run.plan.buckets, there.buckets);
    }
    let split = &run.plan.splits[unit.index as usize];
    let source = format!("sources.{}", split.source);
    let of_source = |change: &&Change| change.path == source || change.path.starts_with(&format!("{source}."));
    if let Some(change) = changes.iter().find(of_source) {
        return change.to_string();
    }
    let first = split.split.pieces.first().map_or("", |piece| piece.path.as_str());
    let alike = beginnings.of_split(split);
    match alike {
        _ if found => content_changed(split),
        None => format!("`{first}` is new, or stood elsewhere"),
        Some(other) if other.split != split.split => first_difference(&split.split.pieces, &other.split.pieces),
        Some(other) if other.content != split.content => content_changed(split),
        Some(_) => NOT_DONE.to_owned(),
    }
}

/// The first file that is another in a split whose files were added, removed or resized. They are in the order of their names.
fn first_difference(here: &[Piece], there: &[Piece]) -> String {
    let same = here.iter().zip(there).take_while(|(here, there)| here == there).count();
    match (here.get(same), there.get(same)) {
        (Some(here), Some(there)) if here.path == there.path => format!("`{}` has another size", here.path),
        (Some(here), Some(there)) if there.path < here.path => format!("`{}` is gone from here", there.path),
        (Some(here), _) => format!("`{}` was not there", here.path),
        (None, there) => format!("`{}` is gone from here", there.map_or("", |there| &there.path)),
    }
}

fn content_changed(split: &PlannedSplit) -> String {
    let mut names: Vec<&str> = split.split.pieces.iter().map(|piece| piece.path.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [only] => format!("the content of `{only}` has changed"),
        [first, .., last] => format!("the content of one of {} files, `{first}` to `{last}`, has changed", names.len()),
        [] => "its content has changed".to_owned(),
    }
}

/// The splits of a plan by where they begin.
struct Beginnings<'a>(HashMap<(u32, &'a str, u64), &'a PlannedSplit>);

impl<'a> Beginnings<'a> {
    fn of(plan: &'a RunPlan) -> Self {
        Self(plan.splits.iter().filter_map(|split| Some((beginning(split)?, split))).collect())
    }

    fn of_split(&self, split: &PlannedSplit) -> Option<&'a PlannedSplit> {
        self.0.get(&beginning(split)?).copied()
    }
}

fn beginning(split: &PlannedSplit) -> Option<(u32, &str, u64)> {
    split.split.pieces.first().map(|piece| (split.source, piece.path.as_str(), piece.offset))
}

fn gone(here: &RunPlan, there: &RunPlan) -> usize {
    let here = Beginnings::of(here);
    there.splits.iter().filter(|split| here.of_split(split).is_none()).count()
}

impl Diff {
    /// For a person.
    pub fn text(&self, out: &Place) -> String {
        let changes: String = self.changes.iter().map(|change| format!("{change}\n")).collect();
        let stages: String = self.stages.iter().map(StageDiff::text).collect();
        let nothing = self.stages.iter().all(|stage| stage.again.is_empty() && !stage.depends);
        let end = match nothing {
            true => "nothing runs again: the same command goes on there, or has ended\n".to_owned(),
            false => format!("`pageloom run JOB --out NEW --reuse {out}` runs just these, and takes over the rest\n"),
        };
        format!("{changes}{stages}{end}")
    }
}

impl StageDiff {
    fn text(&self) -> String {
        let units = self.units.map_or("all".to_owned(), |units| units.to_string());
        let mut lines = Vec::new();
        if self.depends {
            lines.push(format!("of {units} units those run again that are handed something else than before"));
        } else if self.units.is_some() {
            lines.push(format!("{} of {units} units are the same", self.same));
        }
        for (why, count) in &self.again {
            let count = if self.units.is_none() { &units } else { &count.to_string() };
            lines.push(format!("{count} run again: {why}"));
        }
        if self.gone > 0 {
            lines.push(format!("{} of the other output's splits are gone from the input", self.gone));
        }
        let (width, lines) = (Stage::NAME_WIDTH, lines.iter().enumerate());
        lines.map(|(index, line)| format!("{:<width$} {line}\n", if index == 0 { self.stage } else { "" })).collect()
    }
}
