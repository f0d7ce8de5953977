//! Lists of files with their sizes and digests.

use std::collections::BTreeSet;
use std::io::Read;

use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::sources::paths::{Unmatched, normal};
use crate::sources::{Input, InputError, InputObject, SourceError};

/// A manifest with more bytes than this is refused.
const MOST_BYTES: u64 = 1 << 30;

/// How a manifest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `sha256sum`'s: a digest, two spaces and a path on each line; or a path alone.
    Lines,
    /// An object on each line.
    JsonLines,
    /// An array of objects, or an object with one under `files`.
    Json,
}

/// The format that a manifest's name tells.
pub fn format_of(name: &str) -> Option<Format> {
    let formats = [(".txt", Format::Lines), (".jsonl", Format::JsonLines), (".json", Format::Json)];
    formats.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format)
}

/// One file of a manifest. What else an object says is none of our business.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Entry {
    path: String,
    sha256: Option<String>,
    bytes: Option<u64>,
}

/// A manifest that was read.
#[derive(Debug)]
pub struct Manifest<'a> {
    path: &'a str,
    entries: Vec<Entry>,
}

impl<'a> Manifest<'a> {
    /// Reads a manifest; an error says what is wrong in it.
    pub fn read(path: &'a str, input: &dyn Input) -> Result<Self, SourceError> {
        let wrong = |message: String| SourceError::Unsuitable { path: path.to_owned(), message };
        let mut text = String::new();
        let read = input.open(path)?.take(MOST_BYTES).read_to_string(&mut text);
        let bytes = read.map_err(|error| wrong(format!("it is no text: {error}")))?;
        if bytes as u64 == MOST_BYTES {
            return Err(wrong(format!("it has more than {MOST_BYTES} bytes")));
        }
        let entries = match format_of(path) {
            Some(Format::Lines) => Ok(text.lines().filter(|line| !line.trim().is_empty()).map(of_line).collect()),
            Some(Format::JsonLines) => of_json_lines(&text),
            Some(Format::Json) => of_json(&text),
            None => Err("its name must end in .txt, .jsonl or .json".to_owned()),
        };
        let mut manifest = Self { path, entries: entries.map_err(wrong)? };
        manifest.check().map_err(wrong)?;
        manifest.entries.iter_mut().for_each(|entry| entry.path = normal(&entry.path));
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for entry in &self.entries {
            if entry.path.starts_with('/') || entry.path.split('/').any(|part| part == "..") {
                return Err(format!(
                    "`{}` leads out of the manifest's folder; put the manifest above its files",
                    entry.path
                ));
            }
            if !seen.insert(normal(&entry.path)) {
                return Err(format!("it lists `{}` twice; leave it there once", entry.path));
            }
            let digest = entry.sha256.as_deref().unwrap_or(NO_DIGEST);
            if !is_digest(digest) {
                return Err(format!("the sha256 of `{}` is `{digest}`, not 64 hexadecimal digits", entry.path));
            }
        }
        Ok(())
    }

    /// Where a file of the list lies.
    fn place(&self, entry: &Entry) -> String {
        match self.path.rfind('/') {
            Some(end) => format!("{}/{}", &self.path[..end], entry.path),
            None => entry.path.clone(),
        }
    }

    /// Every file with its size, in the list's order.
    pub fn list(&self, input: &dyn Input) -> Result<Vec<InputObject>, SourceError> {
        self.entries.par_iter().map(|entry| Ok(of_size(&self.place(entry), input)?)).collect()
    }

    /// Files that are not there or have another size; an empty list too.
    pub fn unmatched(&self, input: &dyn Input) -> Vec<Unmatched> {
        let empty = self.entries.is_empty().then(|| Unmatched {
            message: format!("`{}` lists no file", self.path),
            hint: "write one file on each line".to_owned(),
        });
        let problem = |entry: &Entry| {
            let place = self.place(entry);
            match (of_size(&place, input), entry.bytes) {
                (Err(_), _) => Some(Unmatched {
                    message: format!("`{}` lists `{}`, and `{place}` is not there", self.path, entry.path),
                    hint: "paths in a manifest are relative to its folder".to_owned(),
                }),
                (Ok(file), Some(bytes)) if file.size != bytes => Some(Unmatched {
                    message: format!("`{place}` has {} bytes, but `{}` says {bytes}", file.size, self.path),
                    hint: "fetch the file again, or make the manifest anew".to_owned(),
                }),
                _ => None,
            }
        };
        let problems: Vec<Unmatched> = self.entries.par_iter().filter_map(problem).collect();
        empty.into_iter().chain(problems).collect()
    }

    /// Reads every file that has a digest; an error names the first one, in the list's order, that differs.
    pub fn verify(&self, input: &dyn Input) -> Result<(), SourceError> {
        let problem = |entry: &Entry| {
            let expected = entry.sha256.as_ref()?.to_ascii_lowercase();
            let path = self.place(entry);
            match sha256(&path, input) {
                Ok(found) if found == expected => None,
                Ok(found) => {
                    let message = format!("its sha256 is {found}, but {} says {expected}", self.path);
                    Some(SourceError::Unsuitable { path, message })
                }
                Err(error) => Some(error.into()),
            }
        };
        self.entries.par_iter().find_map_first(problem).map_or(Ok(()), Err)
    }
}

fn of_size(path: &str, input: &dyn Input) -> Result<InputObject, InputError> {
    let missing = || InputError { path: path.to_owned(), cause: "it is not there".to_owned() };
    input.list(path)?.into_iter().find(|file| file.path == path).ok_or_else(missing)
}

/// Stands in for a digest that is not given.
const NO_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn of_line(line: &str) -> Entry {
    let line = line.trim_end_matches('\r');
    // `sha256sum` marks files that it read as binary with a star.
    match line.split_once(' ').filter(|(digest, _)| is_digest(digest)) {
        Some((digest, rest)) => {
            let path = rest.strip_prefix([' ', '*']).unwrap_or(rest);
            Entry { path: path.to_owned(), sha256: Some(digest.to_owned()), bytes: None }
        }
        None => Entry { path: line.to_owned(), sha256: None, bytes: None },
    }
}

fn of_json_lines(text: &str) -> Result<Vec<Entry>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let entry = |(index, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1));
    lines.map(entry).collect()
}

fn of_json(text: &str) -> Result<Vec<Entry>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Json {
        Array(Vec<Entry>),
        Object { files: Vec<Entry> },
    }
    match serde_json::from_str(text) {
        Ok(Json::Array(files) | Json::Object { files }) => Ok(files),
        Err(error) => Err(format!(
            "{error}: it must be an array of objects with `path`, `sha256` and `bytes`, or have one under `files`"
        )),
    }
}

fn sha256(path: &str, input: &dyn Input) -> Result<String, InputError> {
    let failed = |error: std::io::Error| InputError { path: path.to_owned(), cause: error.to_string() };
    let mut file = input.open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use crate::sources::Paths;
    use crate::sources::memory::MemoryInput;

    /// Of `abc`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn paths(manifest: &str) -> Paths {
        Paths { path: None, manifest: Some(format!("data/{manifest}")), ..Paths::at("") }
    }

    fn input(manifest: &str, text: &str) -> MemoryInput {
        let name = format!("data/{manifest}");
        MemoryInput::new(&[(&name, text.as_bytes()), ("data/a b.warc", b"abc"), ("data/c/d.warc", b"abc")])
    }

    #[test]
    fn every_format_lists_the_same_files() {
        let lines = format!("{ABC}  a b.warc\n{ABC} *c/d.warc\r\n\n");
        let objects = format!(
            "{{\"path\":\"a b.warc\",\"sha256\":\"{ABC}\",\"rows\":3}}\n{{\"path\":\"./c/d.warc\",\"bytes\":3}}"
        );
        let array = format!("[{}]", objects.replace('\n', ","));
        let object = format!("{{\"files\":{array}}}");
        for (name, text) in [
            ("f.txt", lines),
            ("f.txt", "a b.warc\nc/d.warc".into()),
            ("f.jsonl", objects),
            ("f.json", array),
            ("f.json", object),
        ] {
            let (paths, input) = (paths(name), input(name, &text));
            assert_eq!(paths.unmatched(&input).unwrap(), [], "{text}");
            let files = paths.list(&input).unwrap();
            let locators: Vec<String> = files.iter().map(|file| paths.locator(&file.path)).collect();
            assert_eq!(locators, ["a b.warc", "c/d.warc"], "{text}");
            assert!(files.iter().all(|file| file.named && file.size == 3));
            paths.verify(&input).unwrap();
        }
    }

    #[test]
    fn a_digest_that_differs_is_told_with_what_was_found() {
        let wrong = ABC.replace("ba78", "ba79");
        let input = input("f.txt", &format!("{ABC}  a b.warc\n{wrong}  c/d.warc"));
        let error = paths("f.txt").verify(&input).unwrap_err().to_string();
        assert_eq!(error, format!("data/c/d.warc: its sha256 is {ABC}, but data/f.txt says {wrong}"));
        Paths { check_sha256: false, ..paths("f.txt") }.verify(&input).unwrap();
    }

    #[test]
    fn a_file_that_is_missing_or_of_another_size_is_told() {
        let text = "{\"path\":\"x\"}\n{\"path\":\"a b.warc\",\"bytes\":4}";
        let unmatched = paths("f.jsonl").unmatched(&input("f.jsonl", text)).unwrap();
        assert_eq!(unmatched[0].message, "`data/f.jsonl` lists `x`, and `data/x` is not there");
        assert_eq!(unmatched[1].message, "`data/a b.warc` has 3 bytes, but `data/f.jsonl` says 4");
        assert_eq!(paths("f.txt").unmatched(&input("f.txt", "\n")).unwrap()[0].message, "`data/f.txt` lists no file");
    }

    #[test]
    fn a_manifest_that_can_not_be_right_is_refused() {
        for (name, text, word) in [
            ("f.txt", "../x", "leads out of the manifest's folder"),
            ("f.txt", "/x", "leads out of the manifest's folder"),
            ("f.txt", "a\n./a", "twice"),
            ("f.json", "[{\"path\":\"a\",\"sha256\":\"12\"}]", "is `12`, not 64 hexadecimal digits"),
            ("f.json", "{}", "under `files`"),
            ("f.jsonl", "{\"path\":\"a\"}\n{}", "line 2: missing field `path`"),
        ] {
            let error = paths(name).unmatched(&input(name, text)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
