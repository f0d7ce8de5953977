//! Which images' tokens stand where: [`columns::image_runs`] as plain values, and back.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, StructArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;
use pageloom_schemas::lists::{list_of_structs, struct_row};
use pageloom_schemas::{Key, SchemaError, columns};

pub use pageloom_training::image_runs::ImageRun;

/// Builds a column of image runs, one list per row.
pub fn image_runs(rows: &[Vec<ImageRun>]) -> Result<ArrayRef, ArrowError> {
    let runs = || rows.iter().flatten();
    let number = |of: fn(&ImageRun) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(runs().map(of))) };
    let values = StructArray::try_new(
        columns::image_run_fields(),
        vec![
            number(|run| run.tokens.start),
            number(|run| run.tokens.end),
            Key::column(runs().map(|run| Key(run.image)))?,
            number(|run| run.offset),
        ],
        None,
    )?;
    list_of_structs(values, &rows.iter().map(Vec::len).collect::<Vec<_>>())
}

/// Reads one row's image runs.
pub fn image_runs_of(list: &ListArray, row: usize) -> Result<Vec<ImageRun>, SchemaError> {
    let values = struct_row(list, row, &columns::image_run_fields())?;
    let number = |index: usize| values.column(index).as_primitive::<UInt32Type>().values();
    let (starts, ends, keys, offsets) = (number(0), number(1), values.column(2).as_fixed_size_binary(), number(3));
    let run = |(index, key): (usize, Key)| ImageRun {
        image: key.0,
        tokens: starts[index]..ends[index],
        offset: offsets[index],
    };
    Ok(Key::all_of(keys)?.into_iter().enumerate().map(run).collect())
}

/// Where they stand, whatever images they are of.
pub fn tokens(runs: &[ImageRun]) -> Vec<Range<u32>> {
    runs.iter().map(|run| run.tokens.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_read_back_as_written() {
        let run = |image, tokens, offset| ImageRun { image: [image; 16], tokens, offset };
        let rows = vec![vec![run(1, 0..4, 0), run(2, 5..9, 3)], vec![], vec![run(1, 2..3, 7)]];
        let column = image_runs(&rows).unwrap();
        assert_eq!(column.data_type(), columns::image_runs().field().data_type());
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&image_runs_of(column.as_list(), row).unwrap(), expected);
        }
        assert_eq!(image_runs(&[vec![], vec![]]).unwrap().len(), 2);
    }
}
