//! The tensors of a model file, whatever its format.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::sharded::{ShardedTensors, is_index};
use super::torch::{self, TorchTensors};
use crate::error::VqError;

/// Bytes that are enough to tell the format of a file by.
const BEGINNING: u64 = 512;

/// The whole of a safetensors file or an index; the beginning of a PyTorch checkpoint, whose own reader reads it.
pub(crate) fn enough_of(path: &Path) -> Result<Vec<u8>, VqError> {
    let read = || {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(BEGINNING).read_to_end(&mut bytes)?;
        if !torch::is_torch(&bytes) {
            file.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    read().map_err(|source| VqError::Read { path: path.to_owned(), source })
}

/// BLAKE3 of the file that `enough_of` gave these bytes of, in hexadecimal digits.
pub(crate) fn digest(path: &Path, enough: &[u8]) -> Result<String, VqError> {
    let mut hasher = blake3::Hasher::new();
    if torch::is_torch(enough) {
        let read = File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
        read.map_err(|source| VqError::Read { path: path.to_owned(), source })?;
    } else {
        hasher.update(enough);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Tensors by name, none of them read yet.
pub(super) enum Stored<'a> {
    Safetensors(SafeTensors<'a>),
    Sharded(ShardedTensors),
    Torch(TorchTensors),
}

/// How a tensor is stored.
pub(super) struct Kind {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

impl<'a> Stored<'a> {
    /// The tensors of `path`, whose content is `bytes`.
    pub fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self, VqError> {
        if is_index(path) {
            return Ok(Self::Sharded(ShardedTensors::open(path, bytes)?));
        }
        if torch::is_torch(bytes) {
            return Ok(Self::Torch(TorchTensors::open(path)?));
        }
        SafeTensors::deserialize(bytes)
            .map(Self::Safetensors)
            .map_err(|error| VqError::Format { path: path.to_owned(), reason: error.to_string() })
    }

    /// Every name, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = match self {
            Self::Safetensors(tensors) => tensors.iter().map(|(name, _)| name).collect(),
            Self::Sharded(tensors) => tensors.names().collect(),
            Self::Torch(tensors) => tensors.names().collect(),
        };
        names.sort_unstable();
        names
    }

    /// How a tensor is stored, if it is there.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        match self {
            Self::Safetensors(tensors) => {
                tensors.tensor(name).ok().map(|tensor| Kind { dtype: tensor.dtype(), shape: tensor.shape().to_vec() })
            }
            Self::Sharded(tensors) => tensors.kind(name),
            Self::Torch(tensors) => tensors.kind(name),
        }
    }

    /// What is to be said of a tensor that has no kind, behind its name.
    pub fn whereabouts(&self, name: &str) -> String {
        if let Self::Sharded(tensors) = self { tensors.whereabouts(name) } else { String::new() }
    }

    /// A tensor's bytes, row by row and little-endian, or what is wrong with it.
    pub fn read(&self, name: &str) -> Result<Cow<'a, [u8]>, String> {
        match self {
            Self::Safetensors(tensors) => {
                tensors.tensor(name).map(|tensor| Cow::Borrowed(tensor.data())).map_err(|error| error.to_string())
            }
            Self::Sharded(tensors) => tensors.read(name).map(Cow::Owned),
            Self::Torch(tensors) => tensors.read(name).map(Cow::Owned),
        }
    }
}
