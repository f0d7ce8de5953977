//! Packed rows as a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Int32Type};
use pageloom_schemas::Key;
use pageloom_schemas::lists::ListColumn;

use crate::error::StepError;
use crate::objectives::{NO_LOSS, Predicts, TokenColumns};
use crate::packing::{PackedRow, Segment};
use crate::token_columns::sequences_with;

/// Rows of the training table.
pub fn sequence_rows(rows: &[PackedRow], of_tokens: TokenColumns) -> Result<RecordBatch, StepError> {
    let of_pieces = |value: fn(&Segment) -> u32| {
        column::<Int32Type>(rows, |row| row.segments.iter().map(|segment| number(value(segment))).collect())
    };
    let mut columns = vec![
        column::<Int32Type>(rows, |row| Ok(row.input_ids.clone()))?,
        column::<Int32Type>(rows, |row| Ok(row.labels.clone()))?,
        of_pieces(|segment| segment.length)?,
        words(rows, |segment| segment.document.map(|key| Key(key).to_string()).unwrap_or_default()),
        of_pieces(|segment| segment.document_offset)?,
        words(rows, |segment| segment.objective.to_owned()),
        of_pieces(|segment| segment.view)?,
        of_pieces(|segment| segment.branch)?,
        of_pieces(|segment| segment.prefix_len)?,
        of_pieces(|segment| u32::from(segment.predicts == Predicts::Next))?,
    ];
    if of_tokens.position_ids {
        columns.push(column::<Int32Type>(rows, |row| numbers(positions(row)))?);
    }
    if of_tokens.block_position_ids {
        columns.push(column::<Int32Type>(rows, |row| numbers(block_positions(row)))?);
    }
    if of_tokens.loss_weights {
        columns.push(column::<Float32Type>(rows, |row| Ok(weights(row)))?);
    }
    Ok(RecordBatch::try_new(sequences_with(of_tokens), columns)?)
}

fn column<P: ArrowPrimitiveType>(
    rows: &[PackedRow],
    values: impl Fn(&PackedRow) -> Result<Vec<P::Native>, StepError>,
) -> Result<ArrayRef, StepError> {
    let mut column = ListColumn::<P>::default();
    for row in rows {
        column.push(&values(row)?)?;
    }
    Ok(column.finish()?)
}

fn words(rows: &[PackedRow], word: impl Fn(&Segment) -> String) -> ArrayRef {
    let mut words = ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false));
    for row in rows {
        row.segments.iter().for_each(|segment| words.values().append_value(word(segment)));
        words.append(true);
    }
    Arc::new(words.finish())
}

fn number(value: u32) -> Result<i32, StepError> {
    i32::try_from(value).map_err(|_| StepError::Bug(format!("{value} in a row of tokens")))
}

fn numbers(values: Vec<u32>) -> Result<Vec<i32>, StepError> {
    values.into_iter().map(number).collect()
}

/// A row's positions; where no example in it has its own, they count from 0 in each piece, as beside one that has.
fn positions(row: &PackedRow) -> Vec<u32> {
    if !row.position_ids.is_empty() {
        return row.position_ids.clone();
    }
    let of_piece = |segment: &Segment| {
        let step = u32::from(segment.document.is_some());
        (0..segment.length).map(move |index| index * step)
    };
    row.segments.iter().flat_map(of_piece).collect()
}

/// A row's positions within spans; where no example in it has such, they are 0.
fn block_positions(row: &PackedRow) -> Vec<u32> {
    if row.block_position_ids.is_empty() { vec![0; row.labels.len()] } else { row.block_position_ids.clone() }
}

/// A row's weights; where no example in it has such, 1 where there is a label, and 0 where there is no loss.
fn weights(row: &PackedRow) -> Vec<f32> {
    if !row.loss_weights.is_empty() {
        return row.loss_weights.clone();
    }
    row.labels.iter().map(|&label| if label == NO_LOSS { 0.0 } else { 1.0 }).collect()
}
