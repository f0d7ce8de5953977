//! The output folder of a run, behind the `object_store` trait that DataFusion reads through.

use std::hash::{BuildHasher, RandomState};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use pageloom_storage::Settings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::error::{Problem, RunError};

mod below;
mod place;
mod staged;

use below::Below;
pub use place::Place;
pub use staged::STAGING;
use staged::{StagedFolder, sync_folder};

/// Where a run's files are read and written; paths in it are relative to the place of the output.
///
/// In a folder, files are staged and moved when they are whole. In a bucket nothing needs to be: an upload is seen when it
/// is complete, and a record is created by a conditional write.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: Place,
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

    /// Opens a place for writing. A folder is created if it is not there; a bucket is asked whether it can hold commits.
    pub async fn create(root: &Place, settings: &Settings) -> Result<Self, RunError> {
        if let Place::Folder(folder) = root {
            std::fs::create_dir_all(folder).map_err(|error| not_a_folder(folder, &error))?;
            return Self::open(root, settings);
        }
        let store = Self::open(root, settings)?;
        let probed = pageloom_storage::probe(store.objects.as_ref(), &Path::default()).await;
        probed.map_err(|error| unusable(root, error))?;
        Ok(store)
    }

    /// Opens a place. A folder must be there; a bucket is not asked for anything yet.
    pub fn open(root: &Place, settings: &Settings) -> Result<Self, RunError> {
        match root {
            Place::Folder(folder) => {
                let folder = folder.canonicalize().map_err(|error| no_output(folder, &error))?;
                let objects = Arc::new(StagedFolder::open(&folder)?);
                Ok(Self { objects, root: Place::Folder(folder) })
            }
            Place::Bucket(url) => {
                let (bucket, prefix) = pageloom_storage::open(url, settings).map_err(|error| unusable(root, error))?;
                Ok(Self { objects: Arc::new(Below::new(bucket, prefix)), root: root.clone() })
            }
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Place {
        &self.root
    }

    /// The name of some file; `None` if there are none. What other runs that begin now leave for a moment doesn't count.
    pub async fn any_file(&self) -> Result<Option<String>, RunError> {
        let mut files = self.objects.list(None).map_ok(|meta| meta.location.to_string());
        while let Some(file) = files.try_next().await? {
            let passing = file.starts_with(pageloom_storage::PROBE) || file.starts_with(&format!("{STAGING}/"));
            if !passing {
                return Ok(Some(file));
            }
        }
        Ok(None)
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
        let Place::Folder(folder) = &self.root else { return Ok(Vec::new()) };
        let Ok(entries) = std::fs::read_dir(folder.join(STAGING)) else { return Ok(Vec::new()) };
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

    /// Removes a file, of those that are staged too.
    pub async fn remove(&self, path: &str) -> Result<(), RunError> {
        let Place::Folder(folder) = &self.root else { return Ok(self.objects.delete(&Path::from(path)).await?) };
        let removed = tokio::fs::remove_file(folder.join(path)).await;
        removed.map_err(|error| RunError::Record { path: path.into(), cause: error.to_string() })
    }

    /// Makes a file of another store one of ours, over what may be there. On one disk it stands in both folders from then
    /// on, and takes room once.
    pub async fn copy_from(&self, other: &Self, from: &str, to: &str) -> Result<(), RunError> {
        if let (Place::Folder(theirs), Place::Folder(ours)) = (&other.root, &self.root) {
            let (from, to, piece) = (theirs.join(from), ours.join(to), ours.join(STAGING).join(attempt()));
            let linked = tokio::task::spawn_blocking(move || link(&from, &piece, &to)).await;
            if linked.is_ok_and(|linked| linked.is_ok()) {
                return Ok(());
            }
        }
        let mut pieces = other.objects.get(&Path::from(from)).await?.into_stream();
        let mut file = BufWriter::new(self.objects.clone(), Path::from(to));
        while let Some(piece) = pieces.try_next().await? {
            file.put(piece).await?;
        }
        let whole = file.shutdown().await;
        Ok(whole.map_err(|error| object_store::Error::Generic { store: "output", source: Box::new(error) })?)
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

    /// Writes a file whole, over what may be there: for files whose bytes follow from the job alone. One that is there
    /// already with these bytes stays, for on a full disk there is no room for a second.
    pub async fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), RunError> {
        if self.read(path).await?.as_ref() == Some(&bytes) {
            return Ok(());
        }
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

/// A second name for a file, by way of a piece: what may be there already is replaced and never missing.
fn link(from: &FilePath, piece: &FilePath, to: &FilePath) -> std::io::Result<()> {
    for folder in [piece, to].into_iter().filter_map(FilePath::parent) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::hard_link(from, piece)?;
    let renamed = std::fs::rename(piece, to);
    // Where both are the same file already, renaming leaves both.
    let _ = std::fs::remove_file(piece);
    renamed?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Different for every process and time of asking, so that no two attempts write to one name: not even where machines
/// count their processes alike, or a clock is set back.
pub fn attempt() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Each of these hashers has keys of its own, which the system draws.
    let drawn = RandomState::new().hash_one(now);
    format!("{}-{}-{drawn:016x}", std::process::id(), now.as_nanos())
}

/// A record as indented JSON with a final line feed.
pub fn json_bytes<T: Serialize>(record: &T) -> Result<Vec<u8>, RunError> {
    let mut bytes = serde_json::to_vec_pretty(record).map_err(|error| RunError::Bug(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A store's own words, as what is wrong with `--out`; what may pass by itself is no such thing.
fn unusable(root: &Place, error: pageloom_storage::StorageError) -> RunError {
    match error {
        pageloom_storage::StorageError::Store(error) => error.into(),
        error => RunError::Job(Problem::new(format!("--out {root}"), error.to_string()).into()),
    }
}

fn no_output(root: &FilePath, error: &std::io::Error) -> RunError {
    let problem = Problem::new(root.display().to_string(), format!("is no output folder of pageloom: {error}"));
    RunError::Job(problem.hint("name the folder that `pageloom run` was given as --out").into())
}

fn not_a_folder(root: &FilePath, error: &std::io::Error) -> RunError {
    let problem =
        Problem::new(format!("--out {}", root.display()), format!("can't be used as an output folder: {error}"));
    RunError::Job(problem.hint("name a folder that can be read and written").into())
}
