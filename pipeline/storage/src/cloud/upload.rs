//! Writes an object in parts that are sent side by side; it is seen whole or not at all.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::ready;
use object_store::path::Path;
use object_store::{
    Error, MultipartUpload, PutMultipartOptions, PutPayload, PutPayloadMut, PutResult, Result, UploadPart,
};
use tokio::runtime::Handle;

use super::connection::Connection;
use super::put::{TOKEN, owner};
use crate::create::Owner;
use crate::random::unique;

pub async fn start(
    connection: &Arc<Connection>,
    location: &Path,
    mut options: PutMultipartOptions,
) -> Result<Box<dyn MultipartUpload>> {
    let token = unique();
    options.attributes.insert(TOKEN, token.clone().into());
    let client = connection.patient();
    let parts = connection.turn(client.put_multipart_opts(location, options)).await?;
    let (connection, location) = (connection.clone(), location.clone());
    Ok(Box::new(Upload { connection, location, token, parts: Some(parts), pending: PutPayloadMut::new() }))
}

/// An object in the making, whose parts are not smaller than the settings say, whoever writes it: Google takes none below
/// 5 MiB but the last.
struct Upload {
    connection: Arc<Connection>,
    location: Path,
    token: String,
    /// Until it is completed or given up.
    parts: Option<Box<dyn MultipartUpload>>,
    pending: PutPayloadMut,
}

impl Upload {
    fn send(&mut self) -> UploadPart {
        let payload = std::mem::take(&mut self.pending).freeze();
        let (connection, length) = (self.connection.clone(), payload.content_length());
        let Some(parts) = &mut self.parts else { return ready(Err(ended())).boxed() };
        let sent = parts.put_part(payload);
        async move {
            connection.limits.pass(length).await;
            connection.turn(sent).await
        }
        .boxed()
    }
}

fn ended() -> Error {
    let message = "the upload was completed or given up before";
    Error::Generic { store: "cloud", source: message.into() }
}

/// Without what the client holds, so that no secret can get into a log.
impl fmt::Debug for Upload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Upload").field(&self.connection.address).finish()
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        for bytes in payload {
            self.pending.push(bytes);
        }
        if self.pending.content_length() < self.connection.settings.part_size.get() {
            return ready(Ok(())).boxed();
        }
        self.send()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if !self.pending.is_empty() {
            self.send().await?;
        }
        let Some(parts) = &mut self.parts else { return Err(ended()) };
        let done = match self.connection.turn(parts.complete()).await {
            Ok(done) => done,
            // The answer of an attempt before may have got lost, after which the upload is not known any more.
            Err(error) => match owner(&self.connection, &self.location, &self.token).await {
                Owner::Us(done) => done,
                _ => return Err(error),
            },
        };
        self.parts = None;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        match self.parts.take() {
            Some(mut parts) => self.connection.turn(parts.abort()).await,
            None => Ok(()),
        }
    }
}

impl Drop for Upload {
    /// Parts of an upload that nobody ends are stored, and paid for, until somebody deletes them.
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let connection = self.connection.clone();
            // Best effort: nobody is left to tell of a failure.
            runtime.spawn(async move { drop(connection.turn(parts.abort()).await) });
        }
    }
}
