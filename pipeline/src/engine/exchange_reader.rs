//! Reads buckets of an exchange as a table of a plan: of each file just the bytes in which the bucket's batches stand.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
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
use crate::engine::exchange::{BLOCK_BYTES, Segment, checksum, segment};
use crate::engine::exchange_writer::ipc_stream;
use crate::engine::gather::Gatherer;
use crate::engine::nodes::external;
use crate::engine::store::Store;
use crate::engine::table_writer::TableFile;
use crate::error::RunError;

/// Requests on their way at once; what they bring is held until its turn.
const REQUESTS: usize = 8;
/// Bytes of a batch that is read: it has fewer rows than its plan asks for where they are larger.
const BYTES_OF_A_BATCH: u64 = 8 << 20;

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
    let requests = files.filter_map(|file| Some(requests(&file.path, std::slice::from_ref(segment(file, bucket)?))));
    read(context, store, requests.flatten().collect(), schema)
}

/// All rows of one file.
pub fn whole(
    context: &SessionContext,
    store: &Store,
    file: &TableFile,
    schema: &SchemaRef,
) -> std::result::Result<DataFrame, RunError> {
    read(context, store, requests(&file.path, file.segments.as_deref().unwrap_or_default()), schema)
}

fn read(
    context: &SessionContext,
    store: &Store,
    requests: Vec<Request>,
    schema: &SchemaRef,
) -> std::result::Result<DataFrame, RunError> {
    let head = Bytes::copy_from_slice(ipc_stream(schema)?.get_ref());
    let rows = Rows { objects: store.objects(), requests, head, schema: schema.clone() };
    Ok(context.read_table(Arc::new(StreamingTable::try_new(schema.clone(), vec![Arc::new(rows)])?))?)
}

/// Some bytes of a file that lie side by side.
#[derive(Debug, Clone)]
struct Request {
    path: Path,
    bytes: Range<u64>,
    blocks: Vec<Block>,
}

/// Bytes with a checksum.
#[derive(Debug, Clone)]
struct Block {
    bytes: usize,
    checksum: u64,
    /// The rows of its segment, where these are its last bytes.
    ends: Option<u64>,
}

/// What is asked for to read these segments, in order: many small ones at once, a large one in pieces.
fn requests(path: &str, segments: &[Segment]) -> Vec<Request> {
    let path = Path::from(path);
    let mut requests: Vec<Request> = Vec::new();
    for (offset, block) in segments.iter().flat_map(blocks) {
        let length = block.bytes as u64;
        match requests.last_mut() {
            Some(last)
                if last.bytes.end == offset && last.bytes.end - last.bytes.start + length <= BLOCK_BYTES as u64 =>
            {
                last.bytes.end += length;
                last.blocks.push(block);
            }
            _ => requests.push(Request { path: path.clone(), bytes: offset..offset + length, blocks: vec![block] }),
        }
    }
    requests
}

/// Each block of a segment, and where it begins.
fn blocks(segment: &Segment) -> impl Iterator<Item = (u64, Block)> {
    let end = segment.offset + segment.bytes;
    let starts = (segment.offset..end).step_by(BLOCK_BYTES);
    starts.zip(&segment.checksums).map(move |(start, &checksum)| {
        let bytes = (end - start).min(BLOCK_BYTES as u64);
        let ends = (start + bytes == end).then_some(segment.rows);
        (start, Block { bytes: bytes as usize, checksum, ends })
    })
}

#[derive(Debug)]
struct Rows {
    objects: Arc<dyn ObjectStore>,
    requests: Vec<Request>,
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
        let pieces =
            stream::iter(self.requests.clone()).map(move |request| fetch(objects.clone(), request)).buffered(REQUESTS);
        let batch_rows = context.session_config().batch_size();
        let mut reading = Reading {
            pieces: pieces.boxed(),
            decoder: StreamDecoder::new(),
            rows_of_segment: 0,
            rows: Gatherer::new(self.schema.clone(), batch_rows, BYTES_OF_A_BATCH),
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
    rows_of_segment: u64,
    /// Copies rows out of what was fetched, which a batch would keep in memory otherwise, into batches of one size.
    rows: Gatherer,
    ended: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rows.ended() {
                return Ok(Some(batch));
            }
            match self.pieces.try_next().await? {
                Some((request, bytes)) => self.take(&request, bytes)?,
                None if self.ended => return Ok(None),
                None => {
                    self.rows.finish()?;
                    self.ended = true;
                }
            }
        }
    }

    fn take(&mut self, request: &Request, mut bytes: Bytes) -> Result<()> {
        let broken = |cause: String| external(RunError::Record { path: request.path.to_string(), cause });
        for block in &request.blocks {
            let bytes = bytes.split_to(block.bytes.min(bytes.len()));
            // The decoder takes what it reads for sound, and panics at some bytes that are not.
            if checksum(&bytes) != block.checksum {
                return Err(broken(format!("damaged in bytes {:?}: their checksum is another", request.bytes)));
            }
            self.decode(bytes).map_err(&broken)?;
            let Some(expected) = block.ends else { continue };
            self.decoder.finish().map_err(|error| broken(error.to_string()))?;
            let found = std::mem::take(&mut self.rows_of_segment);
            if found != expected {
                return Err(broken(format!(
                    "{found} rows in bytes {:?}, but its commit says {expected}",
                    request.bytes
                )));
            }
        }
        Ok(())
    }

    fn decode(&mut self, bytes: Bytes) -> std::result::Result<(), String> {
        let mut bytes = Buffer::from(bytes);
        while !bytes.is_empty() {
            if let Some(batch) = self.decoder.decode(&mut bytes).map_err(|error| error.to_string())? {
                self.rows_of_segment += batch.num_rows() as u64;
                self.rows.push(&batch).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
