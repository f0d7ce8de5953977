//! Reads the rows of a piece in batches of bounded size, and passes over those that can't be read.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::{ParquetFile, guarded};
use crate::sources::{InputError, Piece};

/// Bytes of a batch, going by the average row of its row group.
const BATCH_BYTES: u64 = 8 << 20;
const MOST_BATCH_ROWS: u64 = 128;

/// Rows of a file, by the number of the first.
pub enum Rows {
    /// Rows that were read.
    Batch(u64, RecordBatch),
    /// So many rows that can't be read, and why.
    Lost(u64, u64, String),
}

/// Whether to read further.
type GoOn = ControlFlow<()>;

impl ParquetFile {
    /// Reads the rows of a piece in order, until `take` breaks off.
    pub fn read(
        &self,
        piece: &Piece,
        columns: &[usize],
        mut take: impl FnMut(Rows) -> GoOn,
    ) -> Result<GoOn, InputError> {
        for (index, first_row) in self.groups_in(piece) {
            let rows = self.groups()[index].num_rows() as u64;
            let group = Group { file: self, index, first_row, rows, columns };
            if group.read(&mut take)?.is_break() {
                return Ok(GoOn::Break(()));
            }
        }
        Ok(GoOn::Continue(()))
    }
}

struct Group<'a> {
    file: &'a ParquetFile,
    index: usize,
    first_row: u64,
    rows: u64,
    columns: &'a [usize],
}

impl Group<'_> {
    /// A batch that can't be read is read again row by row, so that only rows that can't be read are lost.
    fn read(&self, take: &mut impl FnMut(Rows) -> GoOn) -> Result<GoOn, InputError> {
        let batch_rows = self.batch_rows();
        let (mut next, mut singly_until) = (0, 0);
        let mut reader: Option<ParquetRecordBatchReader> = None;
        while next < self.rows {
            let singly = next < singly_until;
            let batch = match &mut reader {
                Some(reader) => next_batch(reader),
                None => self
                    .reader(next, if singly { 1 } else { batch_rows })
                    .and_then(|new| next_batch(reader.insert(new))),
            };
            self.file.chunks.check()?;
            let found = match batch {
                Ok(batch) => {
                    let first_row = self.first_row + next;
                    next += batch.num_rows() as u64;
                    if singly && next >= singly_until {
                        reader = None;
                    }
                    Rows::Batch(first_row, batch)
                }
                Err(_) if !singly && batch_rows > 1 => {
                    reader = None;
                    singly_until = next + batch_rows;
                    continue;
                }
                Err(detail) => {
                    reader = None;
                    let lost = self.first_row + next;
                    let good = self.next_readable(next + 1);
                    let rows = good - next;
                    next = good;
                    Rows::Lost(lost, rows, detail)
                }
            };
            if take(found).is_break() {
                return Ok(GoOn::Break(()));
            }
        }
        Ok(GoOn::Continue(()))
    }

    fn batch_rows(&self) -> u64 {
        let group = &self.file.groups()[self.index];
        let bytes = self.columns.iter().map(|column| group.column(*column).uncompressed_size().max(0) as u64);
        let average = bytes.sum::<u64>() / self.rows.max(1);
        (BATCH_BYTES / average.max(1)).clamp(1, MOST_BATCH_ROWS)
    }

    fn reader(&self, next: u64, batch_rows: u64) -> Result<ParquetRecordBatchReader, String> {
        self.file.reader(self.index, self.columns, next..self.rows, batch_rows as usize)
    }

    /// The first row from `from` on that can be read, found in few steps: what is broken is a page, as a rule.
    fn next_readable(&self, from: u64) -> u64 {
        let readable = |row: u64| self.reader(row, 1).and_then(|mut reader| next_batch(&mut reader)).is_ok();
        let (mut broken, mut step) = (from, 1);
        if from >= self.rows || readable(from) {
            return from.min(self.rows);
        }
        let mut good = loop {
            let row = broken.saturating_add(step).min(self.rows);
            if row == self.rows || readable(row) {
                break row;
            }
            (broken, step) = (row, step * 2);
        };
        while good - broken > 1 {
            let middle = broken + (good - broken) / 2;
            if readable(middle) { good = middle } else { broken = middle }
        }
        good
    }
}

fn next_batch(reader: &mut ParquetRecordBatchReader) -> Result<RecordBatch, String> {
    match guarded(|| reader.next().transpose().map_err(|error| error.to_string()))? {
        Some(batch) if batch.num_rows() > 0 => Ok(batch),
        _ => Err("there are fewer rows than the footer says".to_owned()),
    }
}
