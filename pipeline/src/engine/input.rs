//! What sources read through: files below the job's folder or wherever its paths lead, and objects of buckets.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use pageloom_storage::Settings;
use tokio::runtime::Handle;

use crate::sources::{FileReader, Files, Footers, Input, InputError, InputObject, read_file};

mod ahead;
mod beyond;
mod buckets;
mod folder;
pub mod heard;

use ahead::Ahead;
pub use beyond::Beyond;
use buckets::Buckets;
pub use buckets::is_address;

/// Files of the local disk and of buckets, for code that runs on blocking threads. Paths are a job's: relative to its
/// folder, or `s3://bucket/key`, `gs://bucket/key`, `az://container/key`.
#[derive(Clone)]
pub struct StoreInput {
    folder: PathBuf,
    buckets: Arc<Buckets>,
    runtime: Handle,
    footers: Arc<Footers>,
}

impl StoreInput {
    /// For the paths of a job file in `folder`.
    pub fn new(folder: &Path, storage: Settings, runtime: Handle) -> std::io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let buckets = Arc::new(Buckets::new(storage, runtime.clone()));
        Ok(Self { folder, buckets, runtime, footers: Arc::default() })
    }

    fn absolute(&self, path: &str) -> PathBuf {
        normal(&self.folder.join(path))
    }

    /// Links within a folder are followed. What lies behind one that leads out of it was not named by the job: whoever
    /// made the folder's content could have any file of this machine read as a page.
    fn refuse_links_out_of(&self, folder: &str, found: &[InputObject]) -> Result<(), InputError> {
        let Ok(root) = self.absolute(folder).canonicalize() else { return Ok(()) };
        let mut inside = BTreeSet::new();
        for InputObject { path, .. } in found {
            let file = self.absolute(path);
            let is_link = file.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
            // A folder's way is looked up once, for all files in it.
            let way = if is_link { file.as_path() } else { file.parent().unwrap_or(&file) };
            if inside.contains(way) {
                continue;
            }
            match way.canonicalize() {
                Ok(real) if !real.starts_with(&root) => {
                    let cause = format!(
                        "a link leads out of `{folder}`, to {}: remove it, or name what it leads to as a source of its own",
                        real.display()
                    );
                    return Err(InputError { path: path.clone(), cause });
                }
                _ => drop(inside.insert(way.to_owned())),
            }
        }
        Ok(())
    }
}

/// The path without `.` and `..`, by its text alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// Without a thread in between: whoever calls may block, and a hop costs more than a small file.
fn range(path: &Path, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        let cause = format!("it ends at byte {}, before {}", offset + bytes.len() as u64, offset + length);
        Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, cause))
    }
}

fn failed(path: &str, error: &dyn std::fmt::Display) -> InputError {
    InputError { path: path.to_owned(), cause: error.to_string() }
}

fn unreadable(path: &str, error: &std::io::Error) -> InputError {
    InputError { path: path.to_owned(), cause: folder::unreadable(error) }
}

impl Input for StoreInput {
    fn list(&self, prefix: &str) -> Result<Vec<InputObject>, InputError> {
        if is_address(prefix) {
            return self.buckets.list(prefix);
        }
        let root = self.absolute(prefix);
        match root.metadata() {
            Ok(meta) if meta.is_file() => Ok(vec![InputObject { path: prefix.to_owned(), size: meta.len() }]),
            _ => self.find(prefix, &|_| true, &|_| true),
        }
    }

    fn find(
        &self,
        folder: &str,
        enters: &dyn Fn(&str) -> bool,
        takes: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<InputObject>, InputError> {
        if is_address(folder) {
            let mut found = self.buckets.list(folder)?;
            found.retain(|file| takes(&file.path));
            return Ok(found);
        }
        let found = folder::find(&self.absolute(folder), folder, enters, takes)?;
        self.refuse_links_out_of(folder, &found)?;
        Ok(found)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, InputError> {
        if is_address(path) {
            return Ok(Box::new(self.buckets.open(path)?));
        }
        Ok(Box::new(File::open(self.absolute(path)).map_err(|error| unreadable(path, &error))?))
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        match is_address(path) {
            true => self.buckets.read_range(path, offset, length),
            false => range(&self.absolute(path), offset, length).map_err(|error| unreadable(path, &error)),
        }
    }

    fn reader<'a>(&'a self, files: Files<'a>) -> FileReader<'a> {
        let far = files.filter(|file| is_address(&file.path));
        let mut ahead = Ahead::new(self.runtime.clone(), Box::new(far), |file| self.buckets.ask(file));
        Box::new(move |file| if is_address(&file.path) { ahead.read(file) } else { read_file(self, file) })
    }

    fn at_once(&self, path: &str) -> usize {
        if is_address(path) { 16 } else { 1 }
    }

    fn tag(&self, path: &str) -> Result<Option<String>, InputError> {
        if is_address(path) { self.buckets.tag(path) } else { Ok(None) }
    }

    fn shared(&self) -> Arc<dyn Input> {
        Arc::new(self.clone())
    }

    fn footers(&self) -> &Footers {
        &self.footers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_in_a_path_are_resolved_by_text() {
        assert_eq!(normal(Path::new("/a/jobs/../data/./x")), Path::new("/a/data/x"));
    }

    #[test]
    fn a_link_is_followed_within_its_folder_and_refused_out_of_it() {
        use std::os::unix::fs::symlink;
        let (runtime, folder) = (tokio::runtime::Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let site = folder.path().join("site");
        std::fs::create_dir_all(site.join("real")).unwrap();
        std::fs::create_dir_all(folder.path().join("private")).unwrap();
        std::fs::write(site.join("real/a.html"), "a").unwrap();
        std::fs::write(folder.path().join("private/key"), "secret").unwrap();
        symlink("real", site.join("again")).unwrap();
        symlink("real/a.html", site.join("b.html")).unwrap();
        symlink(&site, folder.path().join("named")).unwrap();
        let input = StoreInput::new(folder.path(), Settings::default(), runtime.handle().clone()).unwrap();
        for named in ["site", "named"] {
            assert_eq!(input.list(named).unwrap().len(), 3, "{named}");
        }
        for (target, link) in [("../private/key", "c.html"), ("../private", "folder")] {
            symlink(target, site.join(link)).unwrap();
            let refused = input.list("site").unwrap_err();
            assert!(refused.path.contains(link) && refused.cause.contains("leads out of `site`"), "{refused}");
            std::fs::remove_file(site.join(link)).unwrap();
        }
    }

    #[test]
    fn a_listing_names_files_as_the_job_does() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("site/sub dir")).unwrap();
        std::fs::write(folder.path().join("site/sub dir/ä?.html"), "abc").unwrap();
        let input =
            StoreInput::new(&folder.path().join("jobs"), Settings::default(), runtime.handle().clone()).unwrap();
        let found = input.list("../site").unwrap();
        assert_eq!(found.iter().map(|object| object.path.as_str()).collect::<Vec<_>>(), ["../site/sub dir/ä?.html"]);
        let mut text = String::new();
        input.open(&found[0].path).unwrap().read_to_string(&mut text).unwrap();
        let beyond = input.read_range(&found[0].path, 1, 3).unwrap_err();
        assert!(beyond.cause.contains("ends at byte 3, before 4"), "{beyond}");
        assert_eq!((text.as_str(), input.read_range(&found[0].path, 1, 2).unwrap().as_slice()), ("abc", &b"bc"[..]));
    }
}
