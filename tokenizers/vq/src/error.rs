//! What can be wrong with a VQ model or with what it is asked.

use std::path::PathBuf;

use super::executor::ExecutorId;
use super::selftest::Selftest;
use super::tokenizer::ImageSize;

/// Names the file and the tensor or setting that is wrong, and what was there.
#[derive(Debug, thiserror::Error)]
pub enum VqError {
    /// A file of the model can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `config.json` isn't JSON, lacks a setting, or says something that can't be built.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The model file isn't a whole safetensors file, or not the index of several.
    #[error("{} isn't a whole safetensors file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What its reader says.
        reason: String,
    },
    /// A PyTorch checkpoint is damaged, or holds weights in a way that can't be read without running Python.
    #[error("{} can't be read as a PyTorch checkpoint: {reason}", path.display())]
    Torch {
        /// The file.
        path: PathBuf,
        /// What its reader says.
        reason: String,
    },
    /// A file can't be written.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration asks for tensors that the model file doesn't have.
    #[error("{} lacks the tensors {}, which config.json asks for", path.display(), names.join(", "))]
    MissingTensors {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The model file has encoder tensors that the configuration doesn't ask for.
    #[error("{} has the tensors {}, which config.json doesn't account for", path.display(), names.join(", "))]
    UnknownTensors {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{}: the tensor {name} has the shape {found:?}, but config.json asks for {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// In the file.
        found: Vec<usize>,
        /// By the configuration.
        expected: Vec<usize>,
    },
    /// A tensor isn't stored as numbers that can be read, or holds something that is no number.
    #[error("{}: the tensor {name} {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model file has an encoder alone.
    #[error("{} has no decoder", path.display())]
    NoDecoder {
        /// The file.
        path: PathBuf,
    },
    /// The model has a decoder that can't be built, unlike its encoder.
    #[error("the decoder can't be built: {reason}")]
    Decoder {
        /// What is wrong.
        reason: String,
    },
    /// An executor isn't in this build or on this machine, or can't do what it is asked.
    #[error("the executor {executor} can't be used: {reason}")]
    Executor {
        /// As settings name it.
        executor: String,
        /// Why.
        reason: String,
    },
    /// An executor failed while it encoded.
    #[error("{executor} failed: {reason}")]
    Failed {
        /// What ran.
        executor: ExecutorId,
        /// What it says.
        reason: String,
    },
    /// An executor gives other ids than the CPU does, by more than rounding explains.
    #[error("{0}")]
    Selftest(Box<Selftest>),
    /// An image to encode has another number of bytes than the model takes.
    #[error("image {index} has {found} bytes, but {expected} make an RGB image of {} x {} pixels", size.width, size.height)]
    ImageBytes {
        /// Its place in the call.
        index: usize,
        /// Its bytes.
        found: usize,
        /// The bytes it should have.
        expected: usize,
        /// What the model takes.
        size: ImageSize,
    },
    /// Ids to decode are too few, too many or too large.
    #[error("ids {index} are {found} up to {largest}, but an image takes {expected} below {codebook_size}")]
    Ids {
        /// Their place in the call.
        index: usize,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
        /// The largest of them.
        largest: u32,
        /// What they are below.
        codebook_size: u32,
    },
}
