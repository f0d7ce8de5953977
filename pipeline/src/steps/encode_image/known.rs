//! Codes of images that were encoded a while ago, within bounded memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One image's codes.
pub type Codes = Arc<[u32]>;

/// Codes by what they were encoded from. Two generations: when the young one is full it becomes the old one, and the old
/// one goes; what is asked for becomes young again.
#[derive(Debug, Default)]
pub struct Known(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<[u8; 32], Codes>,
    old: HashMap<[u8; 32], Codes>,
    /// Codes in the young generation.
    codes: usize,
}

/// The most codes of a generation: 16 MiB of them.
const MOST_CODES: usize = 4 << 20;

impl Known {
    /// The codes of what was encoded from this, if that is not too long ago.
    pub fn of(&self, from: &[u8; 32]) -> Option<Codes> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(codes) = known.young.get(from) {
            return Some(codes.clone());
        }
        let codes = known.old.remove(from)?;
        known.insert(*from, &codes);
        Some(codes)
    }

    /// Remembers codes.
    pub fn learn(&self, from: [u8; 32], codes: &Codes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(from, codes);
    }
}

impl Generations {
    fn insert(&mut self, from: [u8; 32], codes: &Codes) {
        if self.codes + codes.len() > MOST_CODES {
            self.old = std::mem::take(&mut self.young);
            self.codes = 0;
        }
        if self.young.insert(from, codes.clone()).is_none() {
            self.codes += codes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(number: usize) -> [u8; 32] {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_goes() {
        let known = Known::default();
        let each: Codes = vec![0; MOST_CODES / 4].into();
        known.learn(from(0), &each);
        for number in 1..20 {
            known.learn(from(number), &each);
            assert!(known.of(&from(0)).is_some(), "after {number}");
        }
        assert!(known.of(&from(1)).is_none() && known.of(&from(19)).is_some());
        let held = known.0.lock().unwrap();
        assert!(held.young.len() + held.old.len() <= 8);
    }
}
