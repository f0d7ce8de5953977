//! Executors: each runs the operations of a plan.

mod id;
mod settings;

use std::fmt::Debug;

pub use id::ExecutorId;
pub use settings::{Arithmetic, Device, ExecutorSettings};

use crate::cpu::CpuExecutor;
use crate::error::VqError;
use crate::plan::Plan;

/// Every executor of this build, by the name that settings have for it. A new one (a native CUDA executor, say) is a folder
/// beside `cpu` and `onnx`, and a line here.
pub(crate) const EXECUTORS: &[Registered] = &[
    Registered { name: "cpu", new: CpuExecutor::boxed },
    #[cfg(feature = "onnxruntime")]
    Registered { name: "onnxruntime", new: crate::onnx::OnnxExecutor::boxed },
];

/// Makes an executor of a plan, or says why this machine or these settings can't have it.
type New = fn(Plan, &ExecutorSettings) -> Result<Box<dyn Executor>, VqError>;

/// An executor that settings can name.
pub(crate) struct Registered {
    pub name: &'static str,
    pub new: New,
}

/// Runs one plan, fixed when the executor was made.
///
/// What an image becomes never depends on what else is in the call, nor on the calls of other threads.
pub(crate) trait Executor: Debug + Send + Sync {
    /// What it is, recorded beside the ids.
    fn id(&self) -> &ExecutorId;
    /// The ids of each image, in raster order. Each image has `width · height · 3` bytes.
    fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError>;
    /// The most bytes of this machine's memory that encoding on so many threads at once holds, beside the weights; zero
    /// where nobody knows.
    fn working_bytes(&self, threads: usize) -> u64;
    /// The numbers of each image that become ids, place by place; nothing where a user's model keeps them to itself.
    fn features(&self, images: &[&[u8]]) -> Result<Option<Vec<Vec<f32>>>, VqError>;
}
