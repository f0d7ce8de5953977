//! What a job says about its object storage: plain data without secrets, which come from where each cloud's tools find them.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::StorageError;
use crate::open::address;
use crate::random::chance;

/// The bytes of a part that S3 and Google take.
const PART_SIZES: RangeInclusive<u64> = 5 << 20..=5 << 30;

/// How buckets are reached and how hard they are used. Credentials never stand here. S3's come from the environment, the
/// shared profile files, SSO, a web identity (IRSA), or the machine's metadata service; Google's and Azure's as
/// [`CloudStore`](crate::CloudStore) says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address of a server other than the cloud's own, such as `http://127.0.0.1:9000`; Azure's with the account in its
    /// path where it has none in its name, as in `http://127.0.0.1:10000/devstoreaccount1`.
    pub endpoint: Option<String>,
    /// The region of S3's buckets. Unset: what the environment or the profile says; with an endpoint, else `us-east-1`.
    pub region: Option<String>,
    /// Whether S3's buckets stand in the path instead of the host name. Unset: yes if there is an endpoint.
    pub path_style: Option<bool>,
    /// The profile of the shared AWS files whose credentials are used. Unset: what `AWS_PROFILE` says.
    pub profile: Option<String>,
    /// No more requests than this are under way at once.
    pub max_concurrency: NonZeroUsize,
    /// Bodies read and written together stay below this rate. Unset: no limit.
    pub bandwidth_bytes_per_second: Option<NonZeroU64>,
    /// A server that can't be reached within this time is tried again.
    pub connect_timeout_seconds: NonZeroU32,
    /// A request that is not answered within this time, its body included, is sent again.
    pub request_timeout_seconds: NonZeroU32,
    /// A body of which less than 1 KiB per second arrives over this time is read on over a new connection. S3 alone: Google's
    /// and Azure's are read on when a request has taken its time.
    pub stall_timeout_seconds: NonZeroU32,
    /// A request is sent this often before it counts as failed.
    pub attempts: NonZeroU32,
    /// The pause before the second attempt, in milliseconds; it doubles from there, up to 20 seconds.
    pub pause_milliseconds: u32,
    /// Files written piece by piece are sent in parts of this size, in bytes; S3 and Google take 5 MiB to 5 GiB, 10,000 of them.
    pub part_size: NonZeroUsize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            path_style: None,
            profile: None,
            max_concurrency: nonzero(64),
            bandwidth_bytes_per_second: None,
            connect_timeout_seconds: NonZeroU32::MIN.saturating_add(4),
            request_timeout_seconds: NonZeroU32::MIN.saturating_add(59),
            stall_timeout_seconds: NonZeroU32::MIN.saturating_add(19),
            attempts: NonZeroU32::MIN.saturating_add(6),
            pause_milliseconds: 200,
            part_size: nonzero(8 << 20),
        }
    }
}

fn nonzero(value: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(value - 1)
}

impl Settings {
    /// The longest pause between two attempts.
    pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(20);

    /// The pause after an attempt that failed, the first of which is number 1.
    pub(crate) fn pause_after(&self, attempt: u32) -> Duration {
        let pause = Duration::from_millis(self.pause_milliseconds.into());
        pause.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(Self::LONGEST_PAUSE)
    }

    /// Waits before another attempt of a caller's own; the first that failed is number 1. False if there is none left.
    pub(crate) async fn pause(&self, attempt: u32) -> bool {
        if attempt >= self.attempts.get() {
            return false;
        }
        // Requests that were refused together don't come back together.
        tokio::time::sleep(self.pause_after(attempt).mul_f64(0.5 + chance() / 2.0)).await;
        true
    }

    /// What no bucket could be reached or written with; without repeating any secret in an endpoint.
    pub fn check(&self) -> Result<(), StorageError> {
        let part_size = self.part_size.get();
        if !PART_SIZES.contains(&(part_size as u64)) {
            return Err(StorageError::Setting {
                name: "part_size",
                problem: format!("is {part_size}, but S3 and Google take parts of 5 MiB to 5 GiB"),
                remedy: "write a number of bytes from 5_242_880 to 5_368_709_120",
            });
        }
        self.endpoint.as_deref().map_or(Ok(()), check_endpoint)
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.stall_timeout_seconds.get()))
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), StorageError> {
    let remedy = "write `https://host:port`, without user name and password";
    let Ok(url) = Url::parse(endpoint) else {
        // What can't be parsed may hold a password anywhere, so it's not repeated.
        return Err(StorageError::Address { url: "endpoint".into(), problem: "it is not a URL", remedy });
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(address(&url, "credentials don't belong into an address", remedy));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let remedy = "write `https://host:port`, and set `AZURE_STORAGE_SAS_TOKEN` to what stands behind the `?`";
        return Err(address(&url, "an endpoint has no query", remedy));
    }
    match url.scheme() {
        "http" | "https" => Ok(()),
        _ => Err(address(&url, "an endpoint is reached over HTTP", remedy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_nobody_knows_are_refused() {
        let refused = toml::from_str::<Settings>("secret_access_key = 'x'").unwrap_err();
        assert!(refused.to_string().contains("unknown field `secret_access_key`"), "{refused}");
    }

    #[test]
    fn settings_survive_their_text() {
        let settings = Settings { endpoint: Some("http://[::1]:9000".into()), ..Settings::default() };
        assert_eq!(toml::from_str::<Settings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
    }

    #[test]
    fn parts_that_no_store_takes_are_refused() {
        let check = |bytes| Settings { part_size: nonzero(bytes), ..Settings::default() }.check();
        assert!(check(5 << 20).is_ok() && check(5 << 30).is_ok());
        let refused = [1000, (5 << 30) + 1].map(|bytes| check(bytes).unwrap_err().to_string());
        assert!(refused[0].starts_with("`part_size` is 1000,") && refused[1].contains("5_368_709_120"), "{refused:?}");
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let pauses: Vec<_> = [1, 2, 3, 99].map(|attempt| Settings::default().pause_after(attempt)).into();
        assert_eq!(pauses, [200, 400, 800, 20_000].map(Duration::from_millis));
    }
}
