//! What a job says about its object storage: plain data without secrets, which come from where each cloud's tools find them.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How buckets are reached and how hard they are used. Credentials never stand here. S3's come from the environment, the
/// shared profile files, SSO, a web identity (IRSA), or the machine's metadata service; Google's and Azure's as
/// [`CloudStore`](crate::CloudStore) says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// No more requests than this are under way at once; listings of Google's and Azure's are not counted.
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

    /// What is wrong with the endpoint, if there is one; without repeating any secret in it.
    pub fn check(&self) -> Result<(), crate::StorageError> {
        self.endpoint.as_deref().map_or(Ok(()), crate::s3::check_endpoint)
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.stall_timeout_seconds.get()))
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
    fn pauses_double_up_to_a_bound() {
        let pauses: Vec<_> = [1, 2, 3, 99].map(|attempt| Settings::default().pause_after(attempt)).into();
        assert_eq!(pauses, [200, 400, 800, 20_000].map(Duration::from_millis));
    }
}
