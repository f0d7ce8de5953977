//! The tensors of a file that `torch.save` wrote; nothing in it is ever called.

use std::collections::HashMap;
use std::path::Path;

use pytorch_reader::{DType, PytorchError, PytorchReader, Tensor};
use safetensors::Dtype;

use super::stored::Kind;
use crate::error::VqError;

/// Keys under which trainers put the weights, averaged ones first; a file with none of them is the weights.
const WEIGHTS_UNDER: [&str; 6] = ["ema", "model_ema", "ema_state_dict", "state_dict", "model_state_dict", "model"];

/// What `DistributedDataParallel` puts in front of every name.
const PARALLEL_PREFIX: &str = "module.";

/// Tensors of one dictionary of the file. All else that trainers save is skipped.
pub(super) struct TorchTensors {
    tensors: HashMap<String, Tensor>,
    file_length: u64,
}

/// Whether a file begins like one of those that `torch.save` has written over the years.
pub(super) fn is_torch(bytes: &[u8]) -> bool {
    // safetensors has the length of its header first, of which the eighth byte is 0, and then `{`.
    let safetensors = bytes.get(7..9) == Some(&[0, b'{']);
    let zip = bytes.starts_with(b"PK");
    let pickle = bytes.starts_with(&[0x80]);
    let tar = bytes.get(257..262) == Some(b"ustar");
    !safetensors && (zip || pickle || tar)
}

impl TorchTensors {
    pub fn open(path: &Path) -> Result<Self, VqError> {
        let file_length =
            std::fs::metadata(path).map_err(|source| VqError::Read { path: path.to_owned(), source })?.len();
        let tensors = weights(path).map_err(|error| refused(path, &error))?;
        Ok(Self { tensors: without_prefix(tensors), file_length })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn kind(&self, name: &str) -> Option<Kind> {
        let tensor = self.tensors.get(name)?;
        Some(Kind { dtype: dtype(tensor.dtype()), shape: tensor.shape().to_vec() })
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let tensor = self.tensors.get(name).ok_or_else(|| "isn't there".to_owned())?;
        // A view can repeat a few numbers any number of times, but no weights are stored that way.
        if tensor.byte_len() as u64 > self.file_length {
            return Err(format!("would have {} bytes, but the whole file has {}", tensor.byte_len(), self.file_length));
        }
        tensor.read().map_err(|error| format!("can't be read: {error}"))
    }
}

fn weights(path: &Path) -> Result<HashMap<String, Tensor>, PytorchError> {
    let all = PytorchReader::new(path)?.into_tensors();
    for key in WEIGHTS_UNDER {
        let inside = format!("{key}.");
        if !all.keys().any(|name| name.starts_with(&inside)) {
            continue;
        }
        match PytorchReader::with_top_level_key(path, key) {
            // The key is the beginning of names and not of a dictionary.
            Err(PytorchError::KeyNotFound(_)) => {}
            found => return found.map(PytorchReader::into_tensors),
        }
    }
    Ok(all)
}

fn without_prefix(tensors: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    if !tensors.keys().all(|name| name.starts_with(PARALLEL_PREFIX)) {
        return tensors;
    }
    tensors.into_iter().map(|(name, tensor)| (name[PARALLEL_PREFIX.len()..].to_owned(), tensor)).collect()
}

fn refused(path: &Path, error: &PytorchError) -> VqError {
    VqError::Torch { path: path.to_owned(), reason: error.to_string() }
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}
