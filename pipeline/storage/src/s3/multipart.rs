//! Writes an object in parts that are sent side by side; it is seen whole or not at all.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutMultipartOptions, PutPayload, PutResult, Result, UploadPart};
use tokio::runtime::Handle;

use super::attributes::Headers;
use super::connection::Connection;
use super::failure::{Failure, Request};
use super::put::owner;
use crate::create::Owner;
use crate::random::unique;

pub async fn start(
    connection: &Arc<Connection>,
    location: &Path,
    options: PutMultipartOptions,
) -> Result<Box<dyn MultipartUpload>> {
    let token = unique();
    let headers = Headers::new(&options.attributes, &token)?;
    let tags = Some(options.tags.encoded().to_owned()).filter(|tags| !tags.is_empty());
    let request = connection.request("write", "s3:PutObject", location);
    let send = |client: Client| {
        let headers = headers.clone();
        let create = client.create_multipart_upload().bucket(&connection.bucket).key(location.as_ref());
        create
            .set_checksum_algorithm(part_checksums(&client))
            .set_tagging(tags.clone())
            .set_cache_control(headers.cache_control)
            .set_content_disposition(headers.content_disposition)
            .set_content_encoding(headers.content_encoding)
            .set_content_language(headers.content_language)
            .set_content_type(headers.content_type)
            .set_metadata(Some(headers.metadata))
            .send()
    };
    let created = connection.call(&request, send).await.map_err(Failure::into_error)?;
    let Some(id) = created.upload_id else {
        return Err(Failure::found(&request, "the store named no upload").into_error());
    };
    let target = Target { connection: connection.clone(), request, location: location.clone(), id, token };
    Ok(Box::new(Upload {
        target: Arc::new(target),
        parts: Arc::default(),
        numbers: 0,
        pending: BytesMut::new(),
        state: State::Open,
    }))
}

/// Which checksums the SDK will send with parts. S3 refuses those that an upload did not announce
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>).
fn part_checksums(client: &Client) -> Option<ChecksumAlgorithm> {
    let when = client.config().request_checksum_calculation();
    (when != Some(&RequestChecksumCalculation::WhenRequired)).then_some(ChecksumAlgorithm::Crc32)
}

/// An object in the making.
struct Target {
    connection: Arc<Connection>,
    request: Request,
    location: Path,
    id: String,
    token: String,
}

impl Target {
    async fn send(&self, number: i32, bytes: Bytes) -> Result<CompletedPart> {
        self.connection.limits.pass(bytes.len()).await;
        let send = |client: Client| {
            let part = client.upload_part().bucket(&self.connection.bucket).key(self.location.as_ref());
            part.upload_id(&self.id).part_number(number).body(ByteStream::from(bytes.clone())).send()
        };
        let sent = self.connection.call(&self.request, send).await.map_err(Failure::into_error)?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
        let part = part.set_checksum_crc32(sent.checksum_crc32).set_checksum_crc32_c(sent.checksum_crc32_c);
        Ok(part.set_checksum_crc64_nvme(sent.checksum_crc64_nvme).build())
    }

    async fn complete(&self, parts: Vec<CompletedPart>) -> Result<PutResult> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let send = |client: Client| {
            let complete = client.complete_multipart_upload().bucket(&self.connection.bucket);
            complete.key(self.location.as_ref()).upload_id(&self.id).multipart_upload(parts.clone()).send()
        };
        let failure = match self.connection.call(&self.request, send).await {
            Ok(done) => return Ok(PutResult { e_tag: done.e_tag, version: done.version_id }),
            Err(failure) => failure,
        };
        // The answer of an attempt before may have got lost, after which the upload is not known any more.
        match owner(&self.connection, &self.location, &self.token).await {
            Owner::Us(done) => Ok(done),
            _ => Err(failure.into_error()),
        }
    }

    async fn abort(&self) -> Result<()> {
        let send = |client: Client| {
            let abort = client.abort_multipart_upload().bucket(&self.connection.bucket);
            abort.key(self.location.as_ref()).upload_id(&self.id).send()
        };
        match self.connection.call(&self.request, send).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.status == Some(404) => Ok(()),
            Err(failure) => Err(failure.into_error()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

struct Upload {
    target: Arc<Target>,
    parts: Arc<Mutex<Vec<CompletedPart>>>,
    /// How many parts have a number.
    numbers: i32,
    /// Bytes too few for a part: S3 refuses small ones but the last, and some stores want all of one size.
    pending: BytesMut,
    state: State,
}

impl Upload {
    fn part(&mut self, bytes: Bytes) -> impl Future<Output = Result<()>> + use<> {
        self.numbers += 1;
        let (target, parts, number) = (self.target.clone(), self.parts.clone(), self.numbers);
        async move {
            let part = target.send(number, bytes).await?;
            parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
            Ok(())
        }
    }

    /// The parts in order. One that failed or was not waited for must not be missing in silence.
    fn all_parts(&self) -> Result<Vec<CompletedPart>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        parts.sort_by_key(CompletedPart::part_number);
        if parts.len() == usize::try_from(self.numbers).unwrap_or_default() {
            return Ok(parts);
        }
        let message = format!("only {} of {} parts were sent", parts.len(), self.numbers);
        Err(Failure::found(&self.target.request, message).into_error())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upload").field("to", &self.target.request.url).field("parts", &self.numbers).finish()
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        for bytes in data {
            self.pending.extend_from_slice(&bytes);
        }
        let size = self.target.connection.settings.part_size.get();
        let mut sent = Vec::new();
        while self.pending.len() >= size {
            let bytes = self.pending.split_to(size).freeze();
            sent.push(self.part(bytes));
        }
        Box::pin(async move { try_join_all(sent).await.map(drop) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.state == State::Ended {
            let message = "the upload was completed or given up before";
            return Err(Error::Generic { store: "S3", source: message.into() });
        }
        if !self.pending.is_empty() || self.numbers == 0 {
            let bytes = self.pending.split().freeze();
            self.part(bytes).await?;
        }
        let done = self.target.complete(self.all_parts()?).await?;
        self.state = State::Ended;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.state = State::Ended;
        self.target.abort().await
    }
}

impl Drop for Upload {
    /// Parts of an upload that nobody ends are stored, and paid for, until somebody deletes them.
    fn drop(&mut self) {
        if self.state == State::Open
            && let Ok(runtime) = Handle::try_current()
        {
            let target = self.target.clone();
            // Best effort: nobody is left to tell of a failure.
            runtime.spawn(async move { drop(target.abort().await) });
        }
    }
}
