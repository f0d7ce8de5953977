//! Examples of documents as a column, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StringArray, StructArray, UInt32Array};
use arrow::datatypes::{ArrowPrimitiveType, Fields, Float32Type, Int32Type, UInt32Type};
use pageloom_schemas::lists::{ListColumn, Rows, list_of_structs, structs};
use pageloom_schemas::runs::RunRows;
use pageloom_schemas::{SchemaError, columns, runs};

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

/// A column of [`columns::examples`] to read from, whose parts are borrowed once for all of its rows.
#[derive(Debug)]
pub struct Examples<'a> {
    /// Where the examples of each document end.
    offsets: &'a [i32],
    input_ids: Rows<'a, Int32Type>,
    labels: Rows<'a, Int32Type>,
    images: RunRows<'a>,
    image_sources: Rows<'a, UInt32Type>,
    predicts_here: &'a BooleanArray,
    prefix_len: &'a [u32],
    position_ids: Rows<'a, UInt32Type>,
    block_position_ids: Rows<'a, UInt32Type>,
    loss_weights: Rows<'a, Float32Type>,
    token_type_ids: Rows<'a, UInt32Type>,
    is_random_next: &'a BooleanArray,
    objectives: Vec<&'static str>,
    part: &'a [u32],
    branch: &'a [u32],
    view: &'a [u32],
    source: RunRows<'a>,
    left_out: &'a [u32],
}

impl<'a> Examples<'a> {
    /// Borrows the column; an error if its items are no examples.
    pub fn of(column: &'a ListArray) -> Result<Self, SchemaError> {
        let fields = columns::example_fields();
        let examples = structs(column, &fields)?;
        let part = |name: &str| -> Result<&'a ArrayRef, SchemaError> {
            examples
                .column_by_name(name)
                .ok_or_else(|| SchemaError::Missing { name: name.into(), present: names(&fields) })
        };
        // A struct of these fields has arrays of their types.
        let list = |name: &str| part(name).map(|part| part.as_list::<i32>());
        let numbers = |name: &str| part(name).map(|part| &part.as_primitive::<UInt32Type>().values()[..]);
        Ok(Self {
            offsets: column.value_offsets(),
            input_ids: Rows::new(list("input_ids")?)?,
            labels: Rows::new(list("labels")?)?,
            images: RunRows::new(list("image_runs")?)?,
            image_sources: Rows::new(list("image_sources")?)?,
            predicts_here: part("predicts_here")?.as_boolean(),
            prefix_len: numbers("prefix_len")?,
            position_ids: Rows::new(list("position_ids")?)?,
            block_position_ids: Rows::new(list("block_position_ids")?)?,
            loss_weights: Rows::new(list("loss_weights")?)?,
            token_type_ids: Rows::new(list("token_type_ids")?)?,
            is_random_next: part("is_random_next")?.as_boolean(),
            objectives: objectives(part("objective")?.as_string()),
            part: numbers("part")?,
            branch: numbers("branch")?,
            view: numbers("view")?,
            source: RunRows::new(list("source")?)?,
            left_out: numbers("left_out")?,
        })
    }

    /// The examples of one document.
    pub fn document(&self, row: usize) -> impl Iterator<Item = PlacedExample> {
        (self.offsets[row] as usize..self.offsets[row + 1] as usize).map(|index| self.example(index))
    }

    fn example(&self, index: usize) -> PlacedExample {
        let example = Example {
            input_ids: self.input_ids.row(index).to_vec(),
            labels: self.labels.row(index).to_vec(),
            images: self.images.row(index),
            image_sources: self.image_sources.row(index).to_vec(),
            predicts: if self.predicts_here.value(index) { Predicts::Here } else { Predicts::Next },
            prefix_len: self.prefix_len[index],
            position_ids: self.position_ids.row(index).to_vec(),
            block_position_ids: self.block_position_ids.row(index).to_vec(),
            loss_weights: self.loss_weights.row(index).to_vec(),
            token_type_ids: self.token_type_ids.row(index).to_vec(),
            is_random_next: self.is_random_next.is_valid(index).then(|| self.is_random_next.value(index)),
            objective: self.objectives[index],
            part: self.part[index],
            branch: self.branch[index],
            view: self.view[index],
            source: self.source.row(index),
            joined: None,
            shown: None,
            passages: Vec::new(),
        };
        PlacedExample { example, left_out: self.left_out[index] }
    }
}

fn names(fields: &Fields) -> Vec<String> {
    fields.iter().map(|field| field.name().clone()).collect()
}

/// The objective of each example.
fn objectives(names: &StringArray) -> Vec<&'static str> {
    let mut found = BTreeMap::new();
    names.iter().map(|name| *found.entry(name).or_insert_with(|| known(name.unwrap_or_default()))).collect()
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
        let examples = Examples::of(column.as_list()).unwrap();
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&examples.document(row).collect::<Vec<_>>(), expected);
        }
    }
}
