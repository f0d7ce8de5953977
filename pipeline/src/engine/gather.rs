//! Gathers rows into batches of so many rows, or of fewer where these are large: one row alone may be larger than that.

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::engine::weights::weights;

/// Batches in the making. Where they end follows from the rows alone, and not from how these came.
pub struct Gatherer {
    batches: BatchCoalescer,
    most_rows: usize,
    most_bytes: u64,
    /// Of the batch that is open.
    rows: usize,
    bytes: u64,
}

impl Gatherer {
    /// Batches with at most so many rows, and at most so many bytes or a single row.
    pub fn new(schema: SchemaRef, most_rows: usize, most_bytes: u64) -> Self {
        Self { batches: BatchCoalescer::new(schema, most_rows), most_rows, most_bytes, rows: 0, bytes: 0 }
    }

    /// Adds rows.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let mut from = 0;
        for (row, weight) in weights(batch).into_iter().enumerate() {
            if self.rows > 0 && self.bytes + weight > self.most_bytes {
                self.batches.push_batch(batch.slice(from, row - from))?;
                self.finish()?;
                from = row;
            }
            self.rows += 1;
            self.bytes += weight;
            if self.rows == self.most_rows {
                (self.rows, self.bytes) = (0, 0);
            }
        }
        self.batches.push_batch(batch.slice(from, batch.num_rows() - from))
    }

    /// Ends the open batch.
    pub fn finish(&mut self) -> Result<(), ArrowError> {
        (self.rows, self.bytes) = (0, 0);
        self.batches.finish_buffered_batch()
    }

    /// A batch that has ended.
    pub fn ended(&mut self) -> Option<RecordBatch> {
        self.batches.next_completed_batch()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn texts(lengths: &[usize]) -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(lengths.iter().map(|length| "x".repeat(*length))));
        RecordBatch::try_from_iter([("text", texts)]).unwrap()
    }

    /// Rows of each batch of at most three rows and 100 bytes, of which each row takes four; the rows come in two pieces.
    fn gathered(lengths: &[usize], cut: usize) -> Vec<usize> {
        let all = texts(lengths);
        let mut gatherer = Gatherer::new(all.schema(), 3, 100);
        for piece in [all.slice(0, cut), all.slice(cut, lengths.len() - cut)] {
            gatherer.push(&piece).unwrap();
        }
        gatherer.finish().unwrap();
        std::iter::from_fn(|| gatherer.ended()).map(|batch| batch.num_rows()).collect()
    }

    #[test]
    fn batches_end_at_their_rows_or_their_bytes_however_the_rows_came() {
        let cases: [(&[usize], &[usize]); 5] = [
            (&[1, 1, 1, 1], &[3, 1]),
            (&[46, 46, 46], &[2, 1]),
            (&[500, 1, 500, 500, 1], &[1, 1, 1, 1, 1]),
            (&[1, 1, 1, 90, 1, 1], &[3, 2, 1]),
            (&[], &[]),
        ];
        for (lengths, expected) in cases {
            for cut in 0..=lengths.len() {
                assert_eq!(gathered(lengths, cut), expected, "{lengths:?} cut at {cut}");
            }
        }
    }
}
