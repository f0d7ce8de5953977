//! Copies of documents, a few at a time: one that thousands of others retrieve is never held that often.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use pageloom_schemas::{Key, columns};

use crate::engine::nodes::external;
use crate::error::StepError;

/// Rows of a batch of copies.
const ROWS_AT_ONCE: usize = 64;

/// Each document as often as `of_key` has something to say of it; `finish` makes a batch of `schema` of some copies and what
/// is said of each.
pub fn copies<T: Clone + Send + Sync + 'static>(
    documents: SendableRecordBatchStream,
    schema: SchemaRef,
    of_key: impl Fn(&Key) -> Vec<T> + Send + 'static,
    finish: impl Fn(&RecordBatch, Vec<T>) -> Result<RecordBatch, StepError> + Send + Sync + 'static,
) -> SendableRecordBatchStream {
    let finish = Arc::new(finish);
    let copied = documents.and_then(move |batch| {
        let said = said_of(&batch, &of_key);
        let finish = finish.clone();
        std::future::ready(said.map_err(external).map(|said| {
            let chunks = (0..said.len()).step_by(ROWS_AT_ONCE);
            stream::iter(chunks.map(move |from| {
                let (rows, said): (Vec<u32>, Vec<T>) =
                    said[from..said.len().min(from + ROWS_AT_ONCE)].iter().cloned().unzip();
                let batch = take_record_batch(&batch, &UInt32Array::from(rows))?;
                finish(&batch, said).map_err(external)
            }))
        }))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, copied.try_flatten()))
}

/// All that is said of the rows of a batch, each with its row.
fn said_of<T>(batch: &RecordBatch, of_key: &impl Fn(&Key) -> Vec<T>) -> Result<Vec<(u32, T)>, StepError> {
    let mut said = Vec::new();
    for (row, key) in Key::all_of(columns::key().of(batch)?)?.iter().enumerate() {
        said.extend(of_key(key).into_iter().map(|of_row| (row as u32, of_row)));
    }
    Ok(said)
}

/// A batch of `schema`: these columns, and behind them those of the batch that have these names.
pub fn only(
    batch: &RecordBatch,
    mut columns: Vec<ArrayRef>,
    names: &[&str],
    schema: SchemaRef,
) -> Result<RecordBatch, StepError> {
    for name in names {
        let column = batch.column_by_name(name);
        columns.push(column.cloned().ok_or_else(|| StepError::Bug(format!("no column `{name}` to copy")))?);
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Schema, UInt32Type};

    use super::*;

    #[tokio::test]
    async fn a_document_that_many_want_is_copied_a_few_at_a_time() {
        let keys = Key::column([1, 2, 3].map(|key| Key([key; 16]))).unwrap();
        let schema = Arc::new(Schema::new(vec![columns::key().field()]));
        let batch = RecordBatch::try_new(schema.clone(), vec![keys]).unwrap();
        let documents = RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)]));
        let of_key = |key: &Key| (0..[0, 1, 0, 150][usize::from(key.0[0])]).collect::<Vec<u32>>();
        let schema = Arc::new(Schema::new(vec![columns::for_bucket().field(), columns::key().field()]));
        let promised = schema.clone();
        let finish = move |batch: &RecordBatch, said| {
            only(batch, vec![Arc::new(UInt32Array::from(said))], &["key"], promised.clone())
        };
        let found: Vec<RecordBatch> = copies(Box::pin(documents), schema, of_key, finish).try_collect().await.unwrap();
        assert_eq!(found.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [64, 64, 23]);
        let said = found.iter().flat_map(|batch| batch.column(0).as_primitive::<UInt32Type>().values().to_vec());
        assert!(said.eq([0].into_iter().chain(0..150)));
        assert_eq!(columns::key().of(&found[0]).unwrap().value(0), [1; 16]);
        assert_eq!(columns::key().of(&found[2]).unwrap().value(22), [3; 16]);
    }
}
