//! Where passages stand in documents: `list<struct>` columns as plain values, and back.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;

use crate::lists::{list_of_structs, struct_row};
use crate::{SchemaError, columns};

/// One passage of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassagePlace {
    /// Where it stands, in tokens.
    pub tokens: Range<u32>,
    /// At which step of the answer's reasoning it is needed; none if it is noise.
    pub gold_step: Option<u32>,
}

/// Builds a column of passages, one list per row.
pub fn passages(rows: &[Vec<PassagePlace>]) -> Result<ArrayRef, ArrowError> {
    let all = || rows.iter().flatten();
    let values = StructArray::try_new(
        columns::passage_fields(),
        vec![
            Arc::new(UInt32Array::from_iter_values(all().map(|passage| passage.tokens.start))),
            Arc::new(UInt32Array::from_iter_values(all().map(|passage| passage.tokens.end))),
            Arc::new(all().map(|passage| passage.gold_step).collect::<UInt32Array>()),
        ],
        None,
    )?;
    list_of_structs(values, &rows.iter().map(Vec::len).collect::<Vec<_>>())
}

/// Reads one row's passages.
pub fn passages_of(list: &ListArray, row: usize) -> Result<Vec<PassagePlace>, SchemaError> {
    let values = struct_row(list, row, &columns::passage_fields())?;
    let number = |index: usize| values.column(index).as_primitive::<UInt32Type>();
    let (starts, ends, steps) = (number(0), number(1), number(2));
    let passage = |index: usize| PassagePlace {
        tokens: starts.value(index)..ends.value(index),
        gold_step: steps.is_valid(index).then(|| steps.value(index)),
    };
    Ok((0..values.len()).map(passage).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_read_back_as_written() {
        let passage = |tokens, gold_step| PassagePlace { tokens, gold_step };
        let rows = vec![vec![passage(0..3, None), passage(4..9, Some(0))], vec![], vec![passage(0..1, Some(7))]];
        let column = passages(&rows).unwrap();
        assert_eq!(column.data_type(), columns::passages().field().data_type());
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&passages_of(column.as_list(), row).unwrap(), expected);
        }
    }
}
