//! A corpus presented several times over, without taking its room on the disk.

use std::io;
use std::path::Path;

use crate::job::LoadedJob;
use crate::sources::SourceConfig;

/// The `--set` option that makes a job's corpus so many times larger; `None` for once.
///
/// A folder becomes a folder of such folders, with hard links for files: pages and images get new URLs, so there are more
/// of both. Files (a tar, web archives) are read by so many sources: their pages are new documents, but their images keep
/// their URLs, and are encoded once. Who awaits it may stop between two copies.
pub async fn sources_copied(job: &LoadedJob, copies: u32, folder: &Path) -> io::Result<Option<String>> {
    if copies == 1 {
        return Ok(None);
    }
    let mut sources = Vec::new();
    for (index, source) in job.draft.sources.iter().flatten().enumerate() {
        let path = source.files().path.as_deref().map(|path| job.resolve(Path::new(path)));
        if let Some(path) = path.filter(|path| path.is_dir()) {
            let several = folder.join(index.to_string());
            for copy in 0..copies {
                link_tree(&path, &several.join(format!("{copy:04}")))?;
                tokio::task::yield_now().await;
            }
            let several = std::path::absolute(several)?;
            sources.push(as_in_job(&source.with_path(&several.display().to_string()))?);
        } else {
            sources.resize(sources.len() + copies as usize, as_in_job(source)?);
        }
    }
    Ok(Some(format!("sources={}", toml::Value::Array(sources))))
}

/// The source as the job file would say it.
fn as_in_job(source: &SourceConfig) -> io::Result<toml::Value> {
    toml::Value::try_from(source).map_err(io::Error::other)
}

/// The same tree elsewhere. Files are hard links, or copies where the folders are on two disks.
fn link_tree(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (there, here) = (entry.path(), to.join(entry.file_name()));
        // Links are followed; one that leads nowhere is no part of the corpus.
        match std::fs::metadata(&there) {
            Ok(kind) if kind.is_dir() => link_tree(&there, &here)?,
            Ok(_) => {
                let there = std::fs::canonicalize(&there)?;
                if std::fs::hard_link(&there, &here).is_err() {
                    std::fs::copy(&there, &here)?;
                }
            }
            Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_linked_several_times_and_a_file_is_read_several_times() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("site/img")).unwrap();
        std::fs::write(folder.path().join("site/img/a.png"), "a").unwrap();
        std::fs::write(folder.path().join("crawl.warc"), "w").unwrap();
        let job = "[[sources]]\nhtml_files = { path = \"site\" }\n[[sources]]\nwarc = { path = \"crawl.warc\" }\n";
        std::fs::write(folder.path().join("job.toml"), job).unwrap();
        let job = LoadedJob::read(&folder.path().join("job.toml"), &[]).unwrap();
        let copies = folder.path().join("copies");
        let set = sources_copied(&job, 3, &copies).await.unwrap().unwrap();
        assert!(copies.join("0/0002/img/a.png").is_file() && !copies.join("0/0003").exists());
        let again = LoadedJob::read(&folder.path().join("job.toml"), &[set]).unwrap();
        let sources = again.draft.sources.unwrap();
        let paths: Vec<_> =
            sources.iter().map(|source| (source.name(), source.files().path.as_deref().map(Path::new))).collect();
        let warc = ("warc", Some(Path::new("crawl.warc")));
        assert_eq!(paths, [("html_files", Some(copies.join("0").as_path())), warc, warc, warc]);
    }

    #[tokio::test]
    async fn once_leaves_the_job_as_it_is() {
        let job = LoadedJob::read(Path::new("../jobs/demo.toml"), &[]).unwrap();
        assert_eq!(sources_copied(&job, 1, Path::new("nowhere")).await.unwrap(), None);
    }
}
