//! An object's bytes as they come, over as many connections as it takes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use object_store::path::Path;
use tokio::time::Instant;

use super::checksum::Checksum;
use super::connection::Connection;
use super::failure::{Failure, Request};
use crate::error::causes;

/// A body that brings less than this per second for as long as the stall timeout is taken for dead.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024;

/// After so many bytes, a body that broke has all its attempts again.
const PROGRESS_BYTES: u64 = 1 << 20;

/// Why a body ended too early.
pub enum Broken {
    /// All attempts are used up, or the object is no longer the one that was begun.
    Failed(Failure),
    /// All bytes came, but they are not those that were stored.
    Corrupted(String),
}

/// The rest of an object's bytes.
pub struct Body {
    connection: Arc<Connection>,
    request: Request,
    key: String,
    e_tag: Option<String>,
    version: Option<String>,
    /// The bytes still to come.
    rest: Range<u64>,
    stream: Option<ByteStream>,
    checksum: Option<Checksum>,
    attempt: u32,
    since_break: u64,
    pace: Pace,
}

impl Body {
    /// The body of an answer which holds this range of an object.
    pub fn new(
        connection: &Arc<Connection>,
        request: &Request,
        location: &Path,
        range: Range<u64>,
        whole: bool,
        response: GetObjectOutput,
    ) -> Self {
        Self {
            connection: connection.clone(),
            request: request.clone(),
            key: location.to_string(),
            e_tag: response.e_tag.clone(),
            version: response.version_id.clone(),
            rest: range,
            checksum: Checksum::stated(&response).filter(|_| whole),
            stream: Some(response.body),
            attempt: 1,
            since_break: 0,
            pace: Pace::default(),
        }
    }

    /// The next bytes; none at the end, when they are known to be those that were stored, as far as the server said.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        while !self.rest.is_empty() {
            let stream = match self.stream.take() {
                Some(stream) => stream,
                // The SDK made all attempts at this request already.
                None => self.reopen().await.map_err(Broken::Failed)?,
            };
            match self.receive(stream).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(cause) => self.broken(cause).await?,
            }
        }
        self.check_end().await?;
        Ok(None)
    }

    /// All bytes at once.
    pub async fn collect(mut self) -> Result<Bytes, Broken> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.rest.end - self.rest.start).unwrap_or_default());
        while let Some(chunk) = self.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }

    /// The next bytes of a stream, which is kept if it is as good as before.
    async fn receive(&mut self, mut stream: ByteStream) -> Result<Bytes, String> {
        let stall_timeout = self.connection.settings.stall_timeout();
        // A body that nobody waits for takes no turn from others.
        let turn = self.connection.limits.turn().await;
        let asked = Instant::now();
        let received = tokio::time::timeout(stall_timeout, stream.next()).await;
        drop(turn);
        let bytes = match received {
            Ok(Some(Ok(bytes))) => bytes,
            Ok(Some(Err(error))) => return Err(causes(&error)),
            Ok(None) => return Err("the body is shorter than its server announced".into()),
            Err(_) => return Err(format!("no byte came within {} s", stall_timeout.as_secs())),
        };
        if bytes.len() as u64 > self.rest.end - self.rest.start {
            return Err("the body is longer than its server announced".into());
        }
        self.pace.check(bytes.len() as u64, asked.elapsed(), stall_timeout)?;
        self.stream = Some(stream);
        self.connection.limits.pass(bytes.len()).await;
        self.accept(&bytes);
        Ok(bytes)
    }

    fn accept(&mut self, bytes: &Bytes) {
        self.rest.start += bytes.len() as u64;
        self.since_break += bytes.len() as u64;
        if self.since_break >= PROGRESS_BYTES {
            self.attempt = 1;
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
    }

    async fn broken(&mut self, cause: String) -> Result<(), Broken> {
        self.pace = Pace::default();
        self.since_break = 0;
        if self.connection.settings.pause(self.attempt).await {
            self.attempt += 1;
            return Ok(());
        }
        let message = format!("after {} attempts at byte {}: {cause}", self.attempt, self.rest.start);
        Err(Broken::Failed(Failure::found(&self.request, message)))
    }

    /// The rest, of the same object and no other.
    async fn reopen(&self) -> Result<ByteStream, Failure> {
        let range = format!("bytes={}-{}", self.rest.start, self.rest.end - 1);
        let send = |client: aws_sdk_s3::Client| {
            let get = client.get_object().bucket(&self.connection.bucket).key(&self.key).range(&range);
            get.set_if_match(self.e_tag.clone()).set_version_id(self.version.clone()).send()
        };
        let response = self.connection.call(&self.request, send).await?;
        // Not every store heeds `If-Match`.
        if response.e_tag != self.e_tag {
            return Err(Failure::changed(&self.request));
        }
        let expected = format!("bytes {}-{}/", self.rest.start, self.rest.end - 1);
        match response.content_range() {
            Some(range) if range.starts_with(&expected) => Ok(response.body),
            other => Err(Failure::found(&self.request, format!("asked for {range}, the server sent {other:?}"))),
        }
    }

    /// The SDK compares a checksum when a body that came over one connection ends; we do when it came over several.
    async fn check_end(&mut self) -> Result<(), Broken> {
        let corrupted = |cause: &str| Err(Broken::Corrupted(format!("{} came corrupted: {cause}", self.request.url)));
        if self.checksum.take().is_some_and(|checksum| !checksum.holds()) {
            return corrupted("its checksum is not the one that is stored with it");
        }
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        match tokio::time::timeout(self.connection.settings.stall_timeout(), stream.next()).await {
            Ok(None) | Err(_) => Ok(()),
            Ok(Some(Ok(more))) if more.is_empty() => Ok(()),
            Ok(Some(Ok(_))) => corrupted("it is longer than its server announced"),
            Ok(Some(Err(error))) => corrupted(&causes(&error)),
        }
    }
}

/// How fast a body comes, by the time that was spent waiting for it.
#[derive(Debug, Default)]
struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    fn check(&mut self, bytes: u64, waited: Duration, stall_timeout: Duration) -> Result<(), String> {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < stall_timeout {
            return Ok(());
        }
        let slowest = SLOWEST_BYTES_PER_SECOND * self.waited.as_secs();
        let came = std::mem::take(self).bytes;
        if came < slowest {
            Err(format!("only {came} bytes came within {} s", stall_timeout.as_secs()))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_trickles_is_dead_after_the_stall_timeout() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        assert!(pace.check(100, second, 2 * second).is_ok());
        assert!(pace.check(100, second, 2 * second).is_err());
    }

    #[test]
    fn a_body_that_flows_lives() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        for _ in 0..10 {
            assert!(pace.check(1024, second, 2 * second).is_ok());
        }
    }
}
