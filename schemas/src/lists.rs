//! Lists without nulls, built from slices and read back as slices.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Fields, Int32Type, UInt32Type};
use arrow::error::ArrowError;

use crate::columns::{key_type, list_of};
use crate::{Key, SchemaError};

/// A list column in the making: values of all rows, and where each row ends.
#[derive(Debug)]
pub struct ListColumn<P: ArrowPrimitiveType> {
    values: Vec<P::Native>,
    offsets: Vec<i32>,
}

impl<P: ArrowPrimitiveType> Default for ListColumn<P> {
    fn default() -> Self {
        Self { values: Vec::new(), offsets: vec![0] }
    }
}

impl<P: ArrowPrimitiveType> ListColumn<P> {
    /// Adds one row; an error if all rows together pass what 32-bit offsets can address.
    pub fn push(&mut self, row: &[P::Native]) -> Result<(), ArrowError> {
        self.values.extend_from_slice(row);
        self.offsets.push(list_offset(self.values.len())?);
        Ok(())
    }

    /// The finished column, as `list<item not null>`.
    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        let values: ArrayRef = Arc::new(PrimitiveArray::<P>::new(ScalarBuffer::from(self.values), None));
        let item = Arc::new(Field::new("item", P::DATA_TYPE, false));
        Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::new(self.offsets.into()), values, None)?))
    }
}

/// A column of lists of keys, one list per row.
pub fn key_lists(rows: &[Vec<Key>]) -> Result<ArrayRef, ArrowError> {
    let values = Key::column(rows.iter().flatten().copied())?;
    let item = Arc::new(Field::new("item", key_type(), false));
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
    Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?))
}

/// Reads one row of a column of lists of keys; an error if its items have another type.
pub fn keys_of(list: &ListArray, row: usize) -> Result<Vec<Key>, SchemaError> {
    let values = list.value(row);
    Key::all_of(values.as_fixed_size_binary_opt().ok_or_else(|| SchemaError::OtherType {
        name: "item".into(),
        expected: key_type(),
        found: list.value_type(),
    })?)
}

/// Offset of a list's end; an error past 2^31 - 1 values.
pub fn list_offset(values: usize) -> Result<i32, ArrowError> {
    i32::try_from(values).map_err(|_| ArrowError::InvalidArgumentError(format!("{values} values in one list column")))
}

/// A `list<struct>` column from its struct values and the number of values of each row.
pub fn list_of_structs(values: StructArray, lengths: &[usize]) -> Result<ArrayRef, ArrowError> {
    let item = Arc::new(Field::new("item", DataType::Struct(values.fields().clone()), false));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(values), None)?))
}

/// One row of a `list<struct>` column; an error if its structs have other fields than these.
pub fn struct_row(list: &ListArray, row: usize, fields: &Fields) -> Result<StructArray, SchemaError> {
    let offsets = list.value_offsets();
    let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
    Ok(structs(list, fields)?.slice(start, end - start))
}

/// The structs of all rows of a `list<struct>` column, which its offsets count; an error if they have other fields than
/// these.
pub fn structs<'a>(list: &'a ListArray, fields: &Fields) -> Result<&'a StructArray, SchemaError> {
    let values = list.values().as_struct_opt().filter(|values| values.fields() == fields);
    values.ok_or_else(|| SchemaError::OtherType {
        name: "item".into(),
        expected: list_of(DataType::Struct(fields.clone())),
        found: list.data_type().clone(),
    })
}

/// Reads a list column of 32-bit signed integers row by row.
pub fn int32_rows(list: &ListArray) -> Result<Rows<'_, Int32Type>, SchemaError> {
    Rows::new(list)
}

/// Reads a list column of 32-bit unsigned integers row by row.
pub fn uint32_rows(list: &ListArray) -> Result<Rows<'_, UInt32Type>, SchemaError> {
    Rows::new(list)
}

/// Row access to a list column of integers without nulls.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, P: ArrowPrimitiveType> {
    offsets: &'a [i32],
    values: &'a [P::Native],
}

impl<'a, P: ArrowPrimitiveType> Rows<'a, P> {
    /// Borrows a list column; an error if its items have another type.
    pub fn new(list: &'a ListArray) -> Result<Self, SchemaError> {
        let values = list.values().as_any().downcast_ref::<PrimitiveArray<P>>().ok_or_else(|| {
            SchemaError::OtherType { name: "item".into(), expected: P::DATA_TYPE, found: list.value_type() }
        })?;
        Ok(Self { offsets: list.value_offsets(), values: values.values() })
    }

    /// One row's values.
    pub fn row(&self, index: usize) -> &'a [P::Native] {
        &self.values[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_as_written() {
        let mut column = ListColumn::<Int32Type>::default();
        for row in [&[1, 2][..], &[], &[3]] {
            column.push(row).unwrap();
        }
        let array = column.finish().unwrap();
        let rows = int32_rows(array.as_list()).unwrap();
        assert_eq!((rows.row(0), rows.row(1), rows.row(2)), (&[1, 2][..], &[][..], &[3][..]));
    }

    #[test]
    fn keys_read_back_as_written() {
        let rows = [vec![Key([1; 16]), Key([2; 16])], vec![], vec![Key([3; 16])]];
        let column = key_lists(&rows).unwrap();
        assert_eq!(column.data_type(), crate::columns::neighbours().field().data_type());
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&keys_of(column.as_list(), row).unwrap(), expected);
        }
        assert_eq!(key_lists(&[vec![], vec![]]).unwrap().len(), 2);
    }

    #[test]
    fn items_of_another_type_are_an_error() {
        let array = ListColumn::<Int32Type>::default().finish().unwrap();
        assert!(uint32_rows(array.as_list()).is_err());
    }
}
