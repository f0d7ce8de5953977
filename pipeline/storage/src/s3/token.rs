//! Names that no two processes or calls share.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Under this name, an object's metadata says which call made it.
pub const TOKEN: &str = "pageloom-token";

/// A name of hexadecimal digits that nobody else has. It decides about no byte of any output.
pub fn unique() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:016x}{:016x}-{:x}", now.as_nanos(), random(), random(), CALLS.fetch_add(1, Ordering::Relaxed))
}

/// A number from 0 to 1 that nobody can tell before. It decides about no byte of any output.
pub fn chance() -> f64 {
    random() as f64 / u64::MAX as f64
}

/// The standard library's hash keys are the operating system's random numbers.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
