//! The tensors of a safetensors file, each taken by its name and its shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::error::VqError;

/// A model file being taken apart. What is missing is noted, so that all of it is named at once.
pub(crate) struct Checkpoint<'a> {
    path: PathBuf,
    tensors: SafeTensors<'a>,
    taken: BTreeSet<String>,
    missing: Vec<String>,
}

impl<'a> Checkpoint<'a> {
    pub fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self, VqError> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| VqError::Format { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { path: path.to_owned(), tensors, taken: BTreeSet::new(), missing: Vec::new() })
    }

    /// The tensor's numbers, row by row; none if it is missing, which `finish` reports.
    pub fn take(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, VqError> {
        let Ok(tensor) = self.tensors.tensor(&name) else {
            self.missing.push(name);
            return Ok(Vec::new());
        };
        if tensor.shape() != shape {
            return Err(VqError::Shape {
                path: self.path.clone(),
                name,
                found: tensor.shape().to_vec(),
                expected: shape.to_vec(),
            });
        }
        let numbers = to_f32(tensor.dtype(), tensor.data()).and_then(|numbers| {
            let finite = numbers.iter().all(|number| number.is_finite());
            if finite { Ok(numbers) } else { Err("holds a number that isn't finite".to_owned()) }
        });
        let numbers =
            numbers.map_err(|reason| VqError::Tensor { path: self.path.clone(), name: name.clone(), reason })?;
        self.taken.insert(name);
        Ok(numbers)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Checks that every tensor asked for was there, and that none under `prefixes` was left over.
    pub fn finish(self, prefixes: &[String]) -> Result<(), VqError> {
        if !self.missing.is_empty() {
            return Err(VqError::MissingTensors { path: self.path, names: self.missing });
        }
        let mut unknown: Vec<String> = self
            .tensors
            .names()
            .into_iter()
            .filter(|name| {
                prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())) && !self.taken.contains(*name)
            })
            .map(str::to_owned)
            .collect();
        unknown.sort();
        if unknown.is_empty() { Ok(()) } else { Err(VqError::UnknownTensors { path: self.path, names: unknown }) }
    }
}

fn to_f32(dtype: Dtype, data: &[u8]) -> Result<Vec<f32>, String> {
    let numbers = match dtype {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        other => return Err(format!("is stored as {other:?}, not as F32, F16 or BF16")),
    };
    Ok(numbers)
}
