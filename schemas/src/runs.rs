//! Runs of tokens: `list<struct<start, end>>` columns as ranges, and back.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;

use crate::lists::{list_of_structs, structs};
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
    Ok(RunRows::new(list)?.row(row))
}

/// Row access to a column of runs without nulls.
#[derive(Debug, Clone, Copy)]
pub struct RunRows<'a> {
    offsets: &'a [i32],
    starts: &'a [u32],
    ends: &'a [u32],
}

impl<'a> RunRows<'a> {
    /// Borrows a column of runs; an error if its items are no runs.
    pub fn new(list: &'a ListArray) -> Result<Self, SchemaError> {
        let values = structs(list, &columns::run_fields())?;
        let number = |index: usize| values.column(index).as_primitive::<UInt32Type>().values();
        Ok(Self { offsets: list.value_offsets(), starts: number(0), ends: number(1) })
    }

    /// One row's runs.
    pub fn row(&self, index: usize) -> Vec<Range<u32>> {
        let row = self.offsets[index] as usize..self.offsets[index + 1] as usize;
        self.starts[row.clone()].iter().zip(&self.ends[row]).map(|(start, end)| *start..*end).collect()
    }
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
