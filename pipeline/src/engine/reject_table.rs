//! One table of a unit's rejects in the making: a few are held in memory, and more lie on the local disk until they are sorted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use pageloom_schemas::tables;

use crate::engine::nodes::{MapExec, StreamExec, sort};
use crate::engine::session::session_of_short_rows;
use crate::engine::store::Store;
use crate::engine::table_writer::{TableFile, TableSink, write_plan};
use crate::error::RunError;
use crate::step::{Kind, Reject};

/// Bytes of rejects that are held: some ten thousand, which is more than most units have.
const HELD_BYTES: usize = 4 << 20;
/// Rows that are written and sorted at once.
const ROWS_AT_ONCE: usize = 256;
/// The column by which kinds have their order, which is not that of their words.
const KIND_ORDER: &str = "kind_order";

type Spilt = StreamWriter<BufWriter<File>>;

/// Rejects in whatever order they come.
pub struct RejectTable {
    held: Vec<Reject>,
    held_bytes: usize,
    most_held: usize,
    counts: BTreeMap<(Kind, &'static str), u64>,
    /// Without a name, so that nothing is left of it wherever the process ends.
    spilt: Option<Spilt>,
}

impl Default for RejectTable {
    fn default() -> Self {
        Self::holding(HELD_BYTES)
    }
}

impl RejectTable {
    fn holding(most_held: usize) -> Self {
        Self { held: Vec::new(), held_bytes: 0, most_held, counts: BTreeMap::new(), spilt: None }
    }

    /// Adds rows. An error says that the disk takes no more of them.
    pub fn add(&mut self, rows: impl IntoIterator<Item = Reject>) -> Result<(), RunError> {
        for row in rows {
            *self.counts.entry((row.kind, row.reason)).or_default() += 1;
            self.held_bytes += bytes_of(&row);
            self.held.push(row);
            if self.held_bytes > self.most_held {
                self.spill()?;
            }
        }
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many there are of each, by `kind.reason`.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let counts = self.counts.iter();
        counts.map(|((kind, reason), count)| (format!("{}.{reason}", kind.as_str()), *count)).collect()
    }

    /// Writes the rows of `tables::rejects` in their order, which does not depend on how they came. Those that lie on the
    /// disk are sorted in so many bytes of memory.
    pub async fn write(
        mut self,
        mut writer: impl TableSink,
        (store, memory): (&Store, u64),
    ) -> Result<TableFile, RunError> {
        if self.spilt.is_some() {
            self.spill()?;
        }
        if let Some(spilt) = self.spilt {
            let context = session_of_short_rows(store, memory, ROWS_AT_ONCE)?;
            let by = [KIND_ORDER, "key", "url", "step", "reason", "detail"];
            let sorted = sort(StreamExec::plan(read_back(spilt)?), &by)?;
            return write_plan(&context, MapExec::conform(sorted, tables::rejects()), writer).await;
        }
        self.held.sort();
        for rows in self.held.chunks(ROWS_AT_ONCE) {
            writer.write(RecordBatch::try_new(tables::rejects(), columns(rows))?).await?;
        }
        writer.finish().await
    }

    /// Moves what is held to the disk.
    fn spill(&mut self) -> Result<(), RunError> {
        let spilt = match &mut self.spilt {
            Some(spilt) => spilt,
            none => none.insert(new_file(tempfile::tempfile().map_err(arrow::error::ArrowError::from)?)?),
        };
        for rows in self.held.chunks(ROWS_AT_ONCE) {
            let order: ArrayRef = Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.kind as u8)));
            let columns = std::iter::once(order).chain(columns(rows)).collect();
            spilt.write(&RecordBatch::try_new(spilt_schema(), columns)?)?;
        }
        self.held.clear();
        self.held_bytes = 0;
        Ok(())
    }
}

fn bytes_of(row: &Reject) -> usize {
    let texts = [&row.key, &row.url, &row.step, &row.detail];
    size_of::<Reject>() + texts.map(String::capacity).iter().sum::<usize>()
}

fn columns(rows: &[Reject]) -> Vec<ArrayRef> {
    let text = |of: fn(&Reject) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
    vec![
        text(|row| row.kind.as_str()),
        text(|row| &row.key),
        text(|row| &row.url),
        text(|row| &row.step),
        text(|row| row.reason),
        text(|row| &row.detail),
    ]
}

fn spilt_schema() -> SchemaRef {
    let order = Arc::new(Field::new(KIND_ORDER, DataType::UInt8, false));
    let rejects = tables::rejects();
    Arc::new(Schema::new(std::iter::once(order).chain(rejects.fields().iter().cloned()).collect::<Vec<_>>()))
}

fn new_file(file: File) -> Result<Spilt, RunError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    Ok(StreamWriter::try_new_with_options(BufWriter::new(file), &spilt_schema(), options)?)
}

/// All rows of a file, from its beginning.
fn read_back(mut spilt: Spilt) -> Result<SendableRecordBatchStream, RunError> {
    spilt.finish()?;
    let file = spilt.into_inner()?.into_inner().map_err(arrow::error::ArrowError::from)?;
    let mut file = BufReader::new(file);
    file.rewind().map_err(arrow::error::ArrowError::from)?;
    let batches = StreamReader::try_new(file, None)?;
    let batches = stream::iter(batches.map(|batch| Ok(batch?)));
    Ok(Box::pin(RecordBatchStreamAdapter::new(spilt_schema(), batches)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::no_room::{Full, full};
    use crate::engine::table_writer::{TableWriter, table_properties};

    /// Of all kinds, some of them twice, with texts of which one begins as another does.
    fn rejects() -> Vec<Reject> {
        let kinds = [Kind::Record, Kind::Image, Kind::Block, Kind::Document];
        let reject = |number: usize| Reject {
            kind: kinds[number % 4],
            key: format!("{}", number * 7919 % 1000),
            url: "ä".repeat(number % 3),
            step: "read".into(),
            reason: ["no_text", "no_id"][number % 2],
            detail: if number.is_multiple_of(5) { String::new() } else { "detail".into() },
        };
        (0..3000).map(reject).chain((0..50).map(reject)).collect()
    }

    async fn written(store: &Store, name: &str, mut table: RejectTable) -> (TableFile, BTreeMap<String, u64>) {
        table.add(rejects()).unwrap();
        let schema = tables::rejects();
        let writer = TableWriter::create(store, name.into(), schema, table_properties(), Arc::default()).unwrap();
        let counts = table.counts();
        (table.write(writer, (store, 32 << 20)).await.unwrap(), counts)
    }

    #[tokio::test]
    async fn rejects_that_lay_on_the_disk_make_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().into(), &Default::default()).unwrap();
        let (held, counts) = written(&store, "held.parquet", RejectTable::default()).await;
        assert_eq!((held.rows, counts.values().sum::<u64>()), (3050, 3050));
        for most_held in [0, 1000, 100_000] {
            let spilt = written(&store, "spilt.parquet", RejectTable::holding(most_held)).await;
            assert_eq!((&spilt.0.sha256, spilt.0.rows, &spilt.1), (&held.sha256, held.rows, &counts), "{most_held}");
        }
    }

    #[test]
    fn a_disk_without_room_for_them_is_known_as_full() {
        let Ok(disk) = File::create("/dev/full") else { return };
        let mut table = RejectTable { spilt: Some(new_file(disk).unwrap()), ..RejectTable::holding(0) };
        let error = (0..1000).find_map(|_| table.add(rejects()).err()).unwrap();
        assert_eq!(full(&error), Some(Full::Spill));
    }
}
