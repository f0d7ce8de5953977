//! Small plan nodes: a stream as a leaf, a function over batches, a sort.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;

use crate::error::StepError;

/// Properties of a node with one bounded partition in no known order.
pub fn one_partition(schema: SchemaRef) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

/// A leaf that gives one stream, once: what a source reads while the plan runs.
pub struct StreamExec {
    stream: Mutex<Option<SendableRecordBatchStream>>,
    properties: Arc<PlanProperties>,
}

impl StreamExec {
    /// A leaf over a stream.
    pub fn plan(stream: SendableRecordBatchStream) -> Arc<dyn ExecutionPlan> {
        let properties = one_partition(stream.schema());
        Arc::new(Self { stream: Mutex::new(Some(stream)), properties })
    }
}

impl fmt::Debug for StreamExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StreamExec")
    }
}

impl DisplayAs for StreamExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StreamExec")
    }
}

impl ExecutionPlan for StreamExec {
    fn name(&self) -> &str {
        "StreamExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stream = self.stream.lock().ok().and_then(|mut stream| stream.take());
        stream.map_or_else(|| internal_err!("a source's stream was asked for twice"), Ok)
    }
}

/// A batch in, a batch out; may change the number of rows.
pub type BatchFunction = Arc<dyn Fn(RecordBatch) -> Result<RecordBatch, StepError> + Send + Sync>;

/// The engine's own reshaping between tables: unlike a step it is no part of a job.
pub struct MapExec {
    name: &'static str,
    function: BatchFunction,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl MapExec {
    /// Applies a function that gives batches of `schema`.
    pub fn plan(
        name: &'static str,
        input: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        function: BatchFunction,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { name, function, input, properties: one_partition(schema) })
    }

    /// The same columns under the fields of `schema`: an optimiser may forget that a column holds no nulls.
    pub fn conform(input: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<dyn ExecutionPlan> {
        let promised = schema.clone();
        let function = move |batch: RecordBatch| {
            let columns: Result<Vec<_>, StepError> = promised
                .fields()
                .iter()
                .map(|field| {
                    let column = batch.column_by_name(field.name());
                    column.cloned().ok_or_else(|| StepError::Bug(format!("the plan lost column `{}`", field.name())))
                })
                .collect();
            Ok(RecordBatch::try_new(promised.clone(), columns?)?)
        };
        Self::plan("conform", input, schema, Arc::new(function))
    }
}

impl fmt::Debug for MapExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MapExec({})", self.name)
    }
}

impl DisplayAs for MapExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MapExec: {}", self.name)
    }
}

impl ExecutionPlan for MapExec {
    fn name(&self) -> &str {
        "MapExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        Ok(Self::plan(self.name, children.swap_remove(0), schema, self.function.clone()))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let function = self.function.clone();
        let stream = self.input.execute(partition, context)?;
        let mapped = stream.map(move |batch| function(batch?).map_err(external));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), mapped)))
    }
}

/// Sorts by some columns, ascending; spills to disk past the session's memory.
pub fn sort(input: Arc<dyn ExecutionPlan>, by: &[&str]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = input.schema();
    let key = |name: &&str| -> Result<PhysicalSortExpr> {
        Ok(PhysicalSortExpr::new(col(name, &schema)?, SortOptions::default()))
    };
    let keys: Result<Vec<_>> = by.iter().map(key).collect();
    let Some(ordering) = LexOrdering::new(keys?) else { return internal_err!("a sort by nothing") };
    Ok(Arc::new(SortExec::new(ordering, input)))
}

/// An error of ours on its way through DataFusion.
pub fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
