//! Takes rows as a file's writer would, and holds them against the rows that are there.

use arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::engine::store::Store;
use crate::engine::table_reader::open_table;
use crate::engine::table_writer::{TableFile, TableSink};
use crate::error::RunError;

/// A file whose rows should be those that are handed in.
pub struct Compared {
    path: String,
    stored: BoxStream<'static, Result<RecordBatch, parquet::errors::ParquetError>>,
    ahead: Option<RecordBatch>,
    rows: u64,
}

impl Compared {
    /// Opens the file.
    pub async fn with(store: &Store, path: &str) -> Result<Self, RunError> {
        let stored = open_table(store, path).await?.build()?.boxed();
        Ok(Self { path: path.into(), stored, ahead: None, rows: 0 })
    }

    fn differs(&self, how: &str) -> RunError {
        RunError::Record { path: self.path.clone(), cause: format!("row {} {how}", self.rows) }
    }

    /// The next of the file's rows; none at its end.
    async fn stored(&mut self) -> Result<Option<RecordBatch>, RunError> {
        while self.ahead.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            let Some(batch) = self.stored.try_next().await? else { return Ok(None) };
            self.ahead = Some(batch);
        }
        Ok(self.ahead.take())
    }
}

impl TableSink for Compared {
    async fn write(&mut self, mut batch: RecordBatch) -> Result<(), RunError> {
        while batch.num_rows() > 0 {
            let Some(stored) = self.stored().await? else { return Err(self.differs("is not there")) };
            let rows = stored.num_rows().min(batch.num_rows());
            let differ =
                |row: usize, count: usize| stored.slice(row, count).columns() != batch.slice(row, count).columns();
            if differ(0, rows) {
                self.rows += (0..rows).take_while(|row| !differ(*row, 1)).count() as u64;
                return Err(self.differs("is not what it should be"));
            }
            self.rows += rows as u64;
            self.ahead = Some(stored.slice(rows, stored.num_rows() - rows));
            batch = batch.slice(rows, batch.num_rows() - rows);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<TableFile, RunError> {
        if self.stored().await?.is_some() {
            return Err(self.differs("should not be there"));
        }
        Ok(TableFile { path: self.path, rows: self.rows, bytes: 0, sha256: String::new(), segments: None })
    }
}
