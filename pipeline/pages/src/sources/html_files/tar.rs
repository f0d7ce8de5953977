//! A tree of pages and images inside one tar.

use std::collections::HashSet;
use std::io::Result;
use std::ops::ControlFlow;

use crate::sources::html_files::{Role, Settings, page};
use crate::sources::tar_members::{Found, Member, TarMembers};
use crate::sources::{
    Container, ImageLocation, Input, Location, Piece, Records, RejectedRecord, SourceError, file_url,
};

/// Reads the tar's members in order. A broken tar gives what stands before the break, and one reject. `folder` is where
/// the tar's tree lies among others: empty, or with a slash at its end.
pub fn read(
    settings: &Settings,
    piece: &Piece,
    folder: &str,
    input: &dyn Input,
    records: &mut dyn Records,
) -> std::result::Result<ControlFlow<()>, SourceError> {
    let mut members = TarMembers::new(input, &piece.path, piece.length);
    let tar = Tar { settings, path: &piece.path, folder };
    let go_on = match tar.members(&mut members, records) {
        Ok(go_on) => go_on,
        Err(error) => records.reject(reject(&piece.path, "tar_broken", &error.to_string())),
    };
    members.check()?;
    Ok(go_on)
}

fn reject(locator: &str, reason: &'static str, detail: &str) -> RejectedRecord {
    RejectedRecord { locator: locator.to_owned(), url: None, reason, detail: detail.to_owned() }
}

struct Tar<'a> {
    settings: &'a Settings,
    path: &'a str,
    folder: &'a str,
}

type Seen = HashSet<blake3::Hash>;

impl Tar<'_> {
    fn members(&self, members: &mut TarMembers<'_>, records: &mut dyn Records) -> Result<ControlFlow<()>> {
        let mut pages_seen = Seen::new();
        while let Some(found) = members.next()? {
            let go_on = match found {
                Found::File(member) => self.file(&member, members, &mut pages_seen, records)?,
                Found::Folder => {
                    records.skip("folder");
                    ControlFlow::Continue(())
                }
                Found::Reject(rejected) => records.reject(rejected),
            };
            if go_on.is_break() {
                return Ok(go_on);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn file(
        &self,
        member: &Member,
        members: &mut TarMembers<'_>,
        pages_seen: &mut Seen,
        records: &mut dyn Records,
    ) -> Result<ControlFlow<()>> {
        let locator = &format!("{}{}", self.folder, member.name);
        Ok(match self.settings.role(locator) {
            Role::Page if !pages_seen.insert(blake3::hash(locator.as_bytes())) => {
                records.reject(reject(locator, "duplicate_page", "a page of this name stands before it in the tar"))
            }
            Role::Page if member.size > self.settings.max_page_bytes => {
                records.reject(self.settings.too_large(locator, member.size))
            }
            Role::Page => records.document(page(locator, members.read(member)?)),
            Role::Image => {
                let (path, offset, length) = (self.path.to_owned(), member.offset, member.size);
                let location = Location { container: Container::Bytes, path, offset, length };
                records.image(ImageLocation { url: file_url(locator), location })
            }
            Role::Other => {
                records.skip("other_file");
                ControlFlow::Continue(())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::fetch;
    use crate::sources::memory::{Collected, MemoryInput, tar_of};

    fn settings() -> Settings {
        Settings { files: crate::sources::Paths::at("site.tar"), ..crate::sources::SourceSettings::example() }
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
