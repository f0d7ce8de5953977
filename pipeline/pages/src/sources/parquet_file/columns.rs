//! The columns of a Parquet file by name, and the text or bytes in them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};

/// A column of values. One inside of a struct is named with a point, `image.bytes`, and one inside of a list as if it
/// stood beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its place among the file's columns.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// How many lists it is in.
    pub lists: usize,
    parts: Vec<String>,
    values: DataType,
}

/// All columns, in the file's order.
pub fn columns(schema: &Schema) -> Vec<Column> {
    let mut found = Vec::new();
    for field in schema.fields() {
        descend(&mut vec![field.name().clone()], 0, field.data_type(), &mut found);
    }
    found
}

fn descend(parts: &mut Vec<String>, lists: usize, data_type: &DataType, found: &mut Vec<Column>) {
    match data_type {
        DataType::Struct(fields) => {
            for field in fields {
                parts.push(field.name().clone());
                descend(parts, lists, field.data_type(), found);
                parts.pop();
            }
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => {
            descend(parts, lists + 1, item.data_type(), found);
        }
        values => {
            let (index, name) = (found.len(), parts.join("."));
            found.push(Column { index, name, lists, parts: parts.clone(), values: values.clone() });
        }
    }
}

impl Column {
    /// Finds a column of text or bytes in so many lists; an error says what is there instead.
    pub fn find(columns: &[Column], name: &str, lists: usize) -> Result<Column, String> {
        let are_bytes = |values: &DataType| {
            matches!(values, DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary)
        };
        Self::find_of(columns, name, lists, "text or bytes", are_bytes)
    }

    /// Finds a column of whole numbers in so many lists; an error says what is there instead.
    pub fn find_numbers(columns: &[Column], name: &str, lists: usize) -> Result<Column, String> {
        Self::find_of(columns, name, lists, "whole numbers", DataType::is_integer)
    }

    fn find_of(
        columns: &[Column],
        name: &str,
        lists: usize,
        what: &str,
        is_wanted: impl Fn(&DataType) -> bool,
    ) -> Result<Column, String> {
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let there: Vec<String> = columns.iter().map(Column::describe).collect();
            return Err(format!("it has no column `{name}`; its columns are {}", there.join(", ")));
        };
        if is_wanted(&column.values) && column.lists == lists {
            return Ok(column.clone());
        }
        let of_list = if lists == 0 { "" } else { "a list of " };
        Err(format!("its column `{name}` is {}, not {of_list}{what}", column.kind()))
    }

    /// Whether its values are text, rather than bytes.
    pub fn is_text(&self) -> bool {
        matches!(self.values, DataType::Utf8 | DataType::LargeUtf8)
    }

    fn kind(&self) -> String {
        format!("{}{}", "list of ".repeat(self.lists), self.values)
    }

    fn describe(&self) -> String {
        format!("`{}` ({})", self.name, self.kind())
    }

    /// Its array in a batch; for one in a list, the lists.
    pub fn of(&self, batch: &RecordBatch) -> Option<ArrayRef> {
        let (root, inner) = self.parts.split_first()?;
        let mut array = batch.column_by_name(root)?.clone();
        for part in inner {
            match array.data_type() {
                DataType::Struct(_) => array = array.as_struct().column_by_name(part)?.clone(),
                _ => break,
            }
        }
        Some(array)
    }

    /// Its array in the items of a list, which [`Column::of`] gave.
    pub fn of_items(&self, items: &ArrayRef) -> Option<ArrayRef> {
        match items.data_type() {
            DataType::Struct(_) => items.as_struct().column_by_name(self.parts.last()?).cloned(),
            _ => Some(items.clone()),
        }
    }
}

/// A value of text or bytes; `None` for null.
pub fn bytes_at(array: &dyn Array, row: usize) -> Option<&[u8]> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row).as_bytes()),
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        _ => None,
    }
}
