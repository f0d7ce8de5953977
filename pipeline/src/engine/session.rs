//! The DataFusion session of one unit: one partition, bounded memory, plain types.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext};

use crate::engine::store::Store;
use crate::error::RunError;

/// A session whose plans run in one partition, so that the rows' order is the plan's alone.
pub fn session(store: &Store, memory: u64, batch_rows: usize) -> Result<SessionContext, RunError> {
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(batch_rows);
    let options = config.options_mut();
    // Views would come back as other types than the tables promise.
    options.execution.parquet.schema_force_view_types = false;
    options.execution.sort_spill_reservation_bytes = memory / 8;
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory))).build_arc()?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_object_store(&Store::base_url()?, store.objects());
    Ok(context)
}

/// The rows of some files of one table; no files are an empty table.
pub async fn scan(context: &SessionContext, files: &[String], schema: &SchemaRef) -> Result<DataFrame, RunError> {
    if files.is_empty() {
        return Ok(context.read_table(Arc::new(EmptyTable::new(schema.clone())))?);
    }
    let urls: Vec<String> = files.iter().map(|file| Store::url(file)).collect();
    let options = ParquetReadOptions::default().schema(schema.as_ref());
    Ok(context.read_parquet(urls, options).await?)
}
