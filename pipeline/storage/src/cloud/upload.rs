//! Writes an object in parts that are sent side by side; it is seen whole or not at all.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::ready;
use object_store::path::Path;
use object_store::{MultipartUpload, PutMultipartOptions, PutPayload, PutPayloadMut, PutResult, Result, UploadPart};

use super::connection::Connection;

pub async fn start(
    connection: &Arc<Connection>,
    location: &Path,
    options: PutMultipartOptions,
) -> Result<Box<dyn MultipartUpload>> {
    let parts = connection.call(connection.client.put_multipart_opts(location, options)).await?;
    Ok(Box::new(Upload { connection: connection.clone(), parts, pending: PutPayloadMut::new() }))
}

/// An object in the making, whose parts are not smaller than the settings say, whoever writes it: Google takes none below
/// 5 MiB but the last.
struct Upload {
    connection: Arc<Connection>,
    parts: Box<dyn MultipartUpload>,
    pending: PutPayloadMut,
}

impl Upload {
    fn send(&mut self) -> UploadPart {
        let payload = std::mem::take(&mut self.pending).freeze();
        let (connection, length) = (self.connection.clone(), payload.content_length());
        let sent = self.parts.put_part(payload);
        async move {
            connection.limits.pass(length).await;
            connection.call(sent).await
        }
        .boxed()
    }
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
        self.connection.call(self.parts.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.connection.call(self.parts.abort()).await
    }
}
