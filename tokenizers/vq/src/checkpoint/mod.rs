//! Model files: safetensors, and what `torch.save` writes.

mod convert;
mod numbers;
mod stored;
mod take;
#[cfg(test)]
mod tests;
mod torch;

pub use convert::{Converted, Precision, convert};
pub(crate) use take::Checkpoint;
