//! A tree of pages and images inside one tar.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;

use crate::sources::html_files::{Role, Settings, page};
use crate::sources::input::Watched;
use crate::sources::{Container, ImageLocation, Input, Location, Records, RejectedRecord, SourceError, file_url};

/// Reads the tar's members in order. A broken tar gives what stands before the break, and one reject.
pub fn read(
    settings: &Settings,
    path: &str,
    input: &dyn Input,
    records: &mut dyn Records,
) -> Result<ControlFlow<()>, SourceError> {
    let mut file = Watched::new(input.open(path)?);
    let mut pages_seen = HashSet::new();
    let tar = Tar { settings, path };
    let go_on = match tar.members(BufReader::with_capacity(64 << 10, &mut file), &mut pages_seen, records) {
        Ok(go_on) => go_on,
        Err(error) => records.reject(reject(path, "tar_broken", &error.to_string())),
    };
    file.check(path)?;
    Ok(go_on)
}

fn reject(locator: &str, reason: &'static str, detail: &str) -> RejectedRecord {
    RejectedRecord { locator: locator.to_owned(), url: None, reason, detail: detail.to_owned() }
}

struct Tar<'a> {
    settings: &'a Settings,
    path: &'a str,
}

type Seen = HashSet<blake3::Hash>;

impl Tar<'_> {
    fn members(
        &self,
        file: impl Read,
        pages_seen: &mut Seen,
        records: &mut dyn Records,
    ) -> std::io::Result<ControlFlow<()>> {
        for entry in ::tar::Archive::new(file).entries()? {
            let entry = entry?;
            let go_on = match self.name(&entry) {
                Ok(Some(locator)) => self.file(&locator, entry, pages_seen, records)?,
                Ok(None) => {
                    records.skip("folder");
                    ControlFlow::Continue(())
                }
                Err(rejected) => records.reject(rejected),
            };
            if go_on.is_break() {
                return Ok(go_on);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The path of a file; `None` for what only describes files.
    fn name<R: Read>(&self, entry: &::tar::Entry<'_, R>) -> Result<Option<String>, RejectedRecord> {
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            return Ok(None);
        }
        let bytes = entry.path_bytes();
        let name = String::from_utf8_lossy(&bytes);
        let unsafe_path = |detail| Err(reject(&name, "unsafe_path", detail));
        if !kind.is_file() {
            return unsafe_path("it is a link or a device");
        }
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return unsafe_path("its name leads out of the tar");
        }
        if std::str::from_utf8(&bytes).is_err() {
            return Err(reject(&name, "name_not_utf8", "its name is not UTF-8"));
        }
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        Ok(Some(parts.join("/")))
    }

    fn file<R: Read>(
        &self,
        locator: &str,
        mut entry: ::tar::Entry<'_, R>,
        pages_seen: &mut Seen,
        records: &mut dyn Records,
    ) -> std::io::Result<ControlFlow<()>> {
        let length = entry.size();
        match self.settings.role(locator) {
            Role::Page if !pages_seen.insert(blake3::hash(locator.as_bytes())) => {
                Ok(records.reject(reject(locator, "duplicate_page", "a page of this name stands before it in the tar")))
            }
            Role::Page if length > self.settings.max_page_bytes => {
                Ok(records.reject(self.settings.too_large(locator, length)))
            }
            Role::Page => {
                let mut body = Vec::new();
                entry.read_to_end(&mut body)?;
                if (body.len() as u64) < length {
                    return Err(std::io::Error::other(format!("it ends in the middle of {locator}")));
                }
                Ok(records.document(page(locator, body)))
            }
            Role::Image => {
                let (path, offset) = (self.path.to_owned(), entry.raw_file_position());
                let location = Location { container: Container::Bytes, path, offset, length };
                Ok(records.image(ImageLocation { url: file_url(locator), location }))
            }
            Role::Other => {
                records.skip("other_file");
                Ok(ControlFlow::Continue(()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::fetch;
    use crate::sources::memory::{Collected, MemoryInput, tar_of};

    fn settings() -> Settings {
        Settings { path: "site.tar".into(), ..crate::sources::SourceSettings::example() }
    }

    #[test]
    fn an_image_is_read_back_from_the_middle_of_the_tar() {
        let long = format!("{}/picture.png", "folder".repeat(30));
        let tar = tar_of(&[("./a.html", b"<p>"), (long.as_str(), b"pixels")]);
        let input = MemoryInput::new(&[("site.tar", &tar)]);
        let found = Collected::read(&settings(), &input, 1);
        assert_eq!(found.documents[0].url, "file:///a.html");
        assert_eq!(found.images[0].url, format!("file:///{long}"));
        assert_eq!(fetch(&found.images[0].location, &input, 100).unwrap(), b"pixels");
    }

    #[test]
    fn a_cut_tar_gives_what_stands_before_the_cut() {
        let tar = tar_of(&[("a.html", b"<p>"), ("b.html", &[b'x'; 3000])]);
        let found = Collected::read(&settings(), &MemoryInput::new(&[("site.tar", &tar[..2000])]), 1);
        assert_eq!((found.documents.len(), found.rejects[0].reason), (1, "tar_broken"));
    }

    /// A tar of empty files whose headers are as given, however wrong.
    fn tar_of_headers(files: &[(&str, ::tar::EntryType)]) -> Vec<u8> {
        let mut tar = ::tar::Builder::new(Vec::new());
        for (name, kind) in files {
            let mut header = ::tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(0);
            header.set_cksum();
            tar.append(&header, &b""[..]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn outcome(name: &str, kind: ::tar::EntryType) -> Vec<&'static str> {
        let tar = tar_of_headers(&[("a.html", ::tar::EntryType::Regular), (name, kind)]);
        Collected::read(&settings(), &MemoryInput::new(&[("site.tar", &tar)]), 1).reasons()
    }

    #[test]
    fn a_name_that_leads_out_of_the_tar_is_rejected() {
        for name in ["../b.html", "/b.html", "c/../../b.html"] {
            assert_eq!(outcome(name, ::tar::EntryType::Regular), ["unsafe_path"], "{name}");
        }
        assert_eq!(outcome("b.html", ::tar::EntryType::Symlink), ["unsafe_path"]);
        assert_eq!(outcome("b.html", ::tar::EntryType::Link), ["unsafe_path"]);
    }

    #[test]
    fn a_second_page_of_the_same_name_is_rejected() {
        assert_eq!(outcome("./a.html", ::tar::EntryType::Regular), ["duplicate_page"]);
        assert_eq!(outcome("b.html", ::tar::EntryType::Regular), Vec::<&str>::new());
    }

    #[test]
    fn names_in_pax_headers_are_read() {
        let mut tar = ::tar::Builder::new(Vec::new());
        tar.append_pax_extensions([("path", &b"\xc3\xa4/page.html"[..])]).unwrap();
        let mut header = ::tar::Header::new_ustar();
        header.set_size(3);
        tar.append_data(&mut header, "short.html", &b"<p>"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        let found = Collected::read(&settings(), &MemoryInput::new(&[("site.tar", &tar)]), 1);
        assert_eq!(found.documents[0].locator, "\u{e4}/page.html");
    }
}
