//! A row's columns in words.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, UInt32Type};
use arrow::util::display::array_value_to_string;
use pageloom_schemas::passages::{PassagePlace, passages_of};
use pageloom_schemas::places::image_places_of;
use pageloom_schemas::{Key, columns};

use crate::examples::Examples;
use crate::image_runs::{ImageRun, image_runs_of};
use crate::objectives::Example;
use crate::words::Words;

/// Columns of the row that were not there before, or were something else, in words.
pub fn new_in_words(before: &RecordBatch, rows: &RecordBatch, words: &Words) -> Vec<(String, String)> {
    if rows.num_rows() == 0 {
        return Vec::new();
    }
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let new = columns.filter(|(field, column)| before.column_by_name(field.name()) != Some(*column));
    new.map(|(field, column)| (field.name().clone(), in_words(field.name(), column, words))).collect()
}

/// A text without its middle, if it is longer than `chars` characters.
pub fn cut(text: &str, chars: usize) -> String {
    let length = text.chars().count();
    if length <= chars {
        return text.to_owned();
    }
    let head: String = text.chars().take(chars / 2).collect();
    let tail: String = text.chars().skip(length - chars / 2).collect();
    format!("{head}\n   [… {} characters …]\n{tail}", length - chars / 2 * 2)
}

fn in_words(name: &str, column: &ArrayRef, words: &Words) -> String {
    if column.is_null(0) {
        return "none".into();
    }
    match name {
        "body" | "bytes" | "pixels" => bytes(column.as_binary::<i32>().value(0)),
        "tokens" | "document_tokens" => {
            ids(column.as_list::<i32>().value(0).as_primitive::<Int32Type>().values(), words)
        }
        "codes" => codes(column.as_list::<i32>().value(0).as_primitive::<UInt32Type>().values()),
        "images" => format!("codes of {} images", column.as_list::<i32>().value(0).len()),
        _ if name == columns::markup_images().field().name() || name == columns::image_slots().field().name() => {
            places(column)
        }
        _ if name == columns::image_runs().field().name() => image_runs(column),
        _ if name == columns::passages().name() => passages(column),
        _ if name == columns::examples().field().name() => examples(column, words),
        _ => array_value_to_string(column, 0).unwrap_or_default(),
    }
}

/// Text as it is, anything else by its size and digest.
fn bytes(bytes: &[u8]) -> String {
    let digest = &blake3::hash(bytes).to_hex()[..16];
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => format!("{} bytes\n{text}", bytes.len()),
        _ => format!("{} bytes, blake3 {digest}…", bytes.len()),
    }
}

fn ids(ids: &[i32], words: &Words) -> String {
    format!("{} tokens\n{}", ids.len(), words.of(ids))
}

fn examples(column: &ArrayRef, words: &Words) -> String {
    let Ok(examples) = Examples::of(column.as_list()) else { return String::new() };
    let texts: Vec<String> = examples.document(0).map(|placed| example(&placed.example, words)).collect();
    texts.join("\n")
}

fn example(example: &Example, words: &Words) -> String {
    let ids = &example.input_ids;
    let with_loss = example.labels.iter().filter(|label| **label >= 0).count();
    let without = ids.len() - with_loss;
    let mut text = format!("{}: {} tokens, {with_loss} with loss, {without} without", example.objective, ids.len());
    for span in words.moved_spans(ids, 0) {
        text.push_str(&format!("\n   {span}"));
    }
    text + "\n" + &words.of(ids)
}

fn codes(codes: &[u32]) -> String {
    let some: Vec<String> = codes.iter().take(16).map(u32::to_string).collect();
    format!("{} codes: {} …", codes.len(), some.join(" "))
}

fn places(column: &ArrayRef) -> String {
    let places = image_places_of(column.as_list(), 0).unwrap_or_default();
    let line = |place: &pageloom_schemas::places::ImagePlace| {
        format!("\n   {} {}..{}, src at {}: {}", place.key, place.tag_start, place.tag_end, place.src, place.url)
    };
    format!("{} images", places.len()) + &places.iter().map(line).collect::<String>()
}

fn passages(column: &ArrayRef) -> String {
    let passage = |place: PassagePlace| {
        let step = place.gold_step.map_or_else(|| "noise".to_owned(), |step| format!("step {step}"));
        format!("{}..{} ({step})", place.tokens.start, place.tokens.end)
    };
    let passages: Vec<String> = passages_of(column.as_list(), 0).unwrap_or_default().into_iter().map(passage).collect();
    if passages.is_empty() { "none".into() } else { passages.join(", ") }
}

fn image_runs(column: &ArrayRef) -> String {
    let runs = image_runs_of(column.as_list(), 0).unwrap_or_default();
    let run = |run: &ImageRun| format!("{}..{} of image {}", run.tokens.start, run.tokens.end, Key(run.image));
    let runs: Vec<String> = runs.iter().map(run).collect();
    if runs.is_empty() { "none".into() } else { runs.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_loses_its_middle() {
        assert_eq!(cut("abcdefgh", 8), "abcdefgh");
        assert_eq!(cut("abcdefghij", 4), "ab\n   [… 6 characters …]\nij");
    }

    #[test]
    fn bytes_that_are_no_text_are_named_by_their_digest() {
        assert!(bytes(b"\xff\xd8").starts_with("2 bytes, blake3 "));
        assert_eq!(bytes(b"<p>"), "3 bytes\n<p>");
    }
}
