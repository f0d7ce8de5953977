//! The tensors of a model file, each taken by its name and its shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blake3::Hasher;

use super::numbers::to_f32;
use super::stored::Stored;
use crate::error::VqError;

/// A model file being taken apart. What is missing is noted, so that all of it is named at once.
pub(crate) struct Checkpoint<'a> {
    path: PathBuf,
    tensors: Stored<'a>,
    taken: BTreeSet<String>,
    /// Of the names and bytes of what was taken.
    digest: Hasher,
    missing: Vec<String>,
}

impl<'a> Checkpoint<'a> {
    /// Of safetensors, or of PyTorch, of whose files `bytes` is only looked at to tell them; they are read from `path`.
    pub fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self, VqError> {
        let tensors = Stored::parse(path, bytes)?;
        Ok(Self { path: path.to_owned(), tensors, taken: BTreeSet::new(), digest: Hasher::new(), missing: Vec::new() })
    }

    /// The tensor's numbers, row by row; none if it is missing, which `finish` reports.
    pub fn take(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, VqError> {
        let Some(kind) = self.tensors.kind(&name) else {
            self.missing.push(format!("{name}{}", self.tensors.whereabouts(&name)));
            return Ok(Vec::new());
        };
        if kind.shape != shape {
            return Err(VqError::Shape { path: self.path.clone(), name, found: kind.shape, expected: shape.to_vec() });
        }
        let digest = &mut self.digest;
        let numbers = self.tensors.read(&name).and_then(|bytes| {
            digest.update(name.as_bytes()).update(&bytes);
            to_f32(kind.dtype, &bytes)
        });
        let numbers =
            numbers.map_err(|reason| VqError::Tensor { path: self.path.clone(), name: name.clone(), reason })?;
        self.taken.insert(name);
        Ok(numbers)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.names().into_iter()
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.kind(name).is_some()
    }

    /// BLAKE3 of what was taken, in hexadecimal digits, for models that are split over several files: of these, hardly one
    /// belongs to the tokenizer alone.
    pub fn digest_of_part(&self) -> Option<String> {
        matches!(self.tensors, Stored::Sharded(_)).then(|| self.digest.finalize().to_hex().to_string())
    }

    /// Checks that every tensor asked for was there, and that none under `prefixes` was left over.
    pub fn finish(self, prefixes: &[String]) -> Result<(), VqError> {
        if !self.missing.is_empty() {
            return Err(VqError::MissingTensors { path: self.path, names: self.missing });
        }
        let asked_for = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let names = self.tensors.names().into_iter().filter(asked_for);
        let unknown: Vec<String> = names.filter(|name| !self.taken.contains(*name)).map(str::to_owned).collect();
        if unknown.is_empty() { Ok(()) } else { Err(VqError::UnknownTensors { path: self.path, names: unknown }) }
    }
}
