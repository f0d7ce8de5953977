//! Model files: safetensors, alone or in several files, and what `torch.save` writes.

mod convert;
mod numbers;
mod sharded;
mod stored;
mod take;
#[cfg(test)]
mod tests;
mod torch;

pub use convert::{Converted, Precision, convert};
pub(crate) use stored::{digest, enough_of};
pub(crate) use take::Checkpoint;
