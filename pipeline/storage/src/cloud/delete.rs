//! Deletes objects, many at once.

use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, Result};

use super::clients::Client;
use super::connection::{Cloud, Connection};

/// How many objects one request names, and how many requests are under way at once.
fn batches(cloud: Cloud) -> (usize, usize) {
    match cloud {
        Cloud::Google => (1, 32),
        Cloud::Azure => (256, 4),
    }
}

/// Deletes what is named. What is gone already counts as deleted, for an answer may get lost after the store did its work.
pub fn delete(
    connection: Arc<Connection>,
    locations: BoxStream<'static, Result<Path>>,
) -> BoxStream<'static, Result<Path>> {
    let (batch, requests) = batches(connection.cloud);
    let deleted = locations.try_chunks(batch).map(move |chunk| {
        let connection = connection.clone();
        async move {
            match chunk {
                Ok(chunk) => some(&connection, chunk).await,
                Err(error) => vec![Err(error.1)],
            }
        }
    });
    deleted.buffered(requests).flat_map(stream::iter).boxed()
}

async fn some(connection: &Connection, locations: Vec<Path>) -> Vec<Result<Path>> {
    let delete = |client: Arc<dyn Client>| {
        let named = stream::iter(locations.clone()).map(Ok).boxed();
        async move { client.delete_stream(named).map(gone_is_deleted).try_collect::<Vec<_>>().await }
    };
    match connection.call(delete).await {
        Ok(deleted) => deleted.into_iter().map(Ok).collect(),
        // The batch failed as one, and one error ends the stream for whoever reads it.
        Err(error) => vec![Err(error)],
    }
}

fn gone_is_deleted(deleted: Result<Path>) -> Result<Path> {
    match deleted {
        Err(Error::NotFound { path, .. }) => Ok(Path::parse(path)?),
        deleted => deleted,
    }
}
