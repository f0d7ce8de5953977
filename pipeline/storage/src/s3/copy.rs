//! Copies an object within its bucket.

use std::sync::Arc;

use aws_sdk_s3::Client;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, Error, GetOptions, PutMode, PutOptions, PutPayload, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::connection::Connection;
use super::failure::Failure;
use super::{get, put};

/// What the `x-amz-copy-source` header shows as it is.
const SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Objects up to this many bytes can be copied under the condition that nothing is there.
const LARGEST_CREATED_BYTES: u64 = 64 << 20;

pub async fn copy(connection: &Arc<Connection>, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
    match options.mode {
        CopyMode::Overwrite => overwrite(connection, from, to).await,
        CopyMode::Create => create(connection, from, to).await,
    }
}

async fn overwrite(connection: &Connection, from: &Path, to: &Path) -> Result<()> {
    let request = connection.request("copy", "s3:GetObject and s3:PutObject", from);
    let source = format!("{}/{}", connection.bucket, utf8_percent_encode(from.as_ref(), SOURCE));
    let send =
        |client: Client| client.copy_object().bucket(&connection.bucket).copy_source(&source).key(to.as_ref()).send();
    connection.call(&request, send).await.map(drop).map_err(Failure::into_error)
}

/// Through this machine: many stores that honour `If-None-Match` on a put ignore it on a copy.
async fn create(connection: &Arc<Connection>, from: &Path, to: &Path) -> Result<()> {
    let found = get::get(connection, from, GetOptions::default()).await?;
    if found.meta.size > LARGEST_CREATED_BYTES {
        let message =
            format!("{from} has {} bytes; at most {LARGEST_CREATED_BYTES} are copied to a new place", found.meta.size);
        return Err(Error::NotSupported { source: message.into() });
    }
    let options = PutOptions { mode: PutMode::Create, attributes: found.attributes.clone(), ..PutOptions::default() };
    put::put(connection, to, PutPayload::from_bytes(found.bytes().await?), options).await.map(drop)
}
