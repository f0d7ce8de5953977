//! Byte-level BPE, done fast where the result is sure to be what the Hugging Face crate gives.

mod added;
mod block;
mod encoder;
mod file;
mod kinds;
mod memory;
mod merges;
mod pattern;
mod reader;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use encoder::ByteLevelBpe;
pub(crate) use file::bytes_by_spelling;
