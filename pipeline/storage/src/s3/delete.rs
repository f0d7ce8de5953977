//! Deletes objects, a thousand per request. One that is not there counts as deleted.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{Error, Result};

use super::connection::Connection;
use super::failure::Failure;

/// As many as S3 takes at once.
const BATCH: usize = 1000;

/// So many batches are under way at once.
const BATCHES: usize = 4;

pub fn delete(
    connection: Arc<Connection>,
    locations: BoxStream<'static, Result<Path>>,
) -> BoxStream<'static, Result<Path>> {
    let batches = locations.ready_chunks(BATCH).map(move |batch| delete_batch(connection.clone(), batch));
    batches.buffered(BATCHES).flat_map(stream::iter).boxed()
}

/// One result per location, in order.
async fn delete_batch(connection: Arc<Connection>, batch: Vec<Result<Path>>) -> Vec<Result<Path>> {
    let paths: Vec<&Path> = batch.iter().filter_map(|location| location.as_ref().ok()).collect();
    let deleted = match paths.as_slice() {
        [] => Ok(HashMap::new()),
        [one] => delete_one(&connection, one).await.map(|()| HashMap::new()),
        many => delete_many(&connection, many).await,
    };
    match deleted {
        Ok(mut refused) => {
            let mut outcome = |location: Path| refused.remove(location.as_ref()).map_or(Ok(location), Err);
            batch.into_iter().map(|location| location.and_then(&mut outcome)).collect()
        }
        // The batch failed as one, and one error ends the stream for whoever reads it.
        Err(failure) => vec![Err(failure.into_error())],
    }
}

async fn delete_one(connection: &Connection, location: &Path) -> Result<(), Failure> {
    let request = connection.request("delete", "s3:DeleteObject", location);
    let send = |client: Client| client.delete_object().bucket(&connection.bucket).key(location.as_ref()).send();
    match connection.call(&request, send).await {
        Err(failure) if failure.status == Some(404) && failure.code.as_deref() == Some("NoSuchKey") => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// What could not be deleted, by key.
async fn delete_many(connection: &Connection, locations: &[&Path]) -> Result<HashMap<String, Error>, Failure> {
    let request = connection.request("delete objects in", "s3:DeleteObject", &Path::default());
    let objects = wanted(locations).map_err(|error| Failure::found(&request, error.to_string()))?;
    let send = |client: Client| client.delete_objects().bucket(&connection.bucket).delete(objects.clone()).send();
    let answer = connection.call(&request, send).await?;
    let mut refused = HashMap::new();
    for error in answer.errors() {
        let key = error.key().unwrap_or_default();
        let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        if code == "NoSuchKey" {
            continue;
        }
        let cause = format!("can't delete s3://{}/{key}: {code}: {message}", connection.bucket);
        let error = match code {
            "AccessDenied" => Error::PermissionDenied { path: key.to_owned(), source: cause.into() },
            _ => Error::Generic { store: "S3", source: cause.into() },
        };
        refused.insert(key.to_owned(), error);
    }
    Ok(refused)
}

fn wanted(locations: &[&Path]) -> Result<Delete, BuildError> {
    let objects = locations.iter().map(|location| ObjectIdentifier::builder().key(location.as_ref()).build());
    // Quiet: the answer names only what could not be deleted.
    Delete::builder().set_objects(Some(objects.collect::<Result<_, _>>()?)).quiet(true).build()
}
