//! Writes one table to one Parquet file, with bytes that don't depend on how its rows came in batches.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use pageloom_schemas::features;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::engine::clock::{Meter, metered};
use crate::engine::exchange::Segment;
use crate::engine::store::Store;
use crate::error::RunError;

/// Rows that are handed to the Parquet writer at once: it closes pages only between them.
const ROWS_AT_ONCE: usize = 64;

/// One written file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFile {
    /// Where it is, relative to the output folder.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Where each bucket lies, in order, where the table is an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<Segment>>,
}

/// What takes the rows of a table.
pub trait TableSink: Send {
    /// Adds rows.
    fn write(&mut self, batch: RecordBatch) -> impl Future<Output = Result<(), RunError>> + Send;

    /// Makes the file visible.
    fn finish(self) -> impl Future<Output = Result<TableFile, RunError>> + Send;
}

/// How a table that stays within the run is written: fast, and with row groups that the writer can hold.
pub fn table_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(1 << 12))
        .build()
}

/// How shards are written: ids as byte-stream-split without a dictionary, zstd level 3, page index, and the
/// features that Hugging Face `datasets` reads.
pub fn shard_properties(
    schema: &Schema,
    rows_per_row_group: u64,
    extra: Vec<(String, String)>,
) -> Result<WriterProperties, RunError> {
    let mut metadata = vec![KeyValue::new(features::FOOTER_KEY.into(), features::footer_value(schema).to_string())];
    metadata.extend(extra.into_iter().map(|(key, value)| KeyValue::new(key, value)));
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(usize::try_from(rows_per_row_group).unwrap_or(usize::MAX)))
        .set_key_value_metadata(Some(metadata));
    for name in ["input_ids", "labels", "tokens"] {
        let path = ColumnPath::new(vec![name.into(), "list".into(), "item".into()]);
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    Ok(builder.build())
}

/// A Parquet file in the making.
pub struct TableWriter {
    path: String,
    writer: AsyncArrowWriter<HashingWriter>,
    rows: BatchCoalescer,
    row_count: u64,
    meter: Arc<Meter>,
}

impl TableWriter {
    /// Starts a file; nothing is visible under its name before [`Self::finish`]. What writing costs is charged to `meter`.
    pub fn create(
        store: &Store,
        path: String,
        schema: SchemaRef,
        properties: WriterProperties,
        meter: Arc<Meter>,
    ) -> Result<Self, RunError> {
        let file = HashingWriter::create(store, &path);
        // Readers that go by the Arrow schema, as pyarrow does, see only the metadata that stands in it.
        let named = properties.key_value_metadata().into_iter().flatten();
        let named = named.filter_map(|entry| Some((entry.key.clone(), entry.value.clone()?)));
        let described = Arc::new(schema.as_ref().clone().with_metadata(named.collect()));
        let writer = AsyncArrowWriter::try_new(file, described, Some(properties))?;
        let rows = BatchCoalescer::new(schema, ROWS_AT_ONCE);
        Ok(Self { path, writer, rows, row_count: 0, meter })
    }

    async fn flush(&mut self) -> Result<(), RunError> {
        while let Some(batch) = self.rows.next_completed_batch() {
            self.writer.write(&batch).await?;
        }
        Ok(())
    }
}

impl TableSink for TableWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), RunError> {
        self.row_count += batch.num_rows() as u64;
        let meter = self.meter.clone();
        metered(&meter, async {
            self.rows.push_batch(batch)?;
            self.flush().await
        })
        .await
    }

    async fn finish(mut self) -> Result<TableFile, RunError> {
        let meter = self.meter.clone();
        metered(&meter, async {
            self.rows.finish_buffered_batch()?;
            self.flush().await?;
            self.writer.finish().await?;
            Ok::<(), RunError>(())
        })
        .await?;
        Ok(self.writer.into_inner().into_table(self.path, self.row_count, None))
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file of the run's store in the making, its digest with it.
pub struct HashingWriter {
    inner: BufWriter,
    digest: Sha256,
    bytes: u64,
}

impl HashingWriter {
    /// Starts a file; nothing is visible under its name before it is complete.
    pub fn create(store: &Store, path: &str) -> Self {
        let inner = BufWriter::new(store.objects(), Path::from(path));
        Self { inner, digest: Sha256::new(), bytes: 0 }
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The record of the file, now that it is complete.
    pub fn into_table(self, path: String, rows: u64, segments: Option<Vec<Segment>>) -> TableFile {
        TableFile { path, rows, bytes: self.bytes, sha256: hex(&self.digest.finalize()), segments }
    }
}

impl AsyncFileWriter for HashingWriter {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        Box::pin(async move {
            self.digest.update(&bytes);
            self.bytes += bytes.len() as u64;
            Ok(self.inner.write_all(&bytes).await?)
        })
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        Box::pin(async move { Ok(self.inner.shutdown().await?) })
    }
}

/// Writes every batch of a plan to one file.
pub async fn write_plan(
    context: &datafusion::prelude::SessionContext,
    plan: Arc<dyn datafusion::physical_plan::ExecutionPlan>,
    mut writer: impl TableSink,
) -> Result<TableFile, RunError> {
    use futures::TryStreamExt;
    let mut batches = datafusion::physical_plan::execute_stream(plan, context.task_ctx())?;
    while let Some(batch) = batches.try_next().await? {
        writer.write(batch).await?;
    }
    writer.finish().await
}
