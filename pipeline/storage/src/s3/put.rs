//! Writes an object at once: over what is there, only if nothing is, or only over a known version.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, PutMode, PutOptions, PutPayload, PutResult, Result};

use super::attributes::{Headers, TOKEN};
use super::connection::Connection;
use super::failure::{Failure, Request};
use crate::create::{Creation, Owner, create};
use crate::random::unique;

pub async fn put(
    connection: &Connection,
    location: &Path,
    payload: PutPayload,
    options: PutOptions,
) -> Result<PutResult> {
    let token = unique();
    let put = Put {
        connection,
        request: connection.request("write", "s3:PutObject", location),
        location,
        bytes: payload.into(),
        headers: Headers::new(&options.attributes, &token)?,
        tags: Some(options.tags.encoded().to_owned()).filter(|tags| !tags.is_empty()),
        token,
    };
    connection.limits.pass(put.bytes.len()).await;
    match options.mode {
        PutMode::Overwrite => put.send(None, None).await.map_err(Failure::into_error),
        PutMode::Update(version) => put.send(version.e_tag, None).await.map_err(Failure::into_error),
        PutMode::Create => create(&connection.settings, &put).await,
    }
}

struct Put<'a> {
    connection: &'a Connection,
    request: Request,
    location: &'a Path,
    bytes: Bytes,
    headers: Headers,
    tags: Option<String>,
    token: String,
}

impl Put<'_> {
    async fn send(&self, if_match: Option<String>, if_none_match: Option<String>) -> Result<PutResult, Failure> {
        let send = |client: Client| {
            let headers = self.headers.clone();
            let put = client.put_object().bucket(&self.connection.bucket).key(self.location.as_ref());
            put.body(ByteStream::from(self.bytes.clone()))
                .set_if_match(if_match.clone())
                .set_if_none_match(if_none_match.clone())
                .set_tagging(self.tags.clone())
                .set_cache_control(headers.cache_control)
                .set_content_disposition(headers.content_disposition)
                .set_content_encoding(headers.content_encoding)
                .set_content_language(headers.content_language)
                .set_content_type(headers.content_type)
                .set_metadata(Some(headers.metadata))
                .send()
        };
        let done = self.connection.call(&self.request, send).await?;
        Ok(PutResult { e_tag: done.e_tag, version: done.version_id })
    }
}

#[async_trait]
impl Creation for Put<'_> {
    async fn write(&self) -> Result<PutResult> {
        self.send(None, Some("*".into())).await.map_err(|failure| match failure.is_in_the_way() {
            true => Error::Precondition { path: failure.request.url.clone(), source: Box::new(failure) },
            false => failure.into_error(),
        })
    }

    async fn owner(&self) -> Owner {
        owner(self.connection, self.location, &self.token).await
    }
}

/// Looks whose object stands at a place.
pub async fn owner(connection: &Connection, location: &Path, token: &str) -> Owner {
    let request = connection.request("look at", "s3:GetObject", location);
    let send = |client: Client| client.head_object().bucket(&connection.bucket).key(location.as_ref()).send();
    match connection.call(&request, send).await {
        Ok(found) if found.metadata().and_then(|all| all.get(TOKEN)).is_some_and(|theirs| theirs == token) => {
            Owner::Us(PutResult { e_tag: found.e_tag, version: found.version_id })
        }
        Ok(_) => Owner::Others,
        Err(failure) if failure.status == Some(404) => Owner::Nobody,
        Err(_) => Owner::Unknown,
    }
}
