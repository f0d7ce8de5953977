//! Packed rows as a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Int32Type, SchemaRef};
use pageloom_schemas::Key;
use pageloom_schemas::lists::ListColumn;

use crate::error::StepError;
use crate::objectives::{NO_LOSS, Predicts, TokenColumns};
use crate::packing::{PackedRow, Segment, SourceRange};
use crate::sequence_images::SequenceImages;

/// What a job's training table has beside the columns that all have.
pub struct Others {
    /// Columns per token.
    pub of_tokens: TokenColumns,
    /// Whether rows are for several phases of training.
    pub phases: bool,
    /// The images of each row, where they are asked for.
    pub images: Option<SequenceImages>,
    /// The whole table.
    pub schema: SchemaRef,
}

/// Rows of the training table.
pub fn sequence_rows(rows: &[&PackedRow], others: &Others) -> Result<RecordBatch, StepError> {
    let of_tokens = others.of_tokens;
    let of_pieces = |value: fn(&Segment) -> u32| {
        column::<Int32Type, _>(rows, |row| row.segments.iter().map(|segment| number(value(segment))).collect())
    };
    let mut columns = vec![
        tokens(rows, |row| &row.input_ids)?,
        tokens(rows, |row| &row.labels)?,
        of_pieces(|segment| segment.length)?,
        words(rows, |row| each(row, |segment| segment.document.map(|key| Key(key).to_string()).unwrap_or_default())),
        of_pieces(|segment| segment.document_offset)?,
        words(rows, |row| each(row, |segment| segment.objective.to_owned())),
        of_pieces(|segment| segment.part)?,
        of_pieces(|segment| segment.view)?,
        of_pieces(|segment| segment.branch)?,
        of_pieces(|segment| segment.prefix_len)?,
        of_pieces(|segment| u32::from(segment.predicts == Predicts::Next))?,
    ];
    columns.extend(sources(rows)?);
    if of_tokens.position_ids {
        columns.push(column::<Int32Type, _>(rows, |row| numbers(positions(row)))?);
    }
    if of_tokens.block_position_ids {
        columns.push(column::<Int32Type, _>(rows, |row| numbers(block_positions(row)))?);
    }
    if of_tokens.loss_weights {
        columns.push(column::<Float32Type, _>(rows, |row| Ok(weights(row)))?);
    }
    if of_tokens.token_type_ids {
        columns.push(column::<Int32Type, _>(rows, |row| numbers(segments(row)))?);
        columns.push(Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| next_sentence_label(row)))));
    }
    if others.phases {
        let phases: Vec<i32> = numbers(rows.iter().map(|row| row.phase).collect())?;
        columns.push(Arc::new(Int32Array::from(phases)));
    }
    if let Some(images) = &others.images {
        columns.extend(images.columns(rows)?);
    }
    Ok(RecordBatch::try_new(others.schema.clone(), columns)?)
}

fn tokens(rows: &[&PackedRow], of_row: impl Fn(&PackedRow) -> &[i32]) -> Result<ArrayRef, StepError> {
    let mut column = ListColumn::<Int32Type>::default();
    for row in rows {
        column.push(of_row(row))?;
    }
    Ok(column.finish()?)
}

fn column<P: ArrowPrimitiveType, R>(
    rows: &[R],
    values: impl Fn(&R) -> Result<Vec<P::Native>, StepError>,
) -> Result<ArrayRef, StepError> {
    let mut column = ListColumn::<P>::default();
    for row in rows {
        column.push(&values(row)?)?;
    }
    Ok(column.finish()?)
}

/// Which tokens of which documents each piece's example is made of: how many ranges, their documents, starts and ends.
fn sources(rows: &[&PackedRow]) -> Result<[ArrayRef; 4], StepError> {
    let of_pieces: Vec<Vec<Vec<SourceRange>>> =
        rows.iter().map(|row| row.segments.iter().map(Segment::sources).collect()).collect();
    let all: Vec<Vec<&SourceRange>> = of_pieces.iter().map(|pieces| pieces.iter().flatten().collect()).collect();
    let numbers = |value: fn(&SourceRange) -> u32| {
        column::<Int32Type, _>(&all, |sources| sources.iter().map(|source| number(value(source))).collect())
    };
    Ok([
        column::<Int32Type, _>(&of_pieces, |pieces| {
            pieces.iter().map(|sources| number(sources.len() as u32)).collect()
        })?,
        words(&all, |sources| sources.iter().map(|source| Key(source.document).to_string()).collect()),
        numbers(|source| source.tokens.start)?,
        numbers(|source| source.tokens.end)?,
    ])
}

fn each<T>(row: &PackedRow, of: impl Fn(&Segment) -> T) -> Vec<T> {
    row.segments.iter().map(of).collect()
}

fn words<R>(rows: &[R], of: impl Fn(&R) -> Vec<String>) -> ArrayRef {
    let mut words = ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false));
    for row in rows {
        of(row).iter().for_each(|word| words.values().append_value(word));
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

/// Which segment each token of a row is in; where no example in it has two, the first.
fn segments(row: &PackedRow) -> Vec<u32> {
    if row.token_type_ids.is_empty() { vec![0; row.labels.len()] } else { row.token_type_ids.clone() }
}

/// What a model has to say of a row's segments. A row has one example, as blocks have rows of their own.
fn next_sentence_label(row: &PackedRow) -> i32 {
    row.segments.first().and_then(|piece| piece.is_random_next).map_or(NO_LOSS, i32::from)
}

/// A row's weights; where no example in it has such, 1 where there is a label, and 0 where there is no loss.
fn weights(row: &PackedRow) -> Vec<f32> {
    if !row.loss_weights.is_empty() {
        return row.loss_weights.clone();
    }
    row.labels.iter().map(|&label| if label == NO_LOSS { 0.0 } else { 1.0 }).collect()
}
