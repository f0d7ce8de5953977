//! Reads buckets of an exchange as a table of a plan: of each file just the bytes in which the bucket's batches stand.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow_ipc::reader::StreamDecoder;
use bytes::Bytes;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::future::ready;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::engine::commit::Commit;
use crate::engine::exchange::{Segment, segment};
use crate::engine::exchange_writer::ipc_stream;
use crate::engine::nodes::external;
use crate::engine::store::Store;
use crate::engine::table_writer::TableFile;
use crate::error::RunError;

/// Bytes of one request.
const BYTES_AT_ONCE: u64 = 1 << 20;
/// Requests on their way at once; what they bring is held until its turn.
const REQUESTS: usize = 8;

/// The rows of a bucket of a table that the units of a stage wrote, in the order of units.
pub fn bucket(
    context: &SessionContext,
    store: &Store,
    commits: &[Commit],
    table: &str,
    bucket: u32,
    schema: &SchemaRef,
) -> std::result::Result<DataFrame, RunError> {
    let files = commits.iter().filter_map(|commit| commit.file(table));
    let stretches = files.filter_map(|file| Some(Stretch::of(&file.path, &[segment(file, bucket)?])));
    read(context, store, stretches.collect(), schema)
}

/// All rows of one file.
pub fn whole(
    context: &SessionContext,
    store: &Store,
    file: &TableFile,
    schema: &SchemaRef,
) -> std::result::Result<DataFrame, RunError> {
    read(context, store, vec![Stretch::of(&file.path, file.segments.as_deref().unwrap_or_default())], schema)
}

fn read(
    context: &SessionContext,
    store: &Store,
    stretches: Vec<Stretch>,
    schema: &SchemaRef,
) -> std::result::Result<DataFrame, RunError> {
    let head = Bytes::copy_from_slice(ipc_stream(schema)?.get_ref());
    let rows = Rows { objects: store.objects(), stretches, head, schema: schema.clone() };
    Ok(context.read_table(Arc::new(StreamingTable::try_new(schema.clone(), vec![Arc::new(rows)])?))?)
}

/// Batches of one file that lie side by side.
#[derive(Debug, Clone)]
struct Stretch {
    path: Path,
    bytes: Range<u64>,
    rows: u64,
}

impl Stretch {
    fn of(path: &str, segments: &[Segment]) -> Self {
        let start = segments.first().map_or(0, |first| first.offset);
        let end = segments.last().map_or(0, |last| last.offset + last.bytes);
        Self { path: Path::from(path), bytes: start..end, rows: segments.iter().map(|segment| segment.rows).sum() }
    }

    /// What is asked for at once, in order.
    fn requests(self) -> impl Iterator<Item = Request> {
        let Self { path, bytes, rows } = self;
        bytes.clone().step_by(BYTES_AT_ONCE as usize).map(move |start| {
            let end = bytes.end.min(start + BYTES_AT_ONCE);
            Request { path: path.clone(), bytes: start..end, ends: (end == bytes.end).then_some(rows) }
        })
    }
}

/// Some bytes of a stretch.
struct Request {
    path: Path,
    bytes: Range<u64>,
    /// The rows of the stretch, where these are its last bytes.
    ends: Option<u64>,
}

#[derive(Debug)]
struct Rows {
    objects: Arc<dyn ObjectStore>,
    stretches: Vec<Stretch>,
    /// What a stream begins with before its first batch.
    head: Bytes,
    schema: SchemaRef,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let objects = self.objects.clone();
        let requests: Vec<Request> = self.stretches.iter().cloned().flat_map(Stretch::requests).collect();
        let pieces = stream::iter(requests).map(move |request| fetch(objects.clone(), request)).buffered(REQUESTS);
        let batch_rows = context.session_config().batch_size();
        let mut reading = Reading {
            pieces: pieces.boxed(),
            decoder: StreamDecoder::new(),
            rows_of_stretch: 0,
            rows: BatchCoalescer::new(self.schema.clone(), batch_rows),
            ended: false,
        };
        let head = Buffer::from(self.head.clone());
        let started = reading.decoder.decode(&mut head.clone()).map_err(DataFusionError::from);
        let batches = stream::once(ready(started)).try_filter_map(|_| ready(Ok(None)));
        let batches = batches.chain(stream::try_unfold(reading, |mut reading| async {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        }));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}

async fn fetch(objects: Arc<dyn ObjectStore>, request: Request) -> Result<(Request, Bytes)> {
    let bytes = objects.get_range(&request.path, request.bytes.clone()).await?;
    Ok((request, bytes))
}

/// Bytes on their way to batches.
struct Reading {
    pieces: BoxStream<'static, Result<(Request, Bytes)>>,
    decoder: StreamDecoder,
    rows_of_stretch: u64,
    /// Copies rows out of what was fetched, which a batch would keep in memory otherwise, into batches of one size.
    rows: BatchCoalescer,
    ended: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rows.next_completed_batch() {
                return Ok(Some(batch));
            }
            match self.pieces.try_next().await? {
                Some((request, bytes)) => self.take(&request, bytes)?,
                None if self.ended => return Ok(None),
                None => {
                    self.rows.finish_buffered_batch()?;
                    self.ended = true;
                }
            }
        }
    }

    fn take(&mut self, request: &Request, bytes: Bytes) -> Result<()> {
        let broken = |cause: String| external(RunError::Record { path: request.path.to_string(), cause });
        let mut bytes = Buffer::from(bytes);
        while !bytes.is_empty() {
            let batch = self.decoder.decode(&mut bytes).map_err(|error| broken(error.to_string()))?;
            if let Some(batch) = batch {
                self.rows_of_stretch += batch.num_rows() as u64;
                self.rows.push_batch(batch)?;
            }
        }
        let Some(expected) = request.ends else { return Ok(()) };
        self.decoder.finish().map_err(|error| broken(error.to_string()))?;
        let found = std::mem::take(&mut self.rows_of_stretch);
        if found != expected {
            return Err(broken(format!("{found} rows in bytes {:?}, but its commit says {expected}", request.bytes)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
