//! Where a source's files lie: a path, a pattern, several of them, or a manifest.

use std::collections::BTreeMap;

use crate::sources::manifest::{self, Manifest};
use crate::sources::{Input, SourceError};

/// What a source's settings say of its files: exactly one of `path`, `paths` and `manifest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// A file, a folder or a pattern.
    pub path: Option<String>,
    /// Several of these.
    pub paths: Vec<String>,
    /// A file that lists files.
    pub manifest: Option<String>,
    /// Whether the digests of a manifest are checked.
    pub check_sha256: bool,
}

/// Declares a source's `Settings`: where its files lie, and then its own fields. In a job file they stand side by side.
macro_rules! settings_with_paths {
    (
        $(#[$about:meta])*
        pub struct Settings { $($(#[$field:meta])* pub $name:ident: $type:ty,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(from = "InJob", into = "InJob")]
        pub struct Settings {
            /// Where its files lie.
            pub files: $crate::sources::Paths,
            $($(#[$field])* pub $name: $type,)*
        }

        /// The settings as a job file says them.
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename = "Settings", deny_unknown_fields)]
        struct InJob {
            /// A file, a folder or a pattern such as `crawl/**/*.gz`, relative to the job file, or `s3://bucket/key`,
            /// `gs://bucket/key`, `az://container/key`. `*` stands for any part of a name, `**` for any folders; a file that a
            /// pattern names by its ending is read whatever the ending is.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            path: Option<String>,
            /// Several of these. A file that more than one of them names is read once.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            paths: Vec<String>,
            /// A file that lists files, relative to its own folder, with their digests: `sha256sum`'s lines (`.txt`), or
            /// objects with `path`, `sha256` and `bytes` (`.jsonl`; as an array or under `files` in `.json`).
            #[serde(default, skip_serializing_if = "Option::is_none")]
            manifest: Option<String>,
            /// Whether a new run reads every file of the manifest once to compare its SHA-256.
            #[serde(default = "yes", skip_serializing_if = "is_yes")]
            check_sha256: bool,
            $($(#[$field])* $name: $type,)*
        }

        fn yes() -> bool {
            true
        }

        fn is_yes(value: &bool) -> bool {
            *value
        }

        impl From<InJob> for Settings {
            fn from(job: InJob) -> Self {
                let InJob { path, paths, manifest, check_sha256, $($name),* } = job;
                let files = $crate::sources::Paths { path, paths, manifest, check_sha256 };
                Self { files, $($name),* }
            }
        }

        impl From<Settings> for InJob {
            fn from(settings: Settings) -> Self {
                let Settings { files, $($name),* } = settings;
                let $crate::sources::Paths { path, paths, manifest, check_sha256 } = files;
                Self { path, paths, manifest, check_sha256, $($name),* }
            }
        }
    };
}
pub(super) use settings_with_paths;

/// One of a source's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as `Input` names it.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the job names it, rather than a folder that it is in: then it is read whatever its ending is.
    pub named: bool,
}

/// Something that a job names and that is not there, with a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Paths {
    /// One file, folder or pattern.
    pub fn at(path: &str) -> Self {
        Self { path: Some(path.to_owned()), paths: Vec::new(), manifest: None, check_sha256: true }
    }

    /// What is wrong with them by themselves.
    pub fn check(&self) -> Vec<String> {
        let given = [self.path.is_some(), !self.paths.is_empty(), self.manifest.is_some()];
        let mut problems = Vec::new();
        if given.into_iter().filter(|given| *given).count() != 1 {
            problems.push("name the files with one of `path`, `paths` and `manifest`".to_owned());
        }
        for entry in self.entries() {
            if entry.is_empty() {
                problems.push("an empty path names nothing; the job file's folder is `.`".to_owned());
            }
            if entry.split_once("://").and_then(|(_, rest)| rest.split('/').next()).is_some_and(is_pattern) {
                problems.push("a pattern can't stand for a bucket: name it, as in `s3://bucket/crawl/*.gz`".to_owned());
            }
            if let (true, Err(error)) = (is_pattern(entry), glob::Pattern::new(entry)) {
                problems.push(format!("`{entry}` is no pattern: {error}"));
            }
        }
        if let Some(manifest) = self.manifest.as_deref().filter(|name| manifest::format_of(name).is_none()) {
            problems.push(format!("`{manifest}` is no manifest: its name must end in .txt, .jsonl or .json"));
        }
        problems
    }

    /// Files and folders that are named as they are.
    pub fn literal(&self) -> impl Iterator<Item = &str> {
        self.entries().filter(|entry| !is_pattern(entry)).chain(self.manifest.as_deref())
    }

    fn entries(&self) -> impl Iterator<Item = &str> {
        self.path.iter().chain(&self.paths).map(String::as_str)
    }

    /// Patterns that match nothing, and a manifest that is wrong.
    pub fn unmatched(&self, input: &dyn Input) -> Result<Vec<Unmatched>, SourceError> {
        let mut unmatched = Vec::new();
        for pattern in self.entries().filter(|entry| is_pattern(entry)) {
            if matches(pattern, input)?.is_empty() {
                unmatched
                    .push(Unmatched { message: format!("`{pattern}` matches no file"), hint: there(pattern, input) });
            }
        }
        if let Some(path) = &self.manifest {
            unmatched.extend(Manifest::read(path, input)?.unmatched(input));
        }
        Ok(unmatched)
    }

    /// All files, sorted by their paths, each once.
    pub fn list(&self, input: &dyn Input) -> Result<Vec<SourceFile>, SourceError> {
        let mut files = BTreeMap::new();
        let mut add = |file: SourceFile| {
            let once = files.entry(normal(&file.path)).or_insert_with(|| file.clone());
            once.named |= file.named;
        };
        for entry in self.entries() {
            if is_pattern(entry) {
                matches(entry, input)?.into_iter().for_each(&mut add);
                continue;
            }
            let listed = input.list(entry)?;
            listed
                .into_iter()
                .for_each(|file| add(SourceFile { named: file.path == entry, path: file.path, size: file.size }));
        }
        if let Some(path) = &self.manifest {
            let listed = Manifest::read(path, input)?.list(input)?;
            listed.into_iter().for_each(|file| add(SourceFile { path: file.path, size: file.size, named: true }));
        }
        let mut files: Vec<SourceFile> = files.into_values().collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// The files with one of these endings, and those that the job names; an error if there are others only.
    pub fn list_ending(&self, input: &dyn Input, endings: &[&str]) -> Result<Vec<SourceFile>, SourceError> {
        let mut files = self.list(input)?;
        let empty = files.is_empty();
        files.retain(|file| file.named || endings.iter().any(|ending| file.path.ends_with(ending)));
        if files.is_empty() && !empty {
            let message = format!("of the files in it, none is a {}", endings.join(" or "));
            return Err(SourceError::Unsuitable { path: self.said(), message });
        }
        Ok(files)
    }

    /// Whether the job names this file itself, or by its ending.
    pub fn names(&self, path: &str) -> bool {
        let path = normal(path);
        let matches = |pattern: &str| {
            glob::Pattern::new(&normal(pattern)).is_ok_and(|pattern| pattern.matches_with(&path, AS_PATHS))
        };
        self.manifest.is_some()
            || self.entries().any(|entry| match is_pattern(entry) {
                true => names_endings(entry) && matches(entry),
                false => normal(entry) == path,
            })
    }

    /// Whether files below this folder are the source's, or would be. Both are absolute: `absolute` makes an entry so.
    pub fn reads_below(&self, folder: &str, absolute: impl Fn(&str) -> String) -> bool {
        let folder = normal(folder);
        self.entries().any(|entry| match (is_pattern(entry), normal(&absolute(entry))) {
            (true, pattern) => may_hold(&pattern, &folder),
            (false, entry) => folder == entry || folder.starts_with(&format!("{}/", entry.trim_end_matches('/'))),
        })
    }

    /// What the job says, for messages.
    fn said(&self) -> String {
        let said: Vec<&str> = self.entries().chain(self.manifest.as_deref()).collect();
        said.join(", ")
    }

    /// Compares the digests of a manifest with its files, each of which is read whole.
    pub fn verify(&self, input: &dyn Input) -> Result<(), SourceError> {
        match self.manifest.as_deref().filter(|_| self.check_sha256) {
            Some(path) => Manifest::read(path, input)?.verify(input),
            None => Ok(()),
        }
    }

    /// A file's path below the folder that all of the source's files are in: what its documents are named by, wherever the
    /// source lies.
    pub fn locator(&self, path: &str) -> String {
        below(&normal(path), &self.root()).to_owned()
    }

    /// A folder that is named alone, the folders before a pattern, those that several paths have in common, or a
    /// manifest's.
    fn root(&self) -> String {
        if let Some(path) = self.path.as_deref() {
            return if is_pattern(path) { normal(base(path)) } else { normal(path) };
        }
        if let Some(manifest) = &self.manifest {
            return normal(folder(manifest));
        }
        let mut folders =
            self.paths.iter().map(|entry| normal(if is_pattern(entry) { base(entry) } else { folder(entry) }));
        let first = folders.next().unwrap_or_default();
        folders.fold(first, |one, other| common(&one, &other))
    }
}

fn is_pattern(entry: &str) -> bool {
    entry.contains(['*', '?'])
}

/// A star stops at a slash, as in a shell.
const AS_PATHS: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Whether a pattern names what it takes: one that ends in a bare star takes whatever is there.
fn names_endings(pattern: &str) -> bool {
    !matches!(pattern.rsplit('/').next(), Some("*" | "**"))
}

/// The folders before the first part of a pattern that is no plain name.
fn base(pattern: &str) -> &str {
    let first = pattern.find(['*', '?']).unwrap_or(pattern.len());
    folder(&pattern[..first])
}

/// The path up to its last part; `.` where there is only one.
fn folder(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(end) => &path[..end],
        None => ".",
    }
}

/// The parts that two paths begin with.
fn common(one: &str, other: &str) -> String {
    let same = one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other);
    same.map(|(part, _)| part).collect::<Vec<_>>().join("/")
}

/// One spelling for each path, by its text alone: without `.`, `//` and `name/..`.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match parts.last() {
            Some(last) if part == ".." && *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("{}{}", if path.starts_with('/') { "/" } else { "" }, parts.join("/"))
}

/// The path without the folder `root`; a file that is the root itself has its name.
fn below<'a>(path: &'a str, root: &str) -> &'a str {
    let rest = path
        .strip_prefix(root)
        .filter(|rest| root.is_empty() || root.ends_with('/') || rest.is_empty() || rest.starts_with('/'));
    match rest.unwrap_or(path).trim_start_matches('/') {
        "" => path.rsplit('/').next().unwrap_or(path),
        rest => rest,
    }
}

fn matches(pattern: &str, input: &dyn Input) -> Result<Vec<SourceFile>, SourceError> {
    let unsuitable =
        |error: glob::PatternError| SourceError::Unsuitable { path: pattern.to_owned(), message: error.to_string() };
    let wanted = glob::Pattern::new(&normal(pattern)).map_err(unsuitable)?;
    let (named, folders) = (names_endings(pattern), normal(pattern));
    let takes = |path: &str| wanted.matches_with(&normal(path), AS_PATHS);
    let files = input.find(base(pattern), &|folder| may_hold(&folders, &normal(folder)), &takes)?;
    Ok(files.into_iter().map(|file| SourceFile { path: file.path, size: file.size, named }).collect())
}

/// Whether files in or below this folder can match a pattern.
fn may_hold(pattern: &str, folder: &str) -> bool {
    let mut parts = pattern.split('/');
    for name in folder.split('/') {
        match parts.next() {
            Some("**") => return true,
            Some(part) if glob::Pattern::new(part).is_ok_and(|part| part.matches_with(name, AS_PATHS)) => {}
            _ => return false,
        }
    }
    parts.next().is_some()
}

/// What is there instead of what a pattern looks for.
fn there(pattern: &str, input: &dyn Input) -> String {
    const SHOWN: usize = 3;
    let base = base(pattern);
    let files = input.list(base).unwrap_or_default();
    let names: Vec<String> = files.iter().take(SHOWN).map(|file| format!("`{}`", file.path)).collect();
    match files.len() {
        0 => format!("`{base}` is empty or not there; paths are relative to the job file's folder"),
        count => format!("`{base}` holds {count} files, such as {}; `**/` stands for any folders", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::MemoryInput;

    fn input() -> MemoryInput {
        let files = ["crawl/a.warc", "crawl/b.txt", "crawl/old/c.warc", "crawl2/d.warc", "other/e.warc"];
        MemoryInput::new(&files.map(|file| (file, &b"x"[..])))
    }

    fn several(paths: &[&str]) -> Paths {
        Paths { path: None, paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..Paths::at("") }
    }

    /// Each file with its locator.
    fn listed(paths: &Paths) -> Vec<(String, String)> {
        let files = paths.list(&input()).unwrap();
        files.into_iter().map(|file| (paths.locator(&file.path), file.path)).collect()
    }

    fn check(paths: &Paths, expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(locator, path)| ((*locator).to_owned(), (*path).to_owned())).collect();
        assert_eq!(listed(paths), expected, "{paths:?}");
    }

    #[test]
    fn files_of_a_folder_are_named_below_it() {
        check(
            &Paths::at("crawl/"),
            &[("a.warc", "crawl/a.warc"), ("b.txt", "crawl/b.txt"), ("old/c.warc", "crawl/old/c.warc")],
        );
        check(&Paths::at("crawl/a.warc"), &[("a.warc", "crawl/a.warc")]);
    }

    #[test]
    fn a_pattern_names_files_below_the_folders_before_it() {
        check(&Paths::at("crawl/*.warc"), &[("a.warc", "crawl/a.warc")]);
        check(&Paths::at("crawl/**/*.warc"), &[("a.warc", "crawl/a.warc"), ("old/c.warc", "crawl/old/c.warc")]);
        check(&Paths::at("crawl/?.txt"), &[("b.txt", "crawl/b.txt")]);
        check(&Paths::at("crawl/[bc].t*"), &[("b.txt", "crawl/b.txt")]);
    }

    #[test]
    fn a_pattern_leads_into_those_folders_alone_that_may_hold_its_files() {
        for (pattern, folder, expected) in [
            ("*.gz", "old", false),
            ("crawl/*.gz", "crawl", true),
            ("crawl/*.gz", "crawl/old", false),
            ("crawl/*/a.gz", "crawl/old", true),
            ("crawl/*/a.gz", "crawl/old/er", false),
            ("crawl/**/*.gz", "crawl/old/er", true),
            ("crawl/o*/**/*.gz", "crawl/new", false),
        ] {
            assert_eq!(may_hold(pattern, folder), expected, "{pattern} {folder}");
        }
    }

    #[test]
    fn an_output_below_a_source_is_seen() {
        for (path, folder, expected) in [
            (".", "/job/out", true),
            ("site", "/job/out", false),
            ("site", "/job/site/out", true),
            ("site", "/job/site", true),
            ("site", "/job/site2", false),
            ("*.gz", "/job/out", false),
            ("**/*.gz", "/job/out", true),
        ] {
            assert_eq!(
                Paths::at(path).reads_below(folder, |entry| format!("/job/{entry}")),
                expected,
                "{path} {folder}"
            );
        }
    }

    #[test]
    fn a_file_that_several_paths_name_is_read_once() {
        let paths = several(&["other/e.warc", "crawl/./a.warc", "crawl/*.warc", "crawl"]);
        let expected = ["crawl/a.warc", "crawl/b.txt", "crawl/old/c.warc", "other/e.warc"];
        assert_eq!(listed(&paths).iter().map(|(locator, _)| locator.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn several_paths_are_named_below_the_folder_that_holds_all() {
        let paths = several(&["/data/one/a", "/data/two/*.x"]);
        assert_eq!(paths.locator("/data/one/a/b"), "one/a/b");
        assert_eq!(paths.locator("/data/two/c.x"), "two/c.x");
    }

    #[test]
    fn files_are_named_by_the_job_or_found_in_a_folder() {
        let named = |paths: Paths| paths.list(&input()).unwrap().iter().map(|file| file.named).collect::<Vec<_>>();
        assert_eq!(named(Paths::at("crawl")), [false, false, false]);
        assert_eq!(named(Paths::at("crawl/*")), [false, false]);
        assert_eq!(named(Paths::at("crawl/*.txt")), [true]);
        assert_eq!(named(several(&["crawl", "crawl/b.txt"])), [false, true, false]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_told_with_what_is_there() {
        let unmatched = Paths::at("crawl/*.gz").unmatched(&input()).unwrap();
        assert_eq!(unmatched[0].message, "`crawl/*.gz` matches no file");
        assert!(unmatched[0].hint.contains("holds 3 files, such as `crawl/a.warc`"), "{}", unmatched[0].hint);
        let unmatched = Paths::at("no/*.gz").unmatched(&input()).unwrap();
        assert!(unmatched[0].hint.contains("not there"), "{}", unmatched[0].hint);
    }

    #[test]
    fn no_files_and_files_named_in_two_ways_are_refused() {
        let none = Paths { path: None, ..Paths::at("") };
        let two = Paths { manifest: Some("files.txt".into()), ..Paths::at("crawl") };
        for paths in [none, two] {
            assert_eq!(paths.check(), ["name the files with one of `path`, `paths` and `manifest`"]);
        }
        assert_eq!(Paths::at("crawl").check(), Vec::<String>::new());
        assert!(Paths::at("crawl/***").check()[0].contains("is no pattern"));
        let manifest = Paths { path: None, manifest: Some("files.csv".into()), ..Paths::at("") };
        assert!(manifest.check()[0].contains(".txt, .jsonl or .json"));
    }

    #[test]
    fn a_folder_is_stripped_at_whole_names_only() {
        assert_eq!(below("crawl2/d.warc", "crawl"), "crawl2/d.warc");
        assert_eq!(below(".hidden/a", &normal(".")), ".hidden/a");
    }
}
