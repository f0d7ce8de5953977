//! What rows were joined of: `list<struct>` columns as plain values, and back.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;

use crate::lists::{list_of_structs, struct_row};
use crate::{Key, SchemaError, columns};

/// A stretch of a row's tokens that is from one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedPart {
    /// The document.
    pub document: Key,
    /// Where it stands in the row.
    pub tokens: Range<u32>,
    /// Where the stretch begins in the document.
    pub document_offset: u32,
}

/// Builds a column of joined parts, one list per row.
pub fn joined(rows: &[Vec<JoinedPart>]) -> Result<ArrayRef, ArrowError> {
    let parts = || rows.iter().flatten();
    let number = |of: fn(&JoinedPart) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(parts().map(of))) };
    let values = StructArray::try_new(
        columns::joined_fields(),
        vec![
            Key::column(parts().map(|part| part.document))?,
            number(|part| part.tokens.start),
            number(|part| part.tokens.end),
            number(|part| part.document_offset),
        ],
        None,
    )?;
    list_of_structs(values, &rows.iter().map(Vec::len).collect::<Vec<_>>())
}

/// Reads one row's parts.
pub fn joined_of(list: &ListArray, row: usize) -> Result<Vec<JoinedPart>, SchemaError> {
    let values = struct_row(list, row, &columns::joined_fields())?;
    let keys = values.column(0).as_fixed_size_binary();
    let number = |index: usize| values.column(index).as_primitive::<UInt32Type>().values();
    let (starts, ends, offsets) = (number(1), number(2), number(3));
    let part = |(index, document): (usize, Key)| JoinedPart {
        document,
        tokens: starts[index]..ends[index],
        document_offset: offsets[index],
    };
    Ok(Key::all_of(keys)?.into_iter().enumerate().map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_read_back_as_written() {
        let part = |key, tokens, document_offset| JoinedPart { document: Key([key; 16]), tokens, document_offset };
        let rows = vec![vec![part(1, 0..4, 9), part(2, 4..6, 0)], vec![], vec![part(1, 0..7, 13)]];
        let column = joined(&rows).unwrap();
        assert_eq!(column.data_type(), columns::joined().field().data_type());
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&joined_of(column.as_list(), row).unwrap(), expected);
        }
        assert_eq!(joined(&[vec![], vec![]]).unwrap().len(), 2);
    }
}
