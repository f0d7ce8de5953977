//! Bounds on what all requests of a store use together: how many are under way, and how many bytes pass per second.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::settings::Settings;

/// The bounds of one store.
#[derive(Debug)]
pub struct Limits {
    requests: Semaphore,
    bandwidth: Option<Bandwidth>,
}

impl Limits {
    /// The bounds that settings name.
    pub fn new(settings: &Settings) -> Self {
        let requests = Semaphore::new(settings.max_concurrency.get().min(Semaphore::MAX_PERMITS));
        Self { requests, bandwidth: settings.bandwidth_bytes_per_second.map(Bandwidth::new) }
    }

    /// Waits for a request's turn, which ends when what it gets is dropped.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so there always is one.
        self.requests.acquire().await.ok()
    }

    /// Waits until so many more bytes may pass.
    pub async fn pass(&self, bytes: usize) {
        if let Some(bandwidth) = &self.bandwidth {
            tokio::time::sleep_until(bandwidth.book(bytes)).await;
        }
    }
}

/// A road on which bytes go one after another at a steady rate.
#[derive(Debug)]
struct Bandwidth {
    bytes_per_second: NonZeroU64,
    free_from: Mutex<Option<Instant>>,
}

impl Bandwidth {
    fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, free_from: Mutex::new(None) }
    }

    /// When the bytes may set out: as soon as those booked before are through.
    fn book(&self, bytes: usize) -> Instant {
        let now = Instant::now();
        let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free_from.map_or(now, |free| free.max(now));
        let seconds = bytes as f64 / self.bytes_per_second.get() as f64;
        *free_from = Some(start + Duration::from_secs_f64(seconds));
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_set_out_when_those_before_are_through() {
        let road = Bandwidth::new(NonZeroU64::new(1000).unwrap());
        let first = road.book(500);
        let second = road.book(1000);
        let third = road.book(1);
        assert_eq!([second - first, third - second], [500, 1000].map(Duration::from_millis));
    }
}
