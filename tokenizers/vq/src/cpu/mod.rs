//! Runs a plan on the CPU: single precision, one image after another.
//!
//! Every sum is taken in an order of its own, whatever the width of the processor's vectors, and products are fused into
//! sums everywhere; so an image has the same features on every machine and for every number of threads.

mod activation;
mod attention;
mod conv;
mod decoder;
mod executor;
mod matrix;
mod norm;
mod resample;
mod style;
mod table;
mod transformer;
mod walk;
mod winograd;

#[cfg(test)]
pub(super) use activation::Buffers;
pub(super) use decoder::CpuDecoder;
pub(super) use executor::CpuExecutor;
pub(super) use table::Table;
