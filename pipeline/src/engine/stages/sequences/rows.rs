//! Packed rows as a table.

use std::sync::Arc;

use arrow::array::{ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Int32Type};
use pageloom_schemas::lists::ListColumn;
use pageloom_schemas::{Key, tables};

use crate::error::StepError;
use crate::packing::PackedRow;

/// Rows of `tables::sequences`.
pub fn sequence_rows(rows: &[PackedRow]) -> Result<RecordBatch, StepError> {
    let mut input_ids = ListColumn::<Int32Type>::default();
    let mut labels = ListColumn::<Int32Type>::default();
    let mut seq_lengths = ListColumn::<Int32Type>::default();
    let mut offsets = ListColumn::<Int32Type>::default();
    let mut keys = ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false));
    for row in rows {
        input_ids.push(&row.input_ids)?;
        labels.push(&row.labels)?;
        let number = |value: u32| i32::try_from(value).map_err(|_| StepError::Bug(format!("{value} tokens in a row")));
        let lengths: Result<Vec<i32>, StepError> = row.segments.iter().map(|segment| number(segment.length)).collect();
        seq_lengths.push(&lengths?)?;
        let starts: Result<Vec<i32>, StepError> =
            row.segments.iter().map(|segment| number(segment.document_offset)).collect();
        offsets.push(&starts?)?;
        for segment in &row.segments {
            keys.values().append_value(segment.document.map(|key| Key(key).to_string()).unwrap_or_default());
        }
        keys.append(true);
    }
    let columns =
        vec![input_ids.finish()?, labels.finish()?, seq_lengths.finish()?, Arc::new(keys.finish()), offsets.finish()?];
    Ok(RecordBatch::try_new(tables::sequences(), columns)?)
}
