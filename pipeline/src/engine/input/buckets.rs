//! Objects of buckets that a job's paths name as `s3://bucket/key`, `gs://bucket/key` or `az://container/key`, for code on blocking threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
use pageloom_storage::{ObjectReader, Settings, open_object, read_range};
use tokio::runtime::Handle;
use url::Url;

use super::ahead::Asked;
use super::failed;
use crate::sources::{InputError, InputObject, Piece};

/// Whether a job's path is an address, and no file or folder.
pub fn is_address(path: &str) -> bool {
    path.contains("://")
}

/// The buckets that are read from, each opened when it is first named.
pub struct Buckets {
    settings: Settings,
    runtime: Handle,
    open: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>,
}

impl Buckets {
    /// None is opened yet.
    pub fn new(settings: Settings, runtime: Handle) -> Self {
        Self { settings, runtime, open: Mutex::default() }
    }

    /// All that is below this name as a folder; else the object of this name.
    pub fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError> {
        let (store, location) = self.find(prefix)?;
        let listing = async {
            let found = store.list(Some(&location)).try_collect::<Vec<_>>().await?;
            // A bucket's root is no object, and a name with a slash at its end means what is below it.
            if !found.is_empty() || location.as_ref().is_empty() || prefix.ends_with('/') {
                return Ok(named(prefix, &location, found));
            }
            match store.head(&location).await {
                Ok(meta) => Ok(vec![InputObject { path: prefix.to_owned(), size: meta.size }]),
                Err(Error::NotFound { .. }) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        };
        self.runtime.block_on(listing).map_err(|error| failed(prefix, &error))
    }

    /// An object from its beginning.
    pub fn open(&self, path: &str) -> Result<ObjectReader, InputError> {
        let (store, location) = self.find(path)?;
        open_object(&self.runtime, store.as_ref(), &location).map_err(|error| failed(path, &error))
    }

    /// A range of an object, whole.
    pub fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let (store, location) = self.find(path)?;
        let range = read_range(&self.runtime, store.as_ref(), &location, offset, length);
        Ok(range.map_err(|error| failed(path, &error))?.into())
    }

    /// Asks for an object's bytes, to the length that it was planned with or to its end.
    pub fn ask(&self, file: &Piece) -> Result<Asked, InputError> {
        let (store, location) = self.find(&file.path)?;
        let (path, length) = (file.path.clone(), file.length);
        Ok(self.runtime.spawn(async move {
            // No range of an empty object can be asked for.
            if length == 0 {
                return Ok(Bytes::new());
            }
            store.get_range(&location, 0..length).await.map_err(|error| failed(&path, &error))
        }))
    }

    /// An object's entity tag.
    pub fn tag(&self, path: &str) -> Result<Option<String>, InputError> {
        let (store, location) = self.find(path)?;
        let meta = self.runtime.block_on(store.head(&location)).map_err(|error| failed(path, &error))?;
        Ok(meta.e_tag)
    }

    /// The bucket of an address, and the key in it, which is told as it is: a `%` or a `?` in it is meant.
    fn find(&self, address: &str) -> Result<(Arc<dyn ObjectStore>, Path), InputError> {
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let location = Path::parse(key.trim_end_matches('/')).map_err(|error| failed(address, &error))?;
        Ok((self.bucket(&format!("{scheme}://{bucket}"))?, location))
    }

    fn bucket(&self, address: &str) -> Result<Arc<dyn ObjectStore>, InputError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(address) {
            return Ok(store.clone());
        }
        // Neither message repeats the address, which may hold what should not be in it.
        let url = Url::parse(address).map_err(|error| failed("an address", &error))?;
        let (store, _) = pageloom_storage::open(&url, &self.settings).map_err(|error| failed("", &error))?;
        open.insert(address.to_owned(), store.clone());
        Ok(store)
    }
}

/// What was found at or below a location, under names that begin as the job's does.
fn named(prefix: &str, location: &Path, listing: Vec<ObjectMeta>) -> Vec<InputObject> {
    let mut found = Vec::with_capacity(listing.len());
    for meta in listing {
        let below: Vec<_> = meta.location.prefix_match(location).into_iter().flatten().collect();
        let below: Vec<&str> = below.iter().map(AsRef::as_ref).collect();
        let path = format!("{}/{}", prefix.trim_end_matches('/'), below.join("/"));
        found.push(InputObject { path, size: meta.size });
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_a_key_told_as_it_is() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let buckets = Buckets::new(Settings::default(), runtime.handle().clone());
        let (store, key) = buckets.find("s3://crawls/2026/a%20b?.html").unwrap();
        assert_eq!((store.to_string().as_str(), key.as_ref()), ("s3://crawls", "2026/a%20b?.html"));
        assert_eq!(buckets.find("s3://crawls").unwrap().1, Path::default());
    }

    #[test]
    fn secrets_in_an_address_are_refused_and_not_repeated() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let buckets = Buckets::new(Settings::default(), runtime.handle().clone());
        let refused = buckets.list("s3://KEY:hunter2@crawls/a").unwrap_err().to_string();
        assert!(refused.contains("don't belong") && !refused.contains("hunter2"), "{refused}");
        let refused = buckets.list("ftp://KEY:hunter2@crawls/a").unwrap_err().to_string();
        assert!(refused.contains("this scheme is not known") && !refused.contains("hunter2"), "{refused}");
    }
}
