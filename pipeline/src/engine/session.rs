//! The DataFusion session of one unit: one partition, bounded memory, plain types.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext};
use futures::stream;

use crate::engine::store::Store;
use crate::engine::table_writer::TableFile;
use crate::error::RunError;

/// A session whose plans run in one partition, so that the rows' order is the plan's alone.
pub fn session(store: &Store, memory: u64, batch_rows: usize) -> Result<SessionContext, RunError> {
    session_to_merge_in(store, memory, batch_rows, memory / 8)
}

/// A session for rows that are little more than what they are sorted by: of that, a merge holds a copy beside the rows.
pub fn session_of_short_rows(store: &Store, memory: u64, batch_rows: usize) -> Result<SessionContext, RunError> {
    session_to_merge_in(store, memory, batch_rows, memory / 2)
}

/// A session whose sorts keep so many bytes of their memory for merging.
fn session_to_merge_in(store: &Store, memory: u64, batch_rows: usize, merge: u64) -> Result<SessionContext, RunError> {
    let merge = usize::try_from(merge).unwrap_or(usize::MAX);
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(batch_rows);
    let options = config.options_mut();
    // Views would come back as other types than the tables promise.
    options.execution.parquet.schema_force_view_types = false;
    options.execution.sort_spill_reservation_bytes = merge;
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory))).build_arc()?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_object_store(&Store::base_url()?, store.objects());
    Ok(context)
}

/// A plan as a table of other plans.
pub fn table_of(context: &SessionContext, plan: Arc<dyn ExecutionPlan>) -> Result<DataFrame, RunError> {
    let schema = plan.schema();
    Ok(context.read_table(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(Planned(plan))])?))?)
}

/// The one partition of a plan.
#[derive(Debug)]
struct Planned(Arc<dyn ExecutionPlan>);

impl PartitionStream for Planned {
    fn schema(&self) -> &SchemaRef {
        self.0.properties().eq_properties.schema()
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = self.0.schema();
        match execute_stream(self.0.clone(), context) {
            Ok(batches) => batches,
            Err(error) => Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter([Err(error)]))),
        }
    }
}

/// The rows of one file. That they are as many as its record says is asked of DataFusion, which takes a file that it does
/// not find for a table without rows.
pub async fn scan(context: &SessionContext, file: &TableFile, schema: &SchemaRef) -> Result<DataFrame, RunError> {
    let options = ParquetReadOptions::default().schema(schema.as_ref());
    let rows = context.read_parquet(Store::url(&file.path), options).await?;
    let found = rows.clone().count().await? as u64;
    if found == file.rows {
        return Ok(rows);
    }
    let cause = format!("{found} rows are found in it, but {} were written", file.rows);
    Err(RunError::Record { path: file.path.clone(), cause })
}
