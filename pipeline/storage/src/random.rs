//! Names that no two processes or calls share, and chance. Neither decides about any byte of any output.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A name of hexadecimal digits that nobody else has.
pub fn unique() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:016x}{:016x}-{:x}", now.as_nanos(), random(), random(), CALLS.fetch_add(1, Ordering::Relaxed))
}

/// A number from 0 to 1 that nobody can tell before.
pub fn chance() -> f64 {
    random() as f64 / u64::MAX as f64
}

/// The standard library's hash keys are the operating system's random numbers.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
