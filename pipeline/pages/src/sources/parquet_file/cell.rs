//! Reads one value of a Parquet file, such as one image.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use super::{ParquetFault, ParquetFile, bytes_at, guarded};
use crate::sources::{FetchError, Input, Location};

/// The value of a column in the row that is the location's `offset`; in a list, of its `element`. The page that holds it
/// is read and unfolded.
pub fn cell(
    location: &Location,
    column: u32,
    element: u32,
    input: &dyn Input,
    max_bytes: u64,
) -> Result<Vec<u8>, FetchError> {
    let file = ParquetFile::open(input, &location.path).map_err(|fault| match fault {
        ParquetFault::Input(error) => FetchError::Input(error),
        ParquetFault::Broken(detail) => FetchError::Broken(detail),
    })?;
    let array = row(&file, location.offset, column as usize);
    file.chunks.check()?;
    let array = array.map_err(FetchError::Broken)?;
    let value = value(array, element as usize).map_err(FetchError::Broken)?;
    if value.len() as u64 > max_bytes { Err(FetchError::TooLarge { limit: max_bytes }) } else { Ok(value) }
}

/// One row of a column.
fn row(file: &ParquetFile, row: u64, column: usize) -> Result<ArrayRef, String> {
    let group = file.group_of(row).filter(|group| column < file.groups()[*group].num_columns());
    let group = group.ok_or_else(|| format!("there is no row {row}, or no column {column}"))?;
    let place = row - file.footer.first_rows[group];
    let mut reader = file.reader(group, &[column], place..place + 1, 1)?;
    let batch = guarded(|| reader.next().transpose().map_err(|error| error.to_string()))?;
    let batch = batch.filter(|batch| batch.num_rows() == 1).ok_or_else(|| format!("row {row} is not there"))?;
    Ok(batch.column(0).clone())
}

/// The only value in an array of one row; in a list, one of its elements.
fn value(mut array: ArrayRef, element: usize) -> Result<Vec<u8>, String> {
    let mut place = 0;
    loop {
        array = match array.data_type() {
            DataType::Struct(_) if array.as_struct().num_columns() == 1 => array.as_struct().column(0).clone(),
            DataType::List(_) => {
                let items = array.as_list::<i32>().value(place);
                place = element;
                items
            }
            DataType::LargeList(_) => {
                let items = array.as_list::<i64>().value(place);
                place = element;
                items
            }
            _ => return bytes_at(&array, place).map(<[u8]>::to_vec).ok_or_else(|| "its value is null".to_owned()),
        };
    }
}
