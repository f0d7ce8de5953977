//! Writes one table of an exchange: one Arrow IPC stream, in which the batches of each bucket stand together.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef, UInt32Type};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use pageloom_schemas::columns;
use parquet::arrow::async_writer::AsyncFileWriter;

use crate::engine::clock::{Meter, metered};
use crate::engine::exchange::{BLOCK_BYTES, Segment, checksum};
use crate::engine::gather::Gatherer;
use crate::engine::store::Store;
use crate::engine::table_writer::{HashingWriter, TableFile, TableSink};
use crate::error::{RunError, StepError};

/// Rows of a batch as it is written, and so of one as it is read back: documents are tens of kilobytes each.
const ROWS_AT_ONCE: usize = 64;
/// Bytes of such a batch: it has fewer rows where they are larger.
const BYTES_OF_A_BATCH: u64 = 32 << 20;
/// Bytes that are handed on at once.
const BYTES_AT_ONCE: usize = 1 << 20;

/// A table of an exchange in the making. Its rows come sorted by bucket.
pub struct ExchangeWriter {
    path: String,
    schema: SchemaRef,
    stream: StreamWriter<Vec<u8>>,
    file: HashingWriter,
    open: Option<OpenSegment>,
    /// Bytes of the stream that the open segment's checksums have taken in, or that lie before it.
    checked: u64,
    segments: Vec<Segment>,
    meter: Arc<Meter>,
}

/// The bucket whose rows are coming in.
struct OpenSegment {
    bucket: u32,
    first_byte: u64,
    row_count: u64,
    rows: Gatherer,
    /// Bytes behind the last whole block.
    block: Vec<u8>,
    checksums: Vec<u64>,
}

impl ExchangeWriter {
    /// Starts a file; nothing is visible under its name before it is finished. What writing costs is charged to `meter`.
    pub fn create(store: &Store, path: String, schema: SchemaRef, meter: Arc<Meter>) -> Result<Self, RunError> {
        let file = HashingWriter::create(store, &path);
        let stream = ipc_stream(&schema)?;
        Ok(Self { path, schema, stream, file, open: None, checked: 0, segments: Vec::new(), meter })
    }

    /// Bytes of the stream so far, those not handed on included.
    fn position(&self) -> u64 {
        self.file.bytes() + self.stream.get_ref().len() as u64
    }

    async fn push(&mut self, batch: RecordBatch) -> Result<(), RunError> {
        for (bucket, rows) in stretches(&batch)? {
            self.enter(bucket)?;
            // What is left of many small buckets is as much as one large one.
            self.hand_on(BYTES_AT_ONCE).await?;
            let Some(open) = &mut self.open else { continue };
            open.row_count += rows.len() as u64;
            open.rows.push(&batch.slice(rows.start, rows.len()))?;
            while let Some(full) = self.open.as_mut().and_then(|open| open.rows.ended()) {
                self.stream.write(&full)?;
                self.hand_on(BYTES_AT_ONCE).await?;
            }
        }
        Ok(())
    }

    /// Goes on to a bucket, unless that is the open one.
    fn enter(&mut self, bucket: u32) -> Result<(), RunError> {
        if self.open.as_ref().is_some_and(|open| open.bucket == bucket) {
            return Ok(());
        }
        self.leave()?;
        if self.segments.last().is_some_and(|last| last.bucket >= bucket) {
            return Err(RunError::Bug(format!("{}: rows of bucket {bucket} come after later ones", self.path)));
        }
        let rows = Gatherer::new(self.schema.clone(), ROWS_AT_ONCE, BYTES_OF_A_BATCH);
        let first_byte = self.position();
        self.checked = first_byte;
        self.open =
            Some(OpenSegment { bucket, first_byte, row_count: 0, rows, block: Vec::new(), checksums: Vec::new() });
        Ok(())
    }

    /// Ends the open bucket.
    fn leave(&mut self) -> Result<(), RunError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.rows.finish()?;
        while let Some(rest) = open.rows.ended() {
            self.stream.write(&rest)?;
        }
        open.take_in(self.unchecked());
        self.checked = self.position();
        let (bucket, rows, offset) = (open.bucket, open.row_count, open.first_byte);
        self.segments.push(Segment { bucket, rows, offset, bytes: self.checked - offset, checksums: open.sums() });
        Ok(())
    }

    /// What was encoded since the open segment last took in bytes.
    fn unchecked(&self) -> &[u8] {
        let encoded = self.stream.get_ref();
        let before = self.checked.saturating_sub(self.file.bytes()) as usize;
        encoded.get(before..).unwrap_or_default()
    }

    /// Hands on what has been encoded, once there are so many bytes.
    async fn hand_on(&mut self, at_least: usize) -> Result<(), RunError> {
        if self.stream.get_ref().len() >= at_least.max(1) {
            if let Some(mut open) = self.open.take() {
                open.take_in(self.unchecked());
                self.checked = self.position();
                self.open = Some(open);
            }
            let bytes = std::mem::take(self.stream.get_mut());
            self.file.write(bytes.into()).await?;
        }
        Ok(())
    }
}

impl OpenSegment {
    fn take_in(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
            if self.block.len() == BLOCK_BYTES {
                self.checksums.push(checksum(&self.block));
                self.block.clear();
            }
            bytes = later;
        }
    }

    fn sums(mut self) -> Vec<u64> {
        if !self.block.is_empty() {
            self.checksums.push(checksum(&self.block));
        }
        self.checksums
    }
}

impl TableSink for ExchangeWriter {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), RunError> {
        let meter = self.meter.clone();
        metered(&meter, self.push(batch)).await
    }

    async fn finish(mut self) -> Result<TableFile, RunError> {
        let meter = self.meter.clone();
        metered(&meter, async {
            self.leave()?;
            self.stream.finish()?;
            self.hand_on(1).await?;
            self.file.complete().await?;
            Ok::<(), RunError>(())
        })
        .await?;
        let rows = self.segments.iter().map(|segment| segment.rows).sum();
        Ok(self.file.into_table(self.path, rows, Some(self.segments)))
    }
}

/// A stream with its schema written, and nothing else yet.
pub fn ipc_stream(schema: &Schema) -> Result<StreamWriter<Vec<u8>>, RunError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    Ok(StreamWriter::try_new_with_options(Vec::new(), schema, options)?)
}

/// Runs of rows of one bucket.
fn stretches(batch: &RecordBatch) -> Result<Vec<(u32, Range<usize>)>, StepError> {
    let lost = || StepError::Bug("a table of an exchange has no bucket".into());
    let buckets = batch.column_by_name(columns::bucket().name()).ok_or_else(lost)?;
    let buckets = buckets.as_primitive::<UInt32Type>().values();
    let mut from = 0;
    let runs = buckets.chunk_by(|one, next| one == next).map(|run| {
        let rows = from..from + run.len();
        from = rows.end;
        (run[0], rows)
    });
    Ok(runs.collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray, UInt32Array};

    use super::*;

    /// One row of a bucket, with a text that is hard to compress.
    fn row(bucket: u32) -> RecordBatch {
        let hashes = (0..50).map(|part: u32| blake3::hash(&[bucket.to_le_bytes(), part.to_le_bytes()].concat()));
        let text: String = hashes.map(|hash| hash.to_string()).collect();
        let columns: [(&str, ArrayRef); 2] =
            [("bucket", Arc::new(UInt32Array::from(vec![bucket]))), ("text", Arc::new(StringArray::from(vec![text])))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[tokio::test]
    async fn small_buckets_are_handed_on_as_large_ones_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().into(), &Default::default()).unwrap();
        let schema = row(0).schema();
        let mut writer = ExchangeWriter::create(&store, "a.arrow".into(), schema, Arc::default()).unwrap();
        for bucket in 0..2000 {
            writer.write(row(bucket)).await.unwrap();
            let held = writer.stream.get_ref().len();
            assert!(held < BYTES_AT_ONCE + 10_000, "{held} bytes after bucket {bucket}");
        }
        let file = writer.finish().await.unwrap();
        assert!(file.bytes > 3 * BYTES_AT_ONCE as u64 && file.segments.unwrap().len() == 2000, "{}", file.bytes);
    }
}
