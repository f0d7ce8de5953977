//! Runs of tokens: `list<struct<start, end>>` columns as ranges, and back.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;

use crate::lists::{list_of_structs, struct_row};
use crate::{SchemaError, columns};

/// Builds a column of runs, one list per row.
pub fn runs(rows: &[Vec<Range<u32>>]) -> Result<ArrayRef, ArrowError> {
    let starts = UInt32Array::from_iter_values(rows.iter().flatten().map(|run| run.start));
    let ends = UInt32Array::from_iter_values(rows.iter().flatten().map(|run| run.end));
    let values = StructArray::try_new(columns::run_fields(), vec![Arc::new(starts), Arc::new(ends)], None)?;
    list_of_structs(values, &rows.iter().map(Vec::len).collect::<Vec<_>>())
}

/// Reads one row's runs.
pub fn runs_of(list: &ListArray, row: usize) -> Result<Vec<Range<u32>>, SchemaError> {
    let values = struct_row(list, row, &columns::run_fields())?;
    let (starts, ends) = (values.column(0).as_primitive::<UInt32Type>(), values.column(1).as_primitive::<UInt32Type>());
    Ok(starts.values().iter().zip(ends.values()).map(|(start, end)| *start..*end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_read_back_as_written() {
        let rows = vec![vec![0..3, 5..6], vec![], vec![7..9]];
        let column = runs(&rows).unwrap();
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&runs_of(column.as_list(), row).unwrap(), expected);
        }
    }
}
