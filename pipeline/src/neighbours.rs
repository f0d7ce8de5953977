//! Neighbours of documents: a table that says which documents are near which, and how many of them stand in front.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, ListArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type};
use pageloom_schemas::Key;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::objectives::TokenDocument;
use crate::random::KeyedRandom;
use crate::retrieval::{Neighbour, NumRetrieved, Retrieval};

/// Other documents of the run stand in front of each, as RA-CM3 and CM3Leon have it: `[neighbour <break>] × k document`.
///
/// Which are near is the user's to find out: a run without `retrieval` tells the keys of documents (`document_keys`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A `.jsonl` or `.parquet` file, relative to the job file, of any length. Each row has the `key` of a document as 32
    /// hexadecimal digits, its `neighbours`, a list of such keys, the nearest first, and perhaps their `scores`, a list of as
    /// many numbers. A document that no row names has no neighbours; a neighbour that the run doesn't keep is counted as
    /// missing; a row of a document that the run doesn't keep says nothing.
    pub neighbours: PathBuf,
    /// At most so many stand in front of a document.
    #[serde(default = "two")]
    pub max_documents: u32,
    /// Whether that number is drawn, for each document and all of its views at once.
    #[serde(default)]
    pub number: Number,
    /// A neighbour with a higher score is too much like the document, and never stands in front; one without a score may.
    #[serde(default = "nine_tenths")]
    pub max_score: f32,
}

fn two() -> u32 {
    2
}

fn nine_tenths() -> f32 {
    0.9
}

/// How many neighbours a document is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// From none to `max_documents`, each number as likely: the nearest ones (RA-CM3).
    #[default]
    Uniform,
    /// `max_documents`, if there are as many: the first of all in a drawn order (CM3Leon).
    AsManyAsThereAre,
}

impl Settings {
    /// What is wrong with the settings by themselves, in the user's words.
    pub fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !matches!(ending(&self.neighbours), Some("jsonl" | "parquet")) {
            problems.push(format!("`{}` is no .jsonl and no .parquet file", self.neighbours.display()));
        }
        if self.max_documents == 0 {
            problems
                .push("max_documents is 0, so nothing would stand in front: leave `retrieval` out for that".to_owned());
        }
        if self.max_score.is_nan() {
            problems.push("max_score is no number".to_owned());
        }
        problems
    }

    /// Which neighbours stand in front of a document, in that order; drawn by the document's key.
    pub fn choose(&self, row: &Row, seed: u64) -> Vec<Key> {
        let number = match self.number {
            Number::Uniform => NumRetrieved::Uniform,
            Number::AsManyAsThereAre => NumRetrieved::AsManyAsThereAre,
        };
        let rule = Retrieval { max_documents: self.max_documents, number, max_score: self.max_score };
        let document = TokenDocument::default();
        let scored: Vec<Neighbour> =
            row.neighbours.iter().map(|(_, score)| Neighbour { document: &document, score: *score }).collect();
        let chosen = rule.choose(&scored, &mut KeyedRandom::new(seed, "retrieval", &row.key.0, 0));
        chosen.into_iter().map(|index| row.neighbours[index].0).collect()
    }
}

fn ending(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// A document's neighbours, the nearest first, with their scores; itself is not among them, and no document twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The document.
    pub key: Key,
    /// Its neighbours. One without a score has the lowest there is.
    pub neighbours: Vec<(Key, f32)>,
}

/// What rows of a table of neighbours have.
pub const HINT: &str = "rows have a `key`, `neighbours`, and perhaps `scores`";

/// Rows that are looked at before a run begins; it reads all of them before its first page.
const FIRST_ROWS: u32 = 10_000;

/// Reads the first rows of a table of neighbours; an error names the row that is none.
pub fn read_first(file: &Path) -> Result<(), String> {
    let mut rows = 0;
    read(file, |_, _| {
        rows += 1;
        if rows < FIRST_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
}

/// Reads a table of neighbours, row by row, each with about as many bytes as it takes in the file; an error names the row
/// that is none.
pub fn read(file: &Path, mut each: impl FnMut(Row, u64) -> ControlFlow<()>) -> Result<(), String> {
    let opened = File::open(file).map_err(|error| error.to_string())?;
    match ending(file) {
        Some("parquet") => read_parquet(opened, &mut each),
        _ => read_lines(BufReader::with_capacity(BYTES_AT_ONCE, opened), &mut each),
    }
}

/// Bytes that are read at once.
const BYTES_AT_ONCE: usize = 1 << 20;

#[derive(Deserialize)]
struct Line {
    key: String,
    neighbours: Vec<String>,
    scores: Option<Vec<f32>>,
}

fn read_lines(lines: impl BufRead, each: &mut impl FnMut(Row, u64) -> ControlFlow<()>) -> Result<(), String> {
    for (number, line) in lines.lines().enumerate() {
        let of_line = |error: String| format!("line {}: {error}", number + 1);
        let line = line.map_err(|error| of_line(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let Line { key, neighbours, scores } =
            serde_json::from_str(&line).map_err(|error| of_line(error.to_string()))?;
        let found = row(&key, neighbours.iter().map(String::as_str), scores.as_deref()).map_err(of_line)?;
        if each(found, line.len() as u64 + 1).is_break() {
            break;
        }
    }
    Ok(())
}

fn read_parquet(file: File, each: &mut impl FnMut(Row, u64) -> ControlFlow<()>) -> Result<(), String> {
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let bytes_per_row = bytes / (reader.metadata().file_metadata().num_rows().max(1) as u64);
    let mut number = 0;
    for batch in reader.build().map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        let list_of = |item| DataType::List(Field::new("item", item, true).into());
        let keys = column(&batch, "key", &DataType::Utf8)?.ok_or("it has no column `key`")?;
        let neighbours = column(&batch, "neighbours", &list_of(DataType::Utf8))?;
        let neighbours = neighbours.ok_or("it has no column `neighbours`")?;
        let scores = column(&batch, "scores", &list_of(DataType::Float32))?;
        let (keys, neighbours) = (keys.as_string::<i32>(), neighbours.as_list::<i32>());
        let scores = scores.as_ref().map(|scores| scores.as_list::<i32>());
        for index in 0..batch.num_rows() {
            number += 1;
            let found =
                parquet_row(keys, neighbours, scores, index).map_err(|error| format!("row {number}: {error}"))?;
            if each(found, bytes_per_row).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn column(batch: &RecordBatch, name: &str, wanted: &DataType) -> Result<Option<arrow::array::ArrayRef>, String> {
    let found = batch.column_by_name(name).map(|column| cast(column, wanted));
    found.transpose().map_err(|error| format!("its column `{name}`: {error}"))
}

fn parquet_row(
    keys: &StringArray,
    neighbours: &ListArray,
    scores: Option<&ListArray>,
    index: usize,
) -> Result<Row, String> {
    if keys.is_null(index) {
        return Err("its `key` is null".to_owned());
    }
    let neighbours = neighbours.value(index);
    let scores = scores.filter(|scores| scores.is_valid(index)).map(|scores| scores.value(index));
    let scores: Option<Vec<f32>> = scores.map(|scores| {
        scores.as_primitive::<Float32Type>().iter().map(|score| score.unwrap_or(f32::NEG_INFINITY)).collect()
    });
    row(keys.value(index), neighbours.as_string::<i32>().iter().flatten(), scores.as_deref())
}

fn row<'a>(key: &str, neighbours: impl Iterator<Item = &'a str>, scores: Option<&[f32]>) -> Result<Row, String> {
    let parse = |key: &str| Key::from_hex(key).ok_or_else(|| format!("`{key}` is no key of 32 hexadecimal digits"));
    let (key, mut found, mut seen) = (parse(key)?, Vec::new(), 0);
    for (index, neighbour) in neighbours.enumerate() {
        let neighbour = parse(neighbour)?;
        let score = scores.map_or(Some(f32::NEG_INFINITY), |scores| scores.get(index).copied());
        let score = score.ok_or("it has fewer scores than neighbours")?;
        seen = index + 1;
        if neighbour != key && found.iter().all(|(there, _)| *there != neighbour) {
            found.push((neighbour, score));
        }
    }
    match scores {
        Some(scores) if scores.len() > seen => Err("it has more scores than neighbours".to_owned()),
        _ => Ok(Row { key, neighbours: found }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Builder, ListBuilder, StringBuilder};

    use super::*;

    const A: &str = "000102030405060708090a0b0c0d0e0f";
    const B: &str = "ff0102030405060708090a0b0c0d0e0f";
    const C: &str = "fe0102030405060708090a0b0c0d0e0f";

    fn key(text: &str) -> Key {
        Key::from_hex(text).unwrap()
    }

    fn take(row: Row, rows: &mut Vec<Row>) -> ControlFlow<()> {
        rows.push(row);
        ControlFlow::Continue(())
    }

    fn lines(text: &str) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        read_lines(text.as_bytes(), &mut |row, _| take(row, &mut rows)).map(|()| rows)
    }

    #[test]
    fn a_document_is_no_neighbour_of_its_own_and_none_is_one_twice() {
        let rows = lines(&format!(
            "\n{{\"key\":\"{A}\",\"neighbours\":[\"{B}\",\"{A}\",\"{B}\",\"{C}\"],\"scores\":[0.5,1,0.5,0.25]}}"
        ));
        assert_eq!(rows, Ok(vec![Row { key: key(A), neighbours: vec![(key(B), 0.5), (key(C), 0.25)] }]));
    }

    #[test]
    fn a_row_that_is_none_is_named() {
        let refused = |text: &str| lines(text).unwrap_err();
        assert!(refused("{").starts_with("line 1: "));
        assert!(refused(&format!("\n{{\"key\":\"{A}\",\"neighbours\":[\"b\"]}}")).starts_with("line 2: `b` is no key"));
        let scores = format!("{{\"key\":\"{A}\",\"neighbours\":[\"{B}\"],\"scores\":[]}}");
        assert_eq!(refused(&scores), "line 1: it has fewer scores than neighbours");
    }

    #[test]
    fn parquet_says_the_same_as_lines() {
        let (mut of_row, mut scores) =
            (ListBuilder::new(StringBuilder::new()), ListBuilder::new(Float64Builder::new()));
        of_row.values().append_value(B);
        of_row.append(true);
        scores.values().append_value(0.5);
        scores.append(true);
        let keys: ArrayRef = Arc::new(StringArray::from(vec![A]));
        let (of_row, scores): (ArrayRef, ArrayRef) = (Arc::new(of_row.finish()), Arc::new(scores.finish()));
        let batch = RecordBatch::try_from_iter([("key", keys), ("neighbours", of_row), ("scores", scores)]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("neighbours.parquet");
        let file = File::create(&path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut rows = Vec::new();
        read(&path, |row, _| take(row, &mut rows)).unwrap();
        assert_eq!(rows, [Row { key: key(A), neighbours: vec![(key(B), 0.5)] }]);
    }
}
