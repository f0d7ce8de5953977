//! Lists objects, page by page: a page whose body breaks off is asked for again.

use std::borrow::Cow;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::list::PaginatedListOptions;
use object_store::path::{DELIMITER, Path};
use object_store::{Error, ListResult, ObjectMeta, Result};

use super::clients::Client;
use super::connection::Connection;
use super::read::look;
use crate::pages::{self, Page};

/// The objects that consoles make to show a folder are empty, or hold the word `placeholder`.
const LARGEST_MARKER_BYTES: u64 = 11;

/// So many small objects are looked at side by side.
const LOOKS: usize = 16;

/// All objects below a folder.
pub fn list(connection: Arc<Connection>, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
    let folder = prefix.cloned().unwrap_or_default();
    pages::objects(move |token| {
        let (connection, folder) = (connection.clone(), folder.clone());
        async move { page(&connection, &folder, None, token).await }
    })
}

/// The objects and folders right below a folder.
pub async fn list_folder(connection: &Arc<Connection>, prefix: Option<&Path>) -> Result<ListResult> {
    let folder = &prefix.cloned().unwrap_or_default();
    pages::whole(|token| page(connection, folder, Some(DELIMITER), token)).await
}

async fn page(
    connection: &Arc<Connection>,
    folder: &Path,
    delimiter: Option<&'static str>,
    page_token: Option<String>,
) -> Result<Page> {
    // With its slash, so that `a` does not list what is in `ab`.
    let prefix = (!folder.as_ref().is_empty()).then(|| format!("{folder}{DELIMITER}"));
    let delimiter = delimiter.map(Cow::Borrowed);
    let options = PaginatedListOptions { delimiter, page_token, ..PaginatedListOptions::default() };
    let list = |client: Arc<dyn Client>| {
        let (prefix, options) = (prefix.clone(), options.clone());
        async move { client.list_paginated(prefix.as_deref(), options).await }
    };
    let page = connection.call(list).await?;
    Ok(Page {
        folders: page.result.common_prefixes,
        objects: files(connection, folder, page.result.objects).await?.into_iter().map(Ok).collect(),
        next: page.page_token.filter(|token| !token.is_empty()),
    })
}

/// What a page names, without the objects that consoles make to show a folder. Their keys end in a slash, of which the
/// client's paths say nothing; so whatever may be one is looked for by the key that its path would be.
async fn files(connection: &Arc<Connection>, folder: &Path, objects: Vec<ObjectMeta>) -> Result<Vec<ObjectMeta>> {
    let below = objects.into_iter().filter(|object| object.location != *folder);
    let looked_at = stream::iter(below).map(|object| {
        let connection = connection.clone();
        async move { Ok(is_file(&connection, &object).await?.then_some(object)) }
    });
    looked_at.buffered(LOOKS).try_filter_map(|object| async move { Ok(object) }).try_collect().await
}

async fn is_file(connection: &Connection, object: &ObjectMeta) -> Result<bool> {
    if object.size > LARGEST_MARKER_BYTES {
        return Ok(true);
    }
    match look(connection, &object.location).await {
        Ok(found) => Ok(found.meta.size == object.size),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
