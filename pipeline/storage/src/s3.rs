//! An S3 bucket behind the `object_store` trait, through the AWS SDK.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use crate::error::StorageError;
use crate::settings::Settings;

mod attributes;
mod body;
mod checksum;
mod client;
mod connection;
mod copy;
mod delete;
mod failure;
mod get;
mod list;
mod multipart;
mod put;

use aws_sdk_s3::config::SharedCredentialsProvider;
use connection::Connection;

/// One bucket. Cheap to clone; clones share connections, credentials and limits.
///
/// Besides what the trait promises: a creation whose answer got lost is recognised as ours, a body that breaks off is
/// read on from where it stopped and never mixes two versions of an object, and refused credentials are looked up again.
#[derive(Clone)]
pub struct S3Store {
    connection: Arc<Connection>,
}

impl S3Store {
    /// A bucket, with credentials from wherever AWS tools find them. Asks nobody anything yet.
    pub fn open(bucket: &str, settings: &Settings) -> Result<Self, StorageError> {
        Ok(Self { connection: Arc::new(Connection::new(bucket, settings, None)?) })
    }

    /// A bucket, with credentials from a provider of the caller's.
    pub fn with_credentials(
        bucket: &str,
        settings: &Settings,
        credentials: SharedCredentialsProvider,
    ) -> Result<Self, StorageError> {
        Ok(Self { connection: Arc::new(Connection::new(bucket, settings, Some(credentials))?) })
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}", self.connection.bucket)
    }
}

/// Without what the client holds, so that no secret can get into a log.
impl fmt::Debug for S3Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("S3Store").field(&self.connection.bucket).finish()
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        put::put(&self.connection, location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        multipart::start(&self.connection, location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        get::get(&self.connection, location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        delete::delete(self.connection.clone(), locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(self.connection.clone(), prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(self.connection.clone(), prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        list::list_folder(&self.connection, prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        copy::copy(&self.connection, from, to, options).await
    }
}
