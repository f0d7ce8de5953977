//! A bucket of Google Cloud Storage or a container of Azure Blob Storage behind the `object_store` trait, through that
//! crate's own clients.

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

mod clients;
mod connection;
mod delete;
mod list;
mod put;
mod read;
mod upload;

use connection::Connection;

/// One bucket of Google's, or one container of Azure's. Cheap to clone; clones share connections, credentials and limits.
///
/// Besides what the trait promises: a creation whose answer got lost is recognised as ours, and a body that breaks off is
/// read on from where it stopped and never mixes two versions of an object; so is a listing; refused credentials are looked
/// up again; and the objects that consoles make to show a folder are no objects.
#[derive(Clone)]
pub struct CloudStore {
    connection: Arc<Connection>,
}

impl CloudStore {
    /// A bucket of Google's, with credentials from where its tools find them: the files and keys that `GOOGLE_` variables
    /// name, application default credentials, the machine's metadata. Asks nobody anything yet.
    pub fn google(bucket: &str, settings: &Settings) -> Result<Self, StorageError> {
        Ok(Self { connection: Arc::new(Connection::google(bucket, settings)?) })
    }

    /// A container of the Azure account that `AZURE_STORAGE_ACCOUNT_NAME` names, with credentials from other `AZURE_`
    /// variables (an account's key, a SAS token, a client's or a workload's identity) or from the machine's metadata. Asks
    /// nobody anything yet.
    pub fn azure(container: &str, settings: &Settings) -> Result<Self, StorageError> {
        Ok(Self { connection: Arc::new(Connection::azure(container, settings)?) })
    }
}

impl fmt::Display for CloudStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.connection.address)
    }
}

/// Without what the client holds, so that no secret can get into a log.
impl fmt::Debug for CloudStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("CloudStore").field(&self.connection.address).finish()
    }
}

#[async_trait]
impl ObjectStore for CloudStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        put::put(&self.connection, location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        upload::start(&self.connection, location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        read::get(&self.connection, location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        delete::delete(self.connection.clone(), locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(self.connection.clone(), prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        list::list_folder(&self.connection, prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let options = self.connection.cloud.as_client_takes(options);
        // The client knows which copies may be asked for twice.
        let client = self.connection.patient();
        self.connection.turn(client.copy_opts(from, to, options)).await
    }
}
