//! Writes a model's tensors as safetensors.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::numbers::{to_bytes, to_f32};
use super::stored::{Kind, Stored, enough_of};
use crate::error::VqError;
use crate::families::INSIDE_A_WHOLE_MODEL;

/// How numbers are written; whole numbers stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits of IEEE 754: finer than `Bf16`, up to 65504.
    F16,
    /// The upper 16 bits of `F32`.
    Bf16,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Tensors in the new file.
    pub tensors: usize,
    /// Those that only training needs, or that belong to other parts of a whole model, which aren't in it.
    pub left_out: Vec<String>,
}

/// Names of what only training needs begin like this.
const TRAINING: [&str; 5] = ["loss.", "model_ema.loss", "discriminator.", "perceptual_loss.", "optimizer"];

/// Writes the encoder's, the quantiser's and the decoder's tensors of a checkpoint, under their own names, to a
/// safetensors file, which takes its place only when it is whole. Of a whole model that has a tokenizer inside, that alone is
/// written, as if it had been stored alone.
///
/// From a PyTorch checkpoint, and from the index of a model in several files, one tensor after another is read; a safetensors
/// file is read at once.
///
/// # Errors
/// Names the file that can't be read or written, or the tensor that isn't finite or too large for `precision`.
pub fn convert(from: &Path, to_safetensors: &Path, precision: Precision) -> Result<Converted, VqError> {
    let bytes = enough_of(from)?;
    let tensors = Stored::parse(from, &bytes)?;
    let all = tensors.names();
    let whole = all.iter().any(|name| name.starts_with(INSIDE_A_WHOLE_MODEL));
    let (left_out, names): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|name| match whole {
        true => !name.starts_with(INSIDE_A_WHOLE_MODEL),
        false => TRAINING.iter().any(|prefix| name.starts_with(prefix)),
    });
    let unfinished = unfinished(to_safetensors);
    let written = write(from, &tensors, &names, &unfinished, precision).and_then(|()| {
        std::fs::rename(&unfinished, to_safetensors)
            .map_err(|source| VqError::Write { path: to_safetensors.to_owned(), source })
    });
    if let Err(error) = written {
        // What is left behind is overwritten the next time; why the file isn't whole matters more.
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok(Converted { tensors: names.len(), left_out: left_out.into_iter().map(str::to_owned).collect() })
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    path.with_file_name(name)
}

fn write(from: &Path, tensors: &Stored, names: &[&str], path: &Path, precision: Precision) -> Result<(), VqError> {
    let failed = |source| VqError::Write { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let missing: Vec<&&str> = names.iter().filter(|name| tensors.kind(name).is_none()).collect();
    if !missing.is_empty() {
        let names = missing.iter().map(|name| format!("{name}{}", tensors.whereabouts(name))).collect();
        return Err(VqError::MissingTensors { path: from.to_owned(), names });
    }
    let entries: Vec<(&str, Kind)> =
        names.iter().filter_map(|name| tensors.kind(name).map(|kind| (*name, kind))).collect();
    let header = header(&entries, precision);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    file.write_all(header.as_bytes()).map_err(failed)?;
    for (name, kind) in &entries {
        let bytes = tensors.read(name).and_then(|bytes| {
            let dtype = target(kind.dtype, precision);
            if dtype == kind.dtype && !is_float(dtype) {
                return Ok(bytes.into_owned());
            }
            to_bytes(dtype, &to_f32(kind.dtype, &bytes)?)
        });
        let bytes =
            bytes.map_err(|reason| VqError::Tensor { path: from.to_owned(), name: (*name).to_owned(), reason })?;
        file.write_all(&bytes).map_err(failed)?;
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

/// safetensors' header: names in order, each with where its bytes are, and blanks up to a multiple of eight.
fn header(entries: &[(&str, Kind)], precision: Precision) -> String {
    let mut header = Map::new();
    let mut end = 0;
    for (name, kind) in entries {
        let dtype = target(kind.dtype, precision);
        let start = end;
        end += kind.shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let name = name.strip_prefix(INSIDE_A_WHOLE_MODEL).unwrap_or(name);
        header.insert(name.to_owned(), json!({"dtype": dtype, "shape": kind.shape, "data_offsets": [start, end]}));
    }
    let mut header = Value::Object(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    header
}

fn target(stored: Dtype, precision: Precision) -> Dtype {
    match precision {
        _ if !is_float(stored) => stored,
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
        Precision::Bf16 => Dtype::BF16,
    }
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16)
}
