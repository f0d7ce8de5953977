//! The output folder of a run, behind the `object_store` trait that DataFusion reads through.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::{Problem, RunError};

mod staged;

pub use staged::STAGING;
use staged::StagedFolder;

/// Where a run's files are read and written; paths in it are relative to the output folder.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: PathBuf,
}

/// Whether a record was created, or one of that name was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is ours.
    Now,
    /// Somebody was first; theirs stands.
    Before,
}

impl Store {
    /// The scheme and host under which DataFusion knows this store.
    pub const URL: &'static str = "run://output/";

    /// Opens a folder, which is created if it is not there.
    pub fn create(root: &FilePath) -> Result<Self, RunError> {
        std::fs::create_dir_all(root).map_err(|error| not_a_folder(root, &error))?;
        Self::open(root)
    }

    /// Opens a folder that must be there.
    pub fn open(root: &FilePath) -> Result<Self, RunError> {
        let root = root.canonicalize().map_err(|error| not_a_folder(root, &error))?;
        Ok(Self { objects: Arc::new(StagedFolder::open(&root)?), root })
    }

    /// The folder.
    pub fn root(&self) -> &FilePath {
        &self.root
    }

    /// The store itself.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    /// The URL of a file, for DataFusion.
    pub fn url(path: &str) -> String {
        format!("{}{path}", Self::URL)
    }

    /// [`Self::URL`], parsed.
    pub fn base_url() -> Result<Url, RunError> {
        Url::parse(Self::URL).map_err(|error| RunError::Bug(error.to_string()))
    }

    /// Names of all files under a folder, in order, each with its size in bytes.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, RunError> {
        let files = self.objects.list(Some(&Path::from(folder)));
        let mut found: Vec<_> = files.map_ok(|meta| (meta.location.to_string(), meta.size)).try_collect().await?;
        found.sort();
        Ok(found)
    }

    /// As `list` for what is being made, or was when a run was killed: names that `object_store` makes and does not list.
    pub fn staged(&self) -> Result<Vec<(String, u64)>, RunError> {
        let failed = |error: std::io::Error| RunError::Record { path: STAGING.into(), cause: error.to_string() };
        let Ok(entries) = std::fs::read_dir(self.root.join(STAGING)) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // What is gone meanwhile was moved to its place, or removed by whoever made it.
            let Ok(meta) = entry.metadata() else { continue };
            found.push((format!("{STAGING}/{}", entry.file_name().to_string_lossy()), meta.len()));
        }
        found.sort();
        Ok(found)
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) -> Result<(), RunError> {
        let removed = std::fs::remove_file(self.root.join(path));
        removed.map_err(|error| RunError::Record { path: path.into(), cause: error.to_string() })
    }

    /// A file's bytes; `None` if it is not there.
    pub async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, RunError> {
        match self.objects.get(&Path::from(path)).await {
            Ok(found) => Ok(Some(found.bytes().await?.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A JSON record; `None` if it is not there.
    pub async fn read_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, RunError> {
        let Some(bytes) = self.read(path).await? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes);
        record.map(Some).map_err(|error| RunError::Record { path: path.into(), cause: error.to_string() })
    }

    /// Writes a file whole, over what may be there: for files whose bytes follow from the job alone.
    pub async fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), RunError> {
        self.objects.put(&Path::from(path), PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// Creates a JSON record unless one of that name is there.
    pub async fn create_json<T: Serialize>(&self, path: &str, record: &T) -> Result<Created, RunError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&Path::from(path), PutPayload::from(json_bytes(record)?), options).await {
            Ok(_) => Ok(Created::Now),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Before),
            Err(error) => Err(error.into()),
        }
    }
}

/// Different for every process and time of asking, so that no two attempts write to one name.
pub fn attempt() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", std::process::id(), now.as_nanos())
}

/// A record as indented JSON with a final line feed.
pub fn json_bytes<T: Serialize>(record: &T) -> Result<Vec<u8>, RunError> {
    let mut bytes = serde_json::to_vec_pretty(record).map_err(|error| RunError::Bug(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn not_a_folder(root: &FilePath, error: &std::io::Error) -> RunError {
    let problem =
        Problem::new(format!("--out {}", root.display()), format!("can't be used as an output folder: {error}"));
    RunError::Job(problem.hint("name a folder that can be read and written").into())
}
