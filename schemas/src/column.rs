//! A column known by name and Arrow type, taken from a batch without strings or casts at the call.

use std::marker::PhantomData;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field};

/// One column: its name, its type, and the array it comes as.
#[derive(Debug, Clone)]
pub struct Column<A> {
    field: Field,
    array: PhantomData<fn() -> A>,
}

impl<A: Array + 'static> Column<A> {
    /// A column without nulls.
    pub fn required(name: &str, data_type: DataType) -> Self {
        Self { field: Field::new(name, data_type, false), array: PhantomData }
    }

    /// A column that may hold nulls.
    pub fn optional(name: &str, data_type: DataType) -> Self {
        Self { field: Field::new(name, data_type, true), array: PhantomData }
    }

    /// The column's name.
    pub fn name(&self) -> &str {
        self.field.name()
    }

    /// The column's Arrow field.
    pub fn field(&self) -> Field {
        self.field.clone()
    }

    /// This column of a batch; an error says what stands there instead.
    pub fn of<'a>(&self, batch: &'a RecordBatch) -> Result<&'a A, SchemaError> {
        let name = self.field.name();
        let array = batch.column_by_name(name).ok_or_else(|| SchemaError::Missing {
            name: name.clone(),
            present: batch.schema().fields().iter().map(|field| field.name().clone()).collect(),
        })?;
        array.as_any().downcast_ref::<A>().ok_or_else(|| SchemaError::OtherType {
            name: name.clone(),
            expected: self.field.data_type().clone(),
            found: array.data_type().clone(),
        })
    }
}

/// A table is not what its reader was promised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SchemaError {
    /// The column is not there.
    #[error("column `{name}` is missing; there are {present:?}")]
    Missing {
        /// The column asked for.
        name: String,
        /// The columns of the batch.
        present: Vec<String>,
    },
    /// The column has another type.
    #[error("column `{name}` should be {expected}, but it is {found} here")]
    OtherType {
        /// The column asked for.
        name: String,
        /// Its promised type.
        expected: DataType,
        /// The type found.
        found: DataType,
    },
}
