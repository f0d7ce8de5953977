//! One row of the table of images: what it holds in words, and a picture of it.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, UInt32Type};
use arrow::util::display::array_value_to_string;
use pageloom_schemas::{Key, columns};
use pageloom_vq::load_decoder;
use pageloom_vq::pixels::{Size, png};
use serde::Serialize;
use serde_json::Value;

use crate::engine::store::Store;
use crate::error::RunError;
use crate::run::reopen;
use crate::show::{locate, manifest_of, problem, read_row};
use crate::steps::draw_masks::MASKS;
use crate::tell;
use sheet::{Sheet, Tile};

mod original;
mod sheet;

/// One image's row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownImage {
    /// Its number over all shards.
    pub row: u64,
    /// The shard that holds it.
    pub file: String,
    /// Its columns in words, in their order.
    pub columns: Vec<(String, String)>,
    /// Its codes.
    #[serde(skip)]
    codes: Vec<u32>,
    #[serde(skip)]
    key: Key,
    #[serde(skip)]
    masks: Vec<ShownMask>,
}

/// One bitmap of an image.
#[derive(Debug, Clone, PartialEq)]
struct ShownMask {
    /// The column that it is of, and its number there.
    name: String,
    rows: usize,
    columns: usize,
    bits: Vec<u8>,
}

/// Reads one row of the table of images.
pub async fn show_image(store: &Store, row: u64) -> Result<ShownImage, RunError> {
    let table = manifest_of(store).await?.image_table.ok_or_else(|| {
        problem(store, "has no table of images: add `[image_shards]` to the job, and run it into another folder")
    })?;
    let located = locate(&table.files, row);
    let (file, within) = located
        .ok_or_else(|| problem(store, &format!("holds {} images, counted from 0, but no row {row}", table.rows)))?;
    shown(&read_row(store, &file, within).await?, row, file)
}

fn shown(rows: &RecordBatch, row: u64, file: String) -> Result<ShownImage, RunError> {
    let schema = rows.schema();
    let named = schema.fields().iter().zip(rows.columns());
    let in_words: Result<Vec<_>, RunError> =
        named.clone().map(|(field, column)| Ok((field.name().clone(), words(field, column)?))).collect();
    let masks = named.flat_map(|(field, column)| masks(field, column)).collect();
    let key = columns::image_key();
    let key = Key::from_hex(key.of(rows)?.value(0)).unwrap_or_default();
    Ok(ShownImage { row, file, columns: in_words?, codes: codes(rows)?, key, masks })
}

fn codes(rows: &RecordBatch) -> Result<Vec<u32>, RunError> {
    let lists = rows.column_by_name("tokens").and_then(|column| column.as_list_opt::<i32>());
    let codes = lists.ok_or_else(|| RunError::Bug("the table of images has no tokens".into()))?.value(0);
    Ok(cast(&codes, &DataType::UInt32)?.as_primitive::<UInt32Type>().values().to_vec())
}

fn words(field: &Field, column: &ArrayRef) -> Result<String, RunError> {
    let list = column.as_list_opt::<i32>().map(|list| list.value(0));
    Ok(match list {
        Some(values) if field.metadata().contains_key(MASKS) => format!("{} bitmaps", values.len()),
        Some(values) if field.name() == "tokens" => format!("{} codes", values.len()),
        Some(values) => {
            let all: Result<Vec<_>, _> = (0..values.len()).map(|row| array_value_to_string(&values, row)).collect();
            all?.join(if field.name() == "crop_box" { " " } else { "\n    " })
        }
        None => array_value_to_string(column, 0)?,
    })
}

fn masks(field: &Field, column: &ArrayRef) -> Vec<ShownMask> {
    let about = field.metadata().get(MASKS).and_then(|about| serde_json::from_str::<Value>(about).ok());
    let (Some(about), Some(list)) = (about, column.as_list_opt::<i32>()) else { return Vec::new() };
    let side = |name: &str| about[name].as_u64().unwrap_or_default() as usize;
    let bitmaps = list.value(0);
    let bitmaps = bitmaps.as_binary_opt::<i32>();
    let mask = |(number, bits): (usize, &[u8])| ShownMask {
        name: format!("{} {number}", field.name()),
        rows: side("rows"),
        columns: side("columns"),
        bits: bits.to_vec(),
    };
    bitmaps.into_iter().flat_map(|bitmaps| bitmaps.iter().flatten().enumerate().map(mask).collect::<Vec<_>>()).collect()
}

impl ShownImage {
    /// The row for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("row {} of {}\n", self.row, self.file);
        for (name, words) in &self.columns {
            text.push_str(&format!("{name}: {words}\n"));
        }
        text
    }
}

/// Writes a picture: the part of the original that was encoded, where its file is still there; the image decoded from its
/// tokens, where the model has a decoder; and that again under each mask.
pub async fn draw(store: &Store, image: &ShownImage, path: &Path) -> Result<Vec<String>, RunError> {
    let run = reopen(store).await?;
    let size = run.checked.resources.images.size();
    let (mut tiles, mut names) = (Vec::new(), Vec::new());
    if let Some(original) = original::of(&run, image.key).await? {
        tiles.push(original);
        names.push("original".to_owned());
    }
    let model = run.checked.folder.join(&run.checked.job.tokenizers.image);
    let one_crop = run.checked.resources.images.codes_per_image() as usize;
    let codes = &image.codes[..one_crop.min(image.codes.len())];
    let decoded = load_decoder(&model, Some(size)).and_then(|decoder| decoder.decode(&[codes]));
    let decoded = match decoded {
        Ok(mut pixels) => {
            names.push("decoded from its tokens".to_owned());
            Tile { size, rgb: pixels.swap_remove(0) }
        }
        // Masks can be looked at without a picture under them.
        Err(error) => {
            tell!("no picture from the tokens: {error}");
            Tile::grey(size)
        }
    };
    let masked = image.masks.iter().map(|mask| decoded.under(mask.rows, mask.columns, &mask.bits));
    let masked: Vec<Tile> = masked.collect();
    tiles.push(decoded.clone());
    names.extend(image.masks.iter().map(|mask| mask.name.clone()));
    tiles.extend(masked);
    let Sheet { width, height, rgb } = Sheet::of(&tiles);
    let failed = |error: &dyn std::fmt::Display| RunError::Model(format!("{}: {error}", path.display()));
    let file = png(&rgb, Size { width, height }).map_err(|error| failed(&error))?;
    std::fs::write(path, file).map_err(|error| failed(&error))?;
    Ok(names)
}
