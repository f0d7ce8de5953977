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
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::future::{BoxFuture, ready};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

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

/// Batches, each made when it is asked for.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A single batch.
pub fn one(batch: RecordBatch) -> Batches {
    Box::new(std::iter::once(Ok(batch)))
}

/// A batch in, and out what became of it once it is computed elsewhere: in one batch or, where that is large, in several.
pub type Background = Arc<dyn Fn(RecordBatch) -> BoxFuture<'static, Result<Batches>> + Send + Sync>;

/// A function over batches, in their order: a job's step, or the engine's own reshaping between tables.
#[derive(Clone)]
pub struct MapExec {
    name: &'static str,
    function: Background,
    in_hand: usize,
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
        let at_once = move |batch| ready(function(batch).map(one).map_err(external)).boxed();
        Self::in_background(name, input, schema, 1, Arc::new(at_once))
    }

    /// Applies a function that gives batches of `schema`, to so many batches at once.
    pub fn in_background(
        name: &'static str,
        input: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        in_hand: usize,
        function: Background,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { name, function, in_hand, input, properties: one_partition(schema) })
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
        Ok(Arc::new(Self { input: children.swap_remove(0), ..Self::clone(&self) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = self.input.output_partitioning().partition_count();
        if partitions != 1 {
            return internal_err!("`{}` reads one partition, and would lose the others of {partitions}", self.name);
        }
        let function = self.function.clone();
        let batches = self.input.execute(partition, context)?;
        let mapped = batches.map_ok(move |batch| function(batch)).try_buffered(self.in_hand);
        let mapped = mapped.map_ok(stream::iter).try_flatten();
        // An empty batch says nothing, and some operators take it for the end.
        let some = mapped.try_filter(|batch| ready(batch.num_rows() > 0));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), some.boxed())))
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

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int32Array};
    use datafusion::physical_plan::union::UnionExec;
    use datafusion::physical_plan::{collect, execute_stream};
    use datafusion::prelude::SessionContext;
    use futures::stream;

    use super::*;

    fn numbers(values: &[i32]) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("number", column)]).unwrap()
    }

    fn leaf(batches: Vec<RecordBatch>) -> Arc<dyn ExecutionPlan> {
        let schema = batches[0].schema();
        let rows = stream::iter(batches.into_iter().map(Ok));
        StreamExec::plan(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn unchanged(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let schema = input.schema();
        MapExec::plan("unchanged", input, schema, Arc::new(Ok))
    }

    #[test]
    fn a_second_partition_is_an_error_and_not_lost() {
        let union = UnionExec::try_new(vec![leaf(vec![numbers(&[1])]), leaf(vec![numbers(&[2])])]).unwrap();
        let refused = execute_stream(unchanged(union), SessionContext::new().task_ctx()).err().unwrap();
        assert!(refused.to_string().contains("`unchanged` reads one partition"), "{refused}");
    }

    #[tokio::test]
    async fn batches_keep_their_order_and_empty_ones_go() {
        let batches = vec![numbers(&[3]), numbers(&[]), numbers(&[1, 2])];
        let found = collect(unchanged(leaf(batches)), SessionContext::new().task_ctx()).await.unwrap();
        assert_eq!(found, [numbers(&[3]), numbers(&[1, 2])]);
    }
}
