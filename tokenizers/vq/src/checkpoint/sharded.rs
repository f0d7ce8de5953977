//! The tensors of a model that is split over several safetensors files, of which only what is asked for is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;
use serde::Deserialize;

use super::stored::Kind;
use crate::error::VqError;

/// What the names of indices end with, as transformers and diffusers write them.
pub(super) const INDEX_ENDING: &str = ".safetensors.index.json";

/// Bytes before a safetensors header, which are its length.
const LENGTH_BYTES: u64 = 8;
/// As safetensors' own reader has it.
const LARGEST_HEADER: u64 = 100_000_000;

/// An index, and the headers of those of its files that are there.
pub(super) struct ShardedTensors {
    folder: PathBuf,
    /// The file of each tensor.
    files: BTreeMap<String, String>,
    headers: BTreeMap<String, Header>,
}

struct Header {
    metadata: Metadata,
    /// Where the tensors begin.
    start: u64,
}

/// What `save_pretrained` writes, without its `metadata`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Whether a file is an index, by its name.
pub(super) fn is_index(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(INDEX_ENDING))
}

impl ShardedTensors {
    /// The tensors that the index `path` lists, whose content is `bytes`. A file that isn't there is only missed if one of
    /// its tensors is asked for, so that a large model needn't be there whole.
    pub fn open(path: &Path, bytes: &[u8]) -> Result<Self, VqError> {
        let refuse = |reason: String| VqError::Format { path: path.to_owned(), reason };
        let Index { weight_map: files } = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut headers = BTreeMap::new();
        for name in files.values().collect::<BTreeSet<_>>() {
            if Path::new(name).file_name().is_none_or(|file| file != name.as_str()) {
                return Err(refuse(format!("names {name:?}, which is no file beside it")));
            }
            let part = folder.join(name);
            if part.exists() {
                headers.insert(name.clone(), Header::read(&part)?);
            }
        }
        Ok(Self { folder, files, headers })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn kind(&self, name: &str) -> Option<Kind> {
        let info = self.headers.get(self.files.get(name)?)?.metadata.info(name)?;
        Some(Kind { dtype: info.dtype, shape: info.shape.clone() })
    }

    /// Where the index has a tensor that isn't there, behind its name.
    pub fn whereabouts(&self, name: &str) -> String {
        match self.files.get(name) {
            Some(file) if self.headers.contains_key(file) => format!(" (which the index has in {file})"),
            Some(file) => format!(" (in {file}, a file that isn't there)"),
            None => String::new(),
        }
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let file = self.files.get(name).ok_or("isn't there")?;
        let header = self.headers.get(file).ok_or_else(|| format!("is in {file}, which isn't there"))?;
        let info = header.metadata.info(name).ok_or_else(|| format!("isn't in {file}, where the index has it"))?;
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        let read = File::open(self.folder.join(file)).and_then(|mut file| {
            file.seek(SeekFrom::Start(header.start + start as u64))?;
            file.read_exact(&mut bytes)
        });
        read.map_err(|error| format!("can't be read from {file}: {error}"))?;
        Ok(bytes)
    }
}

impl Header {
    /// Whatever the file says, no more is read than its header, and that is within the file.
    fn read(path: &Path) -> Result<Self, VqError> {
        let failed = |source| VqError::Read { path: path.to_owned(), source };
        let refuse = |reason: String| VqError::Format { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(failed)?;
        let file_length = file.metadata().map_err(failed)?.len();
        let mut length = [0; LENGTH_BYTES as usize];
        file.read_exact(&mut length).map_err(|error| refuse(error.to_string()))?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER.min(file_length) {
            return Err(refuse(format!("its header would have {length} bytes, but the file has {file_length}")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|error| refuse(error.to_string()))?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| refuse(error.to_string()))?;
        let start = LENGTH_BYTES + length;
        let expected = start.saturating_add(metadata.data_len() as u64);
        if expected != file_length {
            return Err(refuse(format!("it has {file_length} bytes, but its header accounts for {expected}")));
        }
        Ok(Self { metadata, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_told_by_its_name() {
        assert!(is_index(Path::new("a/model.safetensors.index.json")));
        assert!(is_index(Path::new("diffusion_pytorch_model.fp16.safetensors.index.json")));
        assert!(!is_index(Path::new("a/config.json")) && !is_index(Path::new("a/model.safetensors")));
    }
}
