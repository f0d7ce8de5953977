//! Examples of documents as a column, and back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Int32Type, UInt32Type};
use pageloom_schemas::lists::{ListColumn, Rows, list_of_structs};
use pageloom_schemas::{Column, SchemaError, columns, runs};

use crate::error::StepError;
use crate::objectives::{Example, Predicts};

/// An example, and how many of its document's tokens are in none of those beside it, which one of them tells for all.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedExample {
    /// The example.
    pub example: Example,
    /// Tokens of the document that a rule on length has left out of it.
    pub left_out: u32,
}

/// A column of [`columns::examples`], a list for each document.
pub fn examples_column(documents: &[Vec<PlacedExample>]) -> Result<ArrayRef, StepError> {
    let all: Vec<&PlacedExample> = documents.iter().flatten().collect();
    let number = |of: fn(&Example) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(all.iter().map(|placed| of(&placed.example))))
    };
    let ranges = |of: fn(&Example) -> &Vec<std::ops::Range<u32>>| {
        runs::runs(&all.iter().map(|placed| of(&placed.example).clone()).collect::<Vec<_>>())
    };
    let values = StructArray::try_new(
        columns::example_fields(),
        vec![
            list::<Int32Type>(&all, |example| &example.input_ids)?,
            list::<Int32Type>(&all, |example| &example.labels)?,
            ranges(|example| &example.images)?,
            list::<UInt32Type>(&all, |example| &example.image_sources)?,
            Arc::new(BooleanArray::from_iter(all.iter().map(|placed| Some(placed.example.predicts == Predicts::Here)))),
            number(|example| example.prefix_len),
            list::<UInt32Type>(&all, |example| &example.position_ids)?,
            list::<UInt32Type>(&all, |example| &example.block_position_ids)?,
            list::<Float32Type>(&all, |example| &example.loss_weights)?,
            list::<UInt32Type>(&all, |example| &example.token_type_ids)?,
            Arc::new(all.iter().map(|placed| placed.example.is_random_next).collect::<BooleanArray>()),
            Arc::new(StringArray::from_iter_values(all.iter().map(|placed| placed.example.objective))),
            number(|example| example.part),
            number(|example| example.branch),
            number(|example| example.view),
            ranges(|example| &example.source)?,
            Arc::new(UInt32Array::from_iter_values(all.iter().map(|placed| placed.left_out))),
        ],
        None,
    )?;
    Ok(list_of_structs(values, &documents.iter().map(Vec::len).collect::<Vec<_>>())?)
}

fn list<P: ArrowPrimitiveType>(
    examples: &[&PlacedExample],
    of: impl Fn(&Example) -> &Vec<P::Native>,
) -> Result<ArrayRef, StepError> {
    let mut column = ListColumn::<P>::default();
    for placed in examples {
        column.push(of(&placed.example))?;
    }
    Ok(column.finish()?)
}

/// The examples of one document.
pub fn examples_of(column: &ListArray, row: usize) -> Result<Vec<PlacedExample>, SchemaError> {
    let examples = RecordBatch::from(column.value(row).as_struct().clone());
    let (input_ids, labels) = (rows::<Int32Type>(&examples, "input_ids")?, rows::<Int32Type>(&examples, "labels")?);
    let positions = rows::<UInt32Type>(&examples, "position_ids")?;
    let blocks = rows::<UInt32Type>(&examples, "block_position_ids")?;
    let image_sources = rows::<UInt32Type>(&examples, "image_sources")?;
    let segments = rows::<UInt32Type>(&examples, "token_type_ids")?;
    let random_next = field::<BooleanArray>(&examples, "is_random_next")?;
    let weights = rows::<Float32Type>(&examples, "loss_weights")?;
    let (images, source) = (field::<ListArray>(&examples, "image_runs")?, field::<ListArray>(&examples, "source")?);
    let here = field::<BooleanArray>(&examples, "predicts_here")?;
    let names = field::<StringArray>(&examples, "objective")?;
    let number = |name: &str, index: usize| Ok::<u32, SchemaError>(field::<UInt32Array>(&examples, name)?.value(index));
    let example = |index: usize| -> Result<PlacedExample, SchemaError> {
        let example = Example {
            input_ids: input_ids.row(index).to_vec(),
            labels: labels.row(index).to_vec(),
            images: runs::runs_of(images, index)?,
            image_sources: image_sources.row(index).to_vec(),
            predicts: if here.value(index) { Predicts::Here } else { Predicts::Next },
            prefix_len: number("prefix_len", index)?,
            position_ids: positions.row(index).to_vec(),
            block_position_ids: blocks.row(index).to_vec(),
            loss_weights: weights.row(index).to_vec(),
            token_type_ids: segments.row(index).to_vec(),
            is_random_next: random_next.is_valid(index).then(|| random_next.value(index)),
            objective: known(names.value(index)),
            part: number("part", index)?,
            branch: number("branch", index)?,
            view: number("view", index)?,
            source: runs::runs_of(source, index)?,
            joined: None,
            shown: None,
            passages: Vec::new(),
        };
        Ok(PlacedExample { example, left_out: number("left_out", index)? })
    };
    (0..examples.num_rows()).map(example).collect()
}

fn rows<'a, P: ArrowPrimitiveType>(examples: &'a RecordBatch, name: &str) -> Result<Rows<'a, P>, SchemaError> {
    Rows::new(field::<ListArray>(examples, name)?)
}

fn field<'a, A: Array + 'static>(examples: &'a RecordBatch, name: &str) -> Result<&'a A, SchemaError> {
    let fields = columns::example_fields();
    let data_type = fields.find(name).map(|(_, field)| field.data_type().clone());
    let is_optional = fields.find(name).is_some_and(|(_, field)| field.is_nullable());
    let column = if is_optional { Column::<A>::optional } else { Column::<A>::required };
    column(name, data_type.unwrap_or(DataType::Null)).of(examples)
}

/// The name of an objective, which lives as long as the program: there are a few of them, and each is kept once.
fn known(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let known: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(known);
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_read_back_as_written() {
        let full = Example {
            input_ids: vec![1, 2, 3],
            labels: vec![1, -100, 3],
            images: vec![1..2],
            image_sources: vec![4],
            predicts: Predicts::Here,
            prefix_len: 2,
            position_ids: vec![0, 1, 1],
            block_position_ids: vec![0, 0, 1],
            loss_weights: vec![1.0, 0.0, 2.5],
            token_type_ids: vec![0, 0, 1],
            is_random_next: Some(true),
            objective: "mlm/bert",
            part: 3,
            branch: 1,
            view: 4,
            source: vec![0..2, 5..6],
            joined: None,
            shown: None,
            passages: Vec::new(),
        };
        let plain = Example { input_ids: vec![7], labels: vec![7], objective: "left_to_right", ..Example::default() };
        let placed = |example: &Example, left_out| PlacedExample { example: example.clone(), left_out };
        let rows = vec![vec![placed(&full, 9), placed(&plain, 0)], vec![], vec![placed(&plain, 1)]];
        let column = examples_column(&rows).unwrap();
        assert_eq!(column.data_type(), columns::examples().field().data_type());
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&examples_of(column.as_list(), row).unwrap(), expected);
        }
    }
}
