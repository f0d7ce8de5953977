//! Deletes objects, many at once.

use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, Result};

use super::connection::Connection;

/// Azure takes so many in one request.
const AT_ONCE: usize = 256;

/// Deletes what is named. What is gone already counts as deleted, for an answer may get lost after the store did its work.
pub fn delete(
    connection: Arc<Connection>,
    locations: BoxStream<'static, Result<Path>>,
) -> BoxStream<'static, Result<Path>> {
    let deleted = locations.try_chunks(AT_ONCE).map(move |chunk| {
        let connection = connection.clone();
        async move {
            match chunk {
                Ok(chunk) => some(&connection, chunk).await,
                Err(error) => vec![Err(error.1)],
            }
        }
    });
    deleted.buffered(4).flat_map(stream::iter).boxed()
}

/// The client takes deleting many for what must not be asked for twice, so that is done here.
async fn some(connection: &Connection, locations: Vec<Path>) -> Vec<Result<Path>> {
    let mut attempt = 1;
    loop {
        let _turn = connection.limits.turn().await;
        let named = stream::iter(locations.clone()).map(Ok).boxed();
        let deleted: Vec<_> =
            connection.client.delete_stream(named).map(|deleted| told(connection, deleted)).collect().await;
        let failed = deleted.iter().any(|deleted| matches!(deleted, Err(Error::Generic { .. })));
        if !failed || attempt >= connection.settings.attempts.get() {
            return deleted;
        }
        tokio::time::sleep(connection.settings.pause_after(attempt)).await;
        attempt += 1;
    }
}

fn told(connection: &Connection, deleted: Result<Path>) -> Result<Path> {
    match deleted {
        Err(Error::NotFound { path, .. }) => Ok(Path::parse(path)?),
        deleted => deleted.map_err(|error| connection.told(error)),
    }
}
