//! Lists objects by pages, each of which says whether and where the next begins.

use std::future::Future;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ListResult, ObjectMeta, Result};

/// One page of a listing.
pub struct Page {
    /// Folders right below the one that is listed, where it is asked for these.
    pub folders: Vec<Path>,
    /// Objects, and keys that can be none.
    pub objects: Vec<Result<ObjectMeta>>,
    /// What to ask for the next page with, if there is one.
    pub next: Option<String>,
}

enum Next {
    First,
    After(String),
}

/// All objects of a listing, each page asked for when those before are used up.
pub fn objects<F>(page: impl Fn(Option<String>) -> F + Send + 'static) -> BoxStream<'static, Result<ObjectMeta>>
where
    F: Future<Output = Result<Page>> + Send + 'static,
{
    let pages = stream::try_unfold(Some(Next::First), move |next| {
        let asked = next.map(|next| match next {
            Next::First => page(None),
            Next::After(token) => page(Some(token)),
        });
        async move {
            let Some(asked) = asked else { return Ok(None) };
            let Page { objects, next, .. } = asked.await?;
            Ok::<_, Error>(Some((stream::iter(objects), next.map(Next::After))))
        }
    });
    pages.try_flatten().boxed()
}

/// All of a listing at once.
pub async fn whole<F>(page: impl Fn(Option<String>) -> F) -> Result<ListResult>
where
    F: Future<Output = Result<Page>>,
{
    let mut found = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
    let mut token = None;
    loop {
        let Page { folders, objects, next } = page(token).await?;
        found.common_prefixes.extend(folders);
        for object in objects {
            found.objects.push(object?);
        }
        token = next;
        if token.is_none() {
            return Ok(found);
        }
    }
}
