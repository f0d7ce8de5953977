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
    // The standard library's hash keys are the operating system's random numbers.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:x}-{:016x}{:016x}-{:x}", now.as_nanos(), random(), random(), CALLS.fetch_add(1, Ordering::Relaxed))
}
