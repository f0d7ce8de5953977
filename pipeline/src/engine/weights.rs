//! How many bytes each row of a batch weighs: the same number however its batch was cut.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// What a row costs beside its values: where they end.
const BYTES_OF_AN_END: u64 = 4;

/// Bytes of each row's values.
pub fn weights(batch: &RecordBatch) -> Vec<u64> {
    let mut weights = vec![0; batch.num_rows()];
    for column in batch.columns() {
        add(column, &mut weights);
    }
    weights
}

fn add(column: &dyn Array, weights: &mut [u64]) {
    match column.data_type() {
        DataType::Utf8 => add_lengths(column.as_string::<i32>().value_offsets(), |at| at as u64, weights),
        DataType::Binary => add_lengths(column.as_binary::<i32>().value_offsets(), |at| at as u64, weights),
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let offsets = list.value_offsets();
            match width(item.data_type()) {
                Some(width) => add_lengths(offsets, |at| at as u64 * width, weights),
                None => {
                    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
                    let before = sums(&list.values().slice(first, last - first));
                    add_lengths(offsets, |at| before[at as usize - first], weights);
                }
            }
        }
        DataType::Struct(_) => column.as_struct().columns().iter().for_each(|field| add(field, weights)),
        other => {
            let width = width(other).unwrap_or_default();
            weights.iter_mut().for_each(|weight| *weight += width);
        }
    }
}

fn add_lengths(offsets: &[i32], bytes_before: impl Fn(i32) -> u64, weights: &mut [u64]) {
    for (weight, ends) in weights.iter_mut().zip(offsets.windows(2)) {
        *weight += bytes_before(ends[1]) - bytes_before(ends[0]) + BYTES_OF_AN_END;
    }
}

/// Bytes before each value of a column, and those of all.
fn sums(values: &dyn Array) -> Vec<u64> {
    let mut weights = vec![0; values.len()];
    add(values, &mut weights);
    let mut sum = 0;
    let sums = weights.into_iter().map(|weight| {
        sum += weight;
        sum
    });
    std::iter::once(0).chain(sums).collect()
}

/// Bytes of a value, where all of a type have as many.
fn width(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::FixedSizeBinary(bytes) => Some(*bytes as u64),
        DataType::FixedSizeList(item, length) => Some(width(item.data_type())? * *length as u64),
        DataType::Struct(fields) => fields.iter().map(|field| width(field.data_type())).sum(),
        DataType::Boolean => Some(1),
        other => other.primitive_width().map(|bytes| bytes as u64),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, StructArray, UInt32Array};
    use arrow::datatypes::{Field, Int32Type};
    use pageloom_schemas::lists::{ListColumn, list_of_structs};

    use super::*;

    /// Four rows: numbers, text, lists of numbers, lists of structs with text.
    fn batch() -> RecordBatch {
        let numbers: ArrayRef = Arc::new(UInt32Array::from(vec![1, 2, 3, 4]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some(""), Some("d")]));
        let mut lists = ListColumn::<Int32Type>::default();
        for row in [&[1, 2][..], &[], &[3], &[4, 5, 6]] {
            lists.push(row).unwrap();
        }
        let inside: ArrayRef = Arc::new(StringArray::from(vec!["x", "yy", "zzz"]));
        let field = Arc::new(Field::new("text", DataType::Utf8, false));
        let structs = list_of_structs(StructArray::from(vec![(field, inside)]), &[0, 2, 1, 0]).unwrap();
        let columns =
            [("numbers", numbers), ("texts", texts), ("lists", lists.finish().unwrap()), ("structs", structs)];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn a_row_weighs_its_values_and_their_ends() {
        let of_structs = [0, 3 + 2 * 4, 3 + 4, 0];
        let expected: Vec<u64> =
            [4 + 3 + 8, 4, 4 + 4, 4 + 1 + 12].iter().zip(of_structs).map(|(a, b)| a + b + 12).collect();
        assert_eq!(weights(&batch()), expected);
    }

    #[test]
    fn a_row_weighs_the_same_wherever_its_batch_is_cut() {
        let all = weights(&batch());
        for cut in 0..=4 {
            let parts = [batch().slice(0, cut), batch().slice(cut, 4 - cut)];
            assert_eq!(parts.iter().flat_map(weights).collect::<Vec<_>>(), all, "{cut}");
        }
    }
}
