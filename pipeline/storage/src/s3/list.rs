//! Lists objects, page by page, in the order of their keys.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::Object;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::{DELIMITER, Path};
use object_store::{Error, ListResult, ObjectMeta, Result};

use super::connection::Connection;
use super::failure::Failure;
use super::get::meta;
use crate::error::unusable_key;

/// All objects below a folder, after the offset if there is one.
pub fn list(
    connection: Arc<Connection>,
    prefix: Option<&Path>,
    offset: Option<&Path>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let folder = Folder::new(prefix);
    let start_after = offset.map(ToString::to_string);
    let pages = stream::try_unfold(Next::First, move |next| {
        let (connection, folder, start_after) = (connection.clone(), folder.clone(), start_after.clone());
        async move {
            let page = match next {
                Next::End => return Ok(None),
                Next::First => folder.page(&connection, None, start_after, None).await?,
                Next::After(token) => folder.page(&connection, None, None, Some(token)).await?,
            };
            let next = Next::of(&page);
            Ok::<_, Error>(Some((objects(&connection.bucket, page.contents()), next)))
        }
    });
    pages.map_ok(stream::iter).try_flatten().boxed()
}

/// The objects and folders right below a folder.
pub async fn list_folder(connection: &Connection, prefix: Option<&Path>) -> Result<ListResult> {
    let folder = Folder::new(prefix);
    let mut found = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
    let mut token = None;
    loop {
        let page = folder.page(connection, Some(DELIMITER), None, token).await?;
        for prefix in page.common_prefixes().iter().filter_map(|prefix| prefix.prefix()) {
            found.common_prefixes.push(path(&connection.bucket, prefix)?);
        }
        for object in objects(&connection.bucket, page.contents()) {
            found.objects.push(object?);
        }
        match Next::of(&page) {
            Next::After(next) => token = Some(next),
            _ => return Ok(found),
        }
    }
}

enum Next {
    First,
    After(String),
    End,
}

impl Next {
    fn of(page: &ListObjectsV2Output) -> Self {
        let token = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true));
        token.map_or(Self::End, |token| Self::After(token.to_owned()))
    }
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
    ) -> Result<ListObjectsV2Output> {
        let request = connection.request("list", "s3:ListBucket", &self.path);
        let send = |client: Client| {
            let list = client.list_objects_v2().bucket(&connection.bucket).set_prefix(self.prefix.clone());
            list.set_delimiter(delimiter.map(str::to_owned))
                .set_start_after(start_after.clone())
                .set_continuation_token(token.clone())
                .send()
        };
        connection.call(&request, send).await.map_err(Failure::into_error)
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
