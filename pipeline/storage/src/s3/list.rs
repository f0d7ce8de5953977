//! Lists objects, page by page, in the order of their keys.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::Object;
use futures::stream::BoxStream;
use object_store::path::{DELIMITER, Path};
use object_store::{ListResult, ObjectMeta, Result};

use super::connection::Connection;
use super::failure::Failure;
use super::get::meta;
use crate::error::unusable_key;
use crate::pages::{self, Page};

/// All objects below a folder, after the offset if there is one.
pub fn list(
    connection: Arc<Connection>,
    prefix: Option<&Path>,
    offset: Option<&Path>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let folder = Folder::new(prefix);
    let start_after = offset.map(ToString::to_string);
    pages::objects(move |token| {
        let (connection, folder, start_after) = (connection.clone(), folder.clone(), start_after.clone());
        async move {
            // Pages behind the first begin behind their token.
            let start_after = start_after.filter(|_| token.is_none());
            folder.page(&connection, None, start_after, token).await
        }
    })
}

/// The objects and folders right below a folder.
pub async fn list_folder(connection: &Connection, prefix: Option<&Path>) -> Result<ListResult> {
    let folder = &Folder::new(prefix);
    pages::whole(|token| folder.page(connection, Some(DELIMITER), None, token)).await
}

#[derive(Clone)]
struct Folder {
    path: Path,
    /// With its slash, so that `a` does not list what is in `ab`.
    prefix: Option<String>,
}

impl Folder {
    fn new(prefix: Option<&Path>) -> Self {
        let path = prefix.cloned().unwrap_or_default();
        let prefix = (!path.as_ref().is_empty()).then(|| format!("{path}{DELIMITER}"));
        Self { path, prefix }
    }

    async fn page(
        &self,
        connection: &Connection,
        delimiter: Option<&str>,
        start_after: Option<String>,
        token: Option<String>,
    ) -> Result<Page> {
        let request = connection.request("list", "s3:ListBucket", &self.path);
        let send = |client: Client| {
            let list = client.list_objects_v2().bucket(&connection.bucket).set_prefix(self.prefix.clone());
            list.set_delimiter(delimiter.map(str::to_owned))
                .set_start_after(start_after.clone())
                .set_continuation_token(token.clone())
                .send()
        };
        let page = connection.call(&request, send).await.map_err(Failure::into_error)?;
        let folders = page.common_prefixes().iter().filter_map(|prefix| prefix.prefix());
        Ok(Page {
            folders: folders.map(|prefix| path(&connection.bucket, prefix)).collect::<Result<_>>()?,
            objects: objects(&connection.bucket, page.contents()),
            next: page.next_continuation_token.filter(|_| page.is_truncated == Some(true)),
        })
    }
}

/// What a page names, without the empty objects that consoles make to show a folder.
fn objects(bucket: &str, objects: &[Object]) -> Vec<Result<ObjectMeta>> {
    let keys = objects.iter().filter_map(|object| object.key().map(|key| (key, object)));
    let files = keys.filter(|(key, _)| !key.ends_with(DELIMITER));
    files.map(|(key, object)| Ok(described(&path(bucket, key)?, object))).collect()
}

fn path(bucket: &str, key: &str) -> Result<Path> {
    Path::parse(key).map_err(|error| unusable_key(&format!("s3://{bucket}"), &error))
}

fn described(location: &Path, object: &Object) -> ObjectMeta {
    let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    meta(location, size, object.last_modified(), object.e_tag(), None)
}
