//! ONNX Runtime: runs plans as ONNX graphs, and models that come as ONNX files.
//!
//! Its library is opened when an executor is made, from where settings or `ORT_DYLIB_PATH` say; nothing is fetched or linked.

mod executor;
mod file;
mod graph;
mod plan;
mod protobuf;
mod quantiser;
mod queue;
mod runtime;
#[cfg(test)]
mod tests;
mod transformer;

pub(crate) use executor::OnnxExecutor;
pub(crate) use file::OnnxFile;
#[cfg(test)]
pub(crate) use tests::library_for_tests;
