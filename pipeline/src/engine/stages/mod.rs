//! What a unit of each stage does.

mod copies;
pub mod documents;
mod image_rows;
pub mod images;
pub mod neighbours;
pub mod retrieved;
pub mod sequences;
pub mod shards;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::commit::Commit;
use crate::engine::plan::{Stage, Unit};
use crate::engine::step_exec::step_plan;
use crate::engine::unit::{Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::step::Kind;
use crate::steps::StepConfig;

/// Runs one unit up to its commit record, which the caller commits. `before` are the commits it reads.
pub async fn run_unit(run: &Run, unit: &Unit, before: &Before) -> Result<Commit, RunError> {
    let log = UnitLog::new(run.progress.clone(), unit);
    let files = log.task(async {
        match unit.stage {
            Stage::Neighbours => neighbours::run(run, unit, &log).await,
            Stage::Documents => documents::run(run, unit, &log).await,
            Stage::Images => images::run(run, unit, &log, &before.documents).await,
            Stage::ImageShards => shards::run(run, unit, &log, before).await,
            Stage::Retrieved => retrieved::run(run, unit, &log, before).await,
            Stage::Sequences => sequences::run(run, unit, &log, before).await,
            Stage::Shards => shards::run(run, unit, &log, before).await,
        }
    });
    let files = files.await?;
    log.close(run, unit, files).await
}

/// Commits of the stages before a unit's own; empty where they aren't read.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// All of the neighbours stage.
    pub neighbours: Vec<Commit>,
    /// All of the documents stage.
    pub documents: Vec<Commit>,
    /// All of the images stage.
    pub images: Vec<Commit>,
    /// All of the retrieved stage.
    pub retrieved: Vec<Commit>,
    /// All of the sequences stage.
    pub sequences: Vec<Commit>,
}

impl Before {
    /// The same with the commits of one more stage.
    pub fn with(self, stage: Stage, commits: Vec<Commit>) -> Self {
        match stage {
            Stage::Neighbours => Self { neighbours: commits, ..self },
            Stage::Documents => Self { documents: commits, ..self },
            Stage::Images => Self { images: commits, ..self },
            Stage::Retrieved => Self { retrieved: commits, ..self },
            Stage::Sequences => Self { sequences: commits, ..self },
            Stage::ImageShards | Stage::Shards => self,
        }
    }
}

/// Puts the job's steps over a plan, one node each.
fn steps_over(
    run: &Run,
    input: Arc<dyn ExecutionPlan>,
    steps: &[StepConfig],
    kind: Kind,
    log: &Arc<UnitLog>,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let mut plan = input;
    for config in steps {
        let schema: SchemaRef = config.columns().apply(&plan.schema()).map_err(StepError::Bug)?;
        let step = run.checked.step(config)?;
        let memory = run.checked.resources.memory.clone();
        plan = step_plan(config.name(), kind, step, schema, (log.clone(), memory), plan);
    }
    Ok(plan)
}
