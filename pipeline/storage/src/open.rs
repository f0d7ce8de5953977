//! Opens the store that an address names.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use url::Url;

use crate::cloud::CloudStore;
use crate::error::StorageError;
use crate::s3::S3Store;
use crate::settings::Settings;

/// The store behind `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`, and the path in
/// it that the address ends in. The bucket is not asked for anything yet.
pub fn open(url: &Url, settings: &Settings) -> Result<(Arc<dyn ObjectStore>, Path), StorageError> {
    match url.scheme() {
        "s3" => {
            let store = S3Store::open(bucket(url, "write `s3://bucket/prefix`")?, settings)?;
            Ok((Arc::new(store), prefix(url)?))
        }
        "gs" => {
            let store = CloudStore::google(bucket(url, "write `gs://bucket/prefix`")?, settings)?;
            Ok((Arc::new(store), prefix(url)?))
        }
        "az" => {
            let store = CloudStore::azure(bucket(url, "write `az://container/prefix`")?, settings)?;
            Ok((Arc::new(store), prefix(url)?))
        }
        "file" => Ok((Arc::new(LocalFileSystem::new()), folder(url)?)),
        _ => {
            let remedy = "use `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`";
            Err(address(url, "this scheme is not known", remedy))
        }
    }
}

fn bucket<'a>(url: &'a Url, remedy: &'static str) -> Result<&'a str, StorageError> {
    if !url.username().is_empty() || url.password().is_some() {
        let remedy = "take them out, and name a `profile` or set the variables of the cloud's own tools";
        return Err(address(url, "credentials don't belong into an address", remedy));
    }
    url.host_str().filter(|name| !name.is_empty()).ok_or_else(|| address(url, "it names no bucket", remedy))
}

fn prefix(url: &Url) -> Result<Path, StorageError> {
    Path::from_url_path(url.path()).map_err(|error| object_store::Error::from(error).into())
}

fn folder(url: &Url) -> Result<Path, StorageError> {
    let folder = url.to_file_path().map_err(|()| address(url, "it names no folder", "write `file:///folder`"))?;
    Path::from_absolute_path(folder).map_err(|error| object_store::Error::from(error).into())
}

/// An error that repeats neither user name, password nor query of an address.
pub(crate) fn address(url: &Url, problem: &'static str, remedy: &'static str) -> StorageError {
    let url = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    StorageError::Address { url, problem, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        open(&Url::parse(url).unwrap(), &Settings::default()).unwrap_err().to_string()
    }

    #[test]
    fn an_address_names_a_store_and_a_path_in_it() {
        let (store, prefix) = open(&Url::parse("s3://bucket/a%20b/c/").unwrap(), &Settings::default()).unwrap();
        assert_eq!((store.to_string().as_str(), prefix.as_ref()), ("s3://bucket", "a b/c"));
        let (_, folder) = open(&Url::parse("file:///tmp").unwrap(), &Settings::default()).unwrap();
        assert_eq!(folder.as_ref(), "tmp");
    }

    #[test]
    fn an_address_with_secrets_is_refused_without_repeating_them() {
        let refused = refusal("s3://AKIAKEY:hunter2@bucket/a?token=hunter3");
        assert!(refused.contains("s3://bucket/a") && refused.contains("profile"), "{refused}");
        assert!(!refused.contains("hunter") && !refused.contains("AKIAKEY"), "{refused}");
        let settings = Settings { endpoint: Some("https://me:hunter2@host".into()), ..Settings::default() };
        let refused = open(&Url::parse("s3://bucket").unwrap(), &settings).unwrap_err().to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
        let settings = Settings { endpoint: Some("https://host/a?sig=hunter2".into()), ..Settings::default() };
        let refused = settings.check().unwrap_err().to_string();
        assert!(refused.contains("`AZURE_STORAGE_SAS_TOKEN`") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_scheme_that_is_not_known_is_refused_with_those_that_are() {
        assert!(refusal("ftp://host/a").contains("use `s3://bucket/prefix`"));
        let refused = refusal("abfss://container:hunter2@account.dfs.core.windows.net/a");
        assert!(refused.contains("`az://container/prefix`") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_container_of_no_account_is_refused_with_a_remedy() {
        let refused = refusal("az://container/a");
        assert!(refused.contains("set `AZURE_STORAGE_ACCOUNT_NAME`"), "{refused}");
    }
}
