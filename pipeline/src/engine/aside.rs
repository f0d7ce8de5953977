//! Lays what is large of a row aside, on the local disk, while the rows are sorted: a sort holds many batches, and in each
//! of them so many rows however large they are.

use std::fs::File;
use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;
use futures::future::ready;

use crate::engine::gather::Gatherer;
use crate::engine::nodes::{Batches, MapExec, one, sort};
use crate::engine::weights::weights;

/// A row whose large columns have more bytes than this lies aside.
const LARGE_BYTES: u64 = 64 << 10;
/// Rows, and bytes unless a single row has more, of a batch with rows that lay aside.
const ROWS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: u64 = 8 << 20;
/// The column that says where the rest of a row lies.
const PLACE: &str = "aside";

/// As [`sort`], where rows may have much in these columns, by none of which is sorted.
pub fn sort_aside(input: Arc<dyn ExecutionPlan>, by: &[&str], large: &[&str]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = input.schema();
    let (small, aside) = lay_aside(input, large)?;
    Ok(aside.take_back(sort(small, by)?, schema))
}

/// The same rows, without what is large in these columns; and where that lies.
pub fn lay_aside(input: Arc<dyn ExecutionPlan>, large: &[&str]) -> Result<(Arc<dyn ExecutionPlan>, Arc<Aside>)> {
    let schema = input.schema();
    let columns: std::result::Result<Vec<usize>, _> = large.iter().map(|name| schema.index_of(name)).collect();
    let aside = Arc::new(Aside { columns: columns?, file: OnceLock::new(), lengths: Mutex::default() });
    let small = small_schema(&schema, large);
    let (laying, promised) = (aside.clone(), small.clone());
    let lay = move |batch: RecordBatch| ready(laying.lay(&batch, promised.clone()).map(one)).boxed();
    Ok((MapExec::in_background("lay_aside", input, small, 1, Arc::new(lay)), aside))
}

/// A schema whose large columns may be missing in a row, with the place where they lie then.
pub fn small_schema(schema: &Schema, large: &[&str]) -> SchemaRef {
    let small = |field: &Arc<Field>| match large.contains(&field.name().as_str()) {
        true => Arc::new(field.as_ref().clone().with_nullable(true)),
        false => field.clone(),
    };
    let place = Arc::new(Field::new(PLACE, DataType::UInt64, true));
    Arc::new(Schema::new(schema.fields().iter().map(small).chain([place]).collect::<Vec<_>>()))
}

/// What was laid aside, as long as a plan needs it.
#[derive(Debug)]
pub struct Aside {
    columns: Vec<usize>,
    /// Without a name, so that nothing is left of it wherever the process ends.
    file: OnceLock<File>,
    /// Each row's place, and its bytes.
    lengths: Mutex<Vec<(u64, usize)>>,
}

impl Aside {
    fn lay(&self, batch: &RecordBatch, small: SchemaRef) -> Result<RecordBatch> {
        let large = batch.project(&self.columns)?;
        let weights = weights(&large);
        let place = |row: usize| (weights[row] > LARGE_BYTES).then(|| self.write(large.slice(row, 1))).transpose();
        let places: Result<Vec<Option<u64>>> = (0..batch.num_rows()).map(place).collect();
        let places = UInt64Array::from(places?);
        let mut columns = batch.columns().to_vec();
        if places.null_count() < places.len() {
            let stays = (0..).zip(places.iter()).map(|(row, place)| place.is_none().then_some(row));
            let stays: UInt32Array = stays.collect();
            for &column in &self.columns {
                columns[column] = take(&columns[column], &stays, None)?;
            }
        }
        columns.push(Arc::new(places));
        Ok(RecordBatch::try_new(small, columns)?)
    }

    fn write(&self, row: RecordBatch) -> Result<u64> {
        let mut stream = StreamWriter::try_new(Vec::new(), &row.schema())?;
        stream.write(&row)?;
        let bytes = stream.into_inner()?;
        let mut places = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        if self.file.get().is_none() {
            let _ = self.file.set(tempfile::tempfile()?);
        }
        let start = places.last().map_or(0, |(start, length)| start + *length as u64);
        self.file()?.write_all_at(&bytes, start)?;
        places.push((start, bytes.len()));
        Ok(places.len() as u64 - 1)
    }

    fn read(&self, place: u64) -> Result<RecordBatch> {
        let lost = || internal_datafusion_err!("row {place} was never laid aside");
        let places = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, length) = places.get(place as usize).copied().ok_or_else(lost)?;
        drop(places);
        let mut bytes = vec![0; length];
        self.file()?.read_exact_at(&mut bytes, start)?;
        StreamReader::try_new(Cursor::new(bytes), None)?.next().ok_or_else(lost)?.map_err(DataFusionError::from)
    }

    fn file(&self) -> Result<&File> {
        self.file.get().ok_or_else(|| internal_datafusion_err!("nothing was laid aside"))
    }

    /// Puts the rows together again, under the fields of `schema`.
    pub fn take_back(self: Arc<Self>, input: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<dyn ExecutionPlan> {
        let promised = schema.clone();
        let take_back = move |batch: RecordBatch| ready(self.clone().whole(&batch, promised.clone())).boxed();
        MapExec::in_background("take_back", input, schema, 1, Arc::new(take_back))
    }

    /// The rows of a batch, whole; a few at a time where some of them lay aside.
    fn whole(self: Arc<Self>, batch: &RecordBatch, schema: SchemaRef) -> Result<Batches> {
        let lost = || internal_datafusion_err!("the plan lost a column of rows that lay aside");
        let places = batch.column_by_name(PLACE).and_then(|places| places.as_any().downcast_ref::<UInt64Array>());
        let places = places.ok_or_else(lost)?.clone();
        let columns = schema.fields().iter().map(|field| batch.column_by_name(field.name()).cloned());
        let columns: Vec<ArrayRef> = columns.collect::<Option<_>>().ok_or_else(lost)?;
        if places.null_count() == places.len() {
            return Ok(one(RecordBatch::try_new(schema, columns)?));
        }
        let gatherer = Gatherer::new(schema.clone(), ROWS_AT_ONCE, BYTES_AT_ONCE);
        Ok(Box::new(TakingBack { aside: self, schema, columns, places, row: 0, gatherer }))
    }
}

/// A batch with rows that lie aside, on its way back.
struct TakingBack {
    aside: Arc<Aside>,
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    places: UInt64Array,
    row: usize,
    gatherer: Gatherer,
}

impl TakingBack {
    /// Adds the next row.
    fn push(&mut self) -> Result<()> {
        let row = self.row;
        self.row += 1;
        let mut columns: Vec<ArrayRef> = self.columns.iter().map(|column| column.slice(row, 1)).collect();
        if self.places.is_valid(row) {
            let large = self.aside.read(self.places.value(row))?;
            for (field, column) in large.schema().fields().iter().zip(large.columns()) {
                columns[self.schema.index_of(field.name())?] = column.clone();
            }
        }
        Ok(self.gatherer.push(&RecordBatch::try_new(self.schema.clone(), columns)?)?)
    }
}

impl Iterator for TakingBack {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.gatherer.ended() {
                return Some(Ok(batch));
            }
            if self.row > self.places.len() {
                return None;
            }
            let done = match self.row == self.places.len() {
                true => {
                    self.row += 1;
                    self.gatherer.finish().map_err(DataFusionError::from)
                }
                false => self.push(),
            };
            if let Err(error) = done {
                self.row = self.places.len() + 1;
                return Some(Err(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, UInt32Array};
    use datafusion::execution::memory_pool::FairSpillPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::collect;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use futures::stream;

    use super::*;
    use crate::engine::nodes::StreamExec;

    /// Ninety rows in no order, each third of which has a megabyte of text.
    fn rows() -> RecordBatch {
        let numbers: Vec<u32> = (0..90).map(|row| row * 37 % 90).collect();
        let text = |number: &u32| number.to_string().repeat(if number.is_multiple_of(3) { 1 << 19 } else { 2 });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(numbers.iter().map(text)));
        let numbers: ArrayRef = Arc::new(UInt32Array::from(numbers));
        RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).unwrap()
    }

    fn plan(batch: &RecordBatch) -> Arc<dyn ExecutionPlan> {
        let pieces: Vec<_> = (0..9).map(|piece| Ok(batch.slice(piece * 10, 10))).collect();
        StreamExec::plan(Box::pin(RecordBatchStreamAdapter::new(batch.schema(), stream::iter(pieces))))
    }

    /// A plan that has eight megabytes.
    fn session() -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(1);
        config.options_mut().execution.sort_spill_reservation_bytes = 1 << 20;
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(8 << 20)));
        SessionContext::new_with_config_rt(config, runtime.build_arc().unwrap())
    }

    #[tokio::test]
    async fn rows_are_sorted_in_less_memory_than_they_weigh_and_come_back_whole_in_small_batches() {
        let rows = rows();
        assert!(collect(sort(plan(&rows), &["number"]).unwrap(), session().task_ctx()).await.is_err());
        let sorted = sort_aside(plan(&rows), &["number"], &["text"]).unwrap();
        let batches = collect(sorted, session().task_ctx()).await.unwrap();
        assert!(batches.iter().all(|batch| weights(batch).iter().sum::<u64>() <= BYTES_AT_ONCE), "{batches:?}");
        let found = arrow::compute::concat_batches(&rows.schema(), &batches).unwrap();
        let order = arrow::compute::sort_to_indices(rows.column(0), None, None).unwrap();
        assert_eq!(found, arrow::compute::take_record_batch(&rows, &order).unwrap());
    }

    #[tokio::test]
    async fn rows_without_anything_large_need_no_file() {
        let rows = rows();
        let small: Vec<u32> = (0..90).filter(|row| row * 37 % 90 % 3 != 0).collect();
        let rows = arrow::compute::take_record_batch(&rows, &UInt32Array::from(small)).unwrap();
        let one =
            StreamExec::plan(Box::pin(RecordBatchStreamAdapter::new(rows.schema(), stream::iter([Ok(rows.clone())]))));
        let (small, aside) = lay_aside(one, &["text"]).unwrap();
        let whole = aside.clone().take_back(small, rows.schema());
        assert_eq!(collect(whole, session().task_ctx()).await.unwrap(), [rows]);
        assert!(aside.file.get().is_none());
    }
}
