//! Asks a store whether it creates without overwriting, before anything relies on that.

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::StorageError;
use crate::random::unique;

/// What the names of probes begin with; one that a killed process left behind is nobody's.
pub const PROBE: &str = "probe-";

/// Creates an object of a unique name below the prefix twice and removes it. The second creation must be refused, or the
/// store can't hold commits ([`StorageError::Overwrites`], [`StorageError::Unconditional`]).
pub async fn probe(store: &dyn ObjectStore, prefix: &Path) -> Result<(), StorageError> {
    let location = prefix.clone().join(format!("{PROBE}{}", unique()));
    let verdict = create_twice(store, &location).await;
    let removed = store.delete(&location).await;
    verdict?;
    Ok(removed?)
}

async fn create_twice(store: &dyn ObjectStore, location: &Path) -> Result<(), StorageError> {
    create(store, location, b"first").await.map_err(|error| refused(store, error))?;
    match create(store, location, b"second").await {
        Err(Error::AlreadyExists { .. }) => first_stands(store, location).await,
        Err(error) => Err(refused(store, error)),
        Ok(()) => Err(StorageError::Overwrites { store: store.to_string() }),
    }
}

fn refused(store: &dyn ObjectStore, error: Error) -> StorageError {
    match error {
        Error::NotSupported { .. } => StorageError::Unconditional { store: store.to_string() },
        error => error.into(),
    }
}

async fn create(store: &dyn ObjectStore, location: &Path, bytes: &'static [u8]) -> Result<(), Error> {
    let options = PutOptions::from(PutMode::Create);
    store.put_opts(location, PutPayload::from_static(bytes), options).await.map(drop)
}

/// A store that refuses in words but wrote all the same is no better.
async fn first_stands(store: &dyn ObjectStore, location: &Path) -> Result<(), StorageError> {
    match store.get(location).await?.bytes().await?.as_ref() {
        b"first" => Ok(()),
        _ => Err(StorageError::Overwrites { store: store.to_string() }),
    }
}
