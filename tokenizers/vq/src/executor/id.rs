//! Says what ran.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What made an image's ids of its numbers: stored beside them, since another one may round otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorId {
    /// As settings name it: `cpu`, `onnxruntime`.
    pub name: String,
    /// Of what does the arithmetic: this crate, or the library that was loaded, with its build.
    pub version: String,
    /// Where it ran: `cpu`, `cuda`, `tensorrt`.
    pub device: String,
    /// The number format it computed in: `f32`, `f16`, or `file` where a user's own model decides.
    pub precision: String,
}

impl ExecutorId {
    /// Whether it is the executor that all others are held against: it has the same bits on every machine, and needs no
    /// self-test.
    pub fn is_reference(&self) -> bool {
        self.name == "cpu"
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {} in {}", self.name, self.version, self.device, self.precision)
    }
}
