//! A folder as an object store in which a file is seen whole or not at all, and what a killed run leaves lies apart.
//!
//! `object_store` writes a file beside where it will stand, and a killed process leaves such a piece there for good, in
//! the folder that trainers read. Here pieces are made in a folder of their own and moved when they are whole.
//!
//! A file is on the disk, and its name in its folder, before anything that is written after it: a machine that loses its power
//! leaves no commit of files that are not there.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use crate::engine::store::attempt;

/// Where pieces lie while they are made, relative to the output folder.
pub const STAGING: &str = "staging";

/// A folder with its pieces apart.
#[derive(Debug)]
pub struct StagedFolder {
    files: Arc<LocalFileSystem>,
    /// Different for every process and opening, so that no two write to one piece.
    opening: String,
    pieces: AtomicU64,
    disk: Arc<Disk>,
}

/// Waits until files are on the disk.
#[derive(Debug)]
struct Disk {
    root: PathBuf,
    /// Those whose own names are in the folders above them for good.
    folders: Mutex<BTreeSet<PathBuf>>,
}

impl Disk {
    /// Waits for a file's bytes.
    async fn holds(self: &Arc<Self>, file: &Path) -> Result<()> {
        let file = self.root.join(file.as_ref());
        blocking(move || File::open(file)?.sync_all()).await
    }

    /// Waits for a file's name, and for those of new folders on the way to it.
    async fn names(self: &Arc<Self>, file: &Path) -> Result<()> {
        let disk = self.clone();
        let file = self.root.join(file.as_ref());
        blocking(move || {
            let known = || disk.folders.lock().unwrap_or_else(PoisonError::into_inner);
            let mut new = Vec::new();
            for folder in file.ancestors().skip(1).take_while(|folder| folder.starts_with(&disk.root)) {
                sync_folder(folder)?;
                if known().contains(folder) {
                    break;
                }
                new.push(folder.to_owned());
            }
            // Not before those above them are done: whoever meets one here goes no further up.
            known().extend(new);
            Ok(())
        })
        .await
    }
}

/// Waits until the names in a folder are on the disk.
pub fn sync_folder(folder: &FilePath) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<()> {
    let failed = |error: std::io::Error| Error::Generic { store: "folder", source: Box::new(error) };
    tokio::task::spawn_blocking(work).await?.map_err(failed)
}

impl StagedFolder {
    /// A folder, which must be there.
    pub fn open(root: &FilePath) -> Result<Self> {
        let files = Arc::new(LocalFileSystem::new_with_prefix(root)?);
        let disk = Arc::new(Disk { root: root.to_path_buf(), folders: Mutex::default() });
        Ok(Self { files, opening: attempt(), pieces: AtomicU64::new(0), disk })
    }

    fn piece(&self) -> Path {
        let number = self.pieces.fetch_add(1, Ordering::Relaxed);
        Path::from(format!("{STAGING}/{}-{number}", self.opening))
    }
}

impl Drop for StagedFolder {
    /// Leaves no empty folder behind; one in which another process is at work stays.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(self.disk.root.join(STAGING));
    }
}

impl fmt::Display for StagedFolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for StagedFolder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let piece = self.piece();
        let mode = options.mode.clone();
        let put = self.files.put_opts(&piece, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await?;
        self.disk.holds(&piece).await?;
        match mode {
            PutMode::Create => {
                let linked = self.files.copy_opts(&piece, location, create()).await;
                self.files.delete(&piece).await?;
                linked?;
            }
            _ => self.files.rename_opts(&piece, location, RenameOptions::default()).await?,
        }
        self.disk.names(location).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let piece = self.piece();
        let upload = self.files.put_multipart_opts(&piece, options).await?;
        let (files, disk, location) = (self.files.clone(), self.disk.clone(), location.clone());
        Ok(Box::new(StagedUpload { files, disk, upload, piece, location }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }
}

fn create() -> CopyOptions {
    CopyOptions { mode: CopyMode::Create, ..CopyOptions::default() }
}

#[derive(Debug)]
struct StagedUpload {
    files: Arc<LocalFileSystem>,
    disk: Arc<Disk>,
    upload: Box<dyn MultipartUpload>,
    piece: Path,
    location: Path,
}

#[async_trait]
impl MultipartUpload for StagedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.upload.complete().await?;
        self.disk.holds(&self.piece).await?;
        self.files.rename_opts(&self.piece, &self.location, RenameOptions::default()).await?;
        self.disk.names(&self.location).await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_in(folder: &FilePath) -> Vec<String> {
        let mut found: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        found
    }

    #[tokio::test]
    async fn a_file_that_is_not_whole_is_not_among_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = StagedFolder::open(folder.path()).unwrap();
        store.put(&Path::from("data/whole"), PutPayload::from_static(b"whole")).await.unwrap();
        let mut upload = store.put_multipart(&Path::from("data/parts")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"in ")).await.unwrap();
        assert_eq!(files_in(&folder.path().join("data")), ["whole"]);
        upload.put_part(PutPayload::from_static(b"parts")).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(files_in(&folder.path().join("data")), ["parts", "whole"]);
        assert_eq!(std::fs::read(folder.path().join("data/parts")).unwrap(), b"in parts");
        assert_eq!(files_in(&folder.path().join(STAGING)), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_is_there_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = StagedFolder::open(folder.path()).unwrap();
        let options = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let record = Path::from("commits/record");
        store.put_opts(&record, PutPayload::from_static(b"first"), options()).await.unwrap();
        let refused = store.put_opts(&record, PutPayload::from_static(b"second"), options()).await.unwrap_err();
        assert!(matches!(refused, object_store::Error::AlreadyExists { .. }), "{refused}");
        assert_eq!(std::fs::read(folder.path().join("commits/record")).unwrap(), b"first");
        assert_eq!(files_in(&folder.path().join(STAGING)), Vec::<String>::new());
    }
}
