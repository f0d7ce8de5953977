//! Reads an object or a part of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{Attributes, Error, GetOptions, GetResult, GetResultPayload, ObjectMeta, Result};

use super::attributes;
use super::body::{Body, Broken};
use super::connection::Connection;
use super::failure::{Failure, Request};

/// Bodies up to this many bytes are handed on when they are whole and checked, so that a corrupted one is fetched again
/// unnoticed. A longer one is handed on as it comes, and ends in an error if its checksum is wrong.
const CHECKED_AHEAD_BYTES: u64 = 8 << 20;

pub async fn get(connection: &Arc<Connection>, location: &Path, options: GetOptions) -> Result<GetResult> {
    if options.head {
        return head(connection, location, &options).await;
    }
    if let Some(range) = &options.range {
        range.is_valid().map_err(|error| Error::Generic { store: "S3", source: error.into() })?;
    }
    let get = Get { connection, request: connection.request("read", "s3:GetObject", location), location, options };
    let answer = get.answer().await.map_err(Failure::into_error)?;
    // Not every store heeds conditions.
    get.options.check_preconditions(&answer.meta)?;
    let (meta, range, attributes) = (answer.meta.clone(), answer.range.clone(), attributes::of(&answer.response));
    let payload = if range.end - range.start <= CHECKED_AHEAD_BYTES {
        let bytes = get.checked(answer).await?;
        stream::once(async move { Ok(bytes) }).boxed()
    } else {
        streamed(get.body(answer))
    };
    Ok(GetResult { payload: GetResultPayload::Stream(payload), meta, range, attributes })
}

struct Get<'a> {
    connection: &'a Arc<Connection>,
    request: Request,
    location: &'a Path,
    options: GetOptions,
}

struct Answer {
    response: GetObjectOutput,
    meta: ObjectMeta,
    range: Range<u64>,
}

impl Get<'_> {
    async fn answer(&self) -> Result<Answer, Failure> {
        let options = &self.options;
        let send = |client: Client| {
            let get = client.get_object().bucket(&self.connection.bucket).key(self.location.as_ref());
            get.set_range(options.range.as_ref().map(ToString::to_string))
                .set_if_match(options.if_match.clone())
                .set_if_none_match(options.if_none_match.clone())
                .set_if_modified_since(options.if_modified_since.map(|time| SystemTime::from(time).into()))
                .set_if_unmodified_since(options.if_unmodified_since.map(|time| SystemTime::from(time).into()))
                .set_version_id(options.version.clone())
                .send()
        };
        let response = self.connection.call(&self.request, send).await?;
        let (range, size) = extent(&self.request, &response, options.range.is_some())?;
        let meta = meta(self.location, size, response.last_modified(), response.e_tag(), response.version_id());
        Ok(Answer { response, meta, range })
    }

    fn body(&self, answer: Answer) -> Body {
        let whole = answer.range.end - answer.range.start == answer.meta.size;
        Body::new(self.connection, &self.request, self.location, answer.range, whole, answer.response)
    }

    /// The whole body, fetched again as long as it comes corrupted.
    async fn checked(&self, mut answer: Answer) -> Result<Bytes> {
        let (e_tag, mut attempt) = (answer.meta.e_tag.clone(), 1);
        loop {
            let cause = match self.body(answer).collect().await {
                Ok(bytes) => return Ok(bytes),
                Err(Broken::Failed(failure)) => return Err(failure.into_error()),
                Err(Broken::Corrupted(cause)) => cause,
            };
            if !self.connection.settings.pause(attempt).await {
                return Err(corrupted(&format!("{cause}, {attempt} times")));
            }
            attempt += 1;
            answer = self.answer().await.map_err(Failure::into_error)?;
            if answer.meta.e_tag != e_tag {
                return Err(Failure::changed(&self.request).into_error());
            }
        }
    }
}

fn corrupted(cause: &str) -> Error {
    Error::Generic { store: "S3", source: cause.into() }
}

fn streamed(body: Body) -> BoxStream<'static, Result<Bytes>> {
    let chunks = stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        match body.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(body))),
            Ok(None) => None,
            Err(Broken::Failed(failure)) => Some((Err(failure.into_error()), None)),
            Err(Broken::Corrupted(cause)) => Some((Err(corrupted(&cause)), None)),
        }
    });
    chunks.boxed()
}

/// Which bytes of the object an answer holds, and the object's size. A server that ignores a range is found out here.
fn extent(request: &Request, response: &GetObjectOutput, part: bool) -> Result<(Range<u64>, u64), Failure> {
    let length = response.content_length().and_then(|length| u64::try_from(length).ok());
    let found = match (part, response.content_range()) {
        (true, Some(range)) => content_range(range),
        (true, None) => None,
        (false, _) => length.map(|length| (0..length, length)),
    };
    match found {
        Some((range, size)) if length.is_none_or(|length| length == range.end - range.start) => Ok((range, size)),
        _ => {
            let (length, range) = (response.content_length(), response.content_range());
            let message = format!("the server's answer does not say what it holds: length {length:?}, range {range:?}");
            Err(Failure::found(request, message))
        }
    }
}

/// The range and size of `bytes 0-9/20`.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (first <= last && last < size).then_some((first..last + 1, size))
}

async fn head(connection: &Arc<Connection>, location: &Path, options: &GetOptions) -> Result<GetResult> {
    let request = connection.request("look at", "s3:GetObject", location);
    let send = |client: Client| {
        let head = client.head_object().bucket(&connection.bucket).key(location.as_ref());
        head.set_if_match(options.if_match.clone())
            .set_if_none_match(options.if_none_match.clone())
            .set_if_modified_since(options.if_modified_since.map(|time| SystemTime::from(time).into()))
            .set_if_unmodified_since(options.if_unmodified_since.map(|time| SystemTime::from(time).into()))
            .set_version_id(options.version.clone())
            .send()
    };
    let response = connection.call(&request, send).await.map_err(Failure::into_error)?;
    let size = response.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
    let meta = meta(location, size, response.last_modified(), response.e_tag(), response.version_id());
    options.check_preconditions(&meta)?;
    let payload = GetResultPayload::Stream(stream::empty().boxed());
    Ok(GetResult { payload, range: 0..size, meta, attributes: Attributes::new() })
}

/// What the trait says about an object, from what the SDK says.
pub fn meta(
    location: &Path,
    size: u64,
    modified: Option<&DateTime>,
    e_tag: Option<&str>,
    version: Option<&str>,
) -> ObjectMeta {
    let modified = modified.and_then(|time| SystemTime::try_from(*time).ok()).unwrap_or(SystemTime::UNIX_EPOCH);
    ObjectMeta {
        location: location.clone(),
        last_modified: modified.into(),
        size,
        e_tag: e_tag.map(str::to_owned),
        version: version.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_names_bytes_and_size() {
        assert_eq!(content_range("bytes 2-4/10"), Some((2..5, 10)));
        assert_eq!(content_range("bytes 2-10/10"), None);
        assert_eq!(content_range("bytes */10"), None);
    }
}
