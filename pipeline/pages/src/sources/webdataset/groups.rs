//! Groups the members of a tar by their keys, and reads of each group what is not an image.

use std::collections::HashSet;
use std::ops::ControlFlow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;
use url::Url;

use crate::sources::tar_members::{Found, Member, TarMembers};
use crate::sources::{
    Container, ImageLocation, Input, InputError, Location, Piece, Records, RejectedRecord, canonical, file_url,
};

/// Which endings are what, in lower case.
#[derive(Clone, Copy)]
pub struct Extensions<'a> {
    pub pages: &'a [String],
    pub images: &'a [String],
    /// Whether `.txt` is read.
    pub captions: bool,
}

impl Extensions<'_> {
    /// What pages are called.
    pub fn of_pages() -> Vec<String> {
        ["html", "htm", "xhtml"].map(str::to_owned).to_vec()
    }

    /// What images are called.
    pub fn of_images() -> Vec<String> {
        ["avif", "bmp", "gif", "jpeg", "jpg", "png", "svg", "tif", "tiff", "webp"].map(str::to_owned).to_vec()
    }
}

/// Members that stand together and have the same key.
#[derive(Debug, Default)]
pub struct Group {
    /// Their path up to the first point of the name.
    pub key: String,
    /// The place of the first of them in the tar.
    pub first: u64,
    /// A page.
    pub page: Option<(String, Vec<u8>)>,
    /// A text.
    pub text: Option<Vec<u8>>,
    /// What the `.json` says.
    pub about: Option<About>,
    /// The images, unread.
    pub images: Vec<Member>,
}

/// The fields of a group's `.json` that say what its members are, as `img2dataset` writes them.
#[derive(Debug, Default, Deserialize)]
pub struct About {
    /// Where the image, or the page, comes from.
    pub url: Option<String>,
    /// What the image shows.
    pub caption: Option<String>,
    /// `success`, or what went wrong.
    pub status: Option<String>,
}

impl Group {
    /// The URL that the `.json` says.
    pub fn url(&self) -> Option<Url> {
        Url::parse(self.about.as_ref()?.url.as_deref()?).ok()
    }

    /// The place of one of its images, under a URL or else under its own path.
    pub fn image(&self, member: &Member, path: &str, url: Option<Url>) -> ImageLocation {
        let url = url.map_or_else(|| file_url(&member.name), canonical);
        let (path, offset, length) = (path.to_owned(), member.offset, member.size);
        ImageLocation { url, location: Location { container: Container::Bytes, path, offset, length } }
    }
}

/// What a path may not hold as it is, beside what the URL parser encodes by itself.
const PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b'\\');

/// The URL of a path relative to another.
pub fn relative_to(base: &Url, path: &str) -> Option<Url> {
    // A colon in the first name is none behind a scheme.
    base.join(&format!("./{}", utf8_percent_encode(path, PATH))).ok()
}

/// The URL of a file beside a page.
pub fn beside(page: &Url, name: &str) -> Option<Url> {
    relative_to(page, name.rsplit('/').next().unwrap_or(name))
}

/// A `.json` with more bytes than this is not read.
const MOST_JSON_BYTES: u64 = 1 << 20;

/// A tar whose groups are read.
pub struct Groups<'a> {
    pub piece: &'a Piece,
    /// The tar's path in its source.
    pub locator: &'a str,
    pub extensions: Extensions<'a>,
    pub max_page_bytes: u64,
}

/// What to do with a group.
type Take<'a> = &'a mut dyn FnMut(Group, &mut dyn Records) -> ControlFlow<()>;

impl Groups<'_> {
    /// Reads the tar in order. A broken tar gives the groups that stand before the break, and one reject.
    pub fn read(
        &self,
        input: &dyn Input,
        records: &mut dyn Records,
        mut take: impl FnMut(Group, &mut dyn Records) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, InputError> {
        let mut members = TarMembers::new(input, &self.piece.path, self.piece.length);
        let go_on = match self.groups(&mut members, records, &mut take) {
            Ok(go_on) => go_on,
            Err(error) => records.reject(self.reject(None, "tar_broken", error.to_string())),
        };
        members.check()?;
        Ok(go_on)
    }

    fn groups(
        &self,
        members: &mut TarMembers<'_>,
        records: &mut dyn Records,
        take: Take<'_>,
    ) -> std::io::Result<ControlFlow<()>> {
        let (mut group, mut names) = (Group::default(), HashSet::new());
        while let Some(found) = members.next()? {
            let go_on = match found {
                Found::Reject(reject) => records.reject(reject),
                Found::Folder => skip("folder", records),
                Found::File(member) => match split_name(&member.name) {
                    None => skip("other_file", records),
                    Some((key, ending)) => {
                        if key != group.key && Self::end(&mut group, records, take).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                        if group.key.is_empty() {
                            (group.key, group.first) = (key.to_owned(), member.offset);
                        }
                        self.member(&member, &ending, &mut group, &mut names, members, records)?
                    }
                },
            };
            if go_on.is_break() {
                return Ok(go_on);
            }
        }
        Ok(Self::end(&mut group, records, take))
    }

    /// Hands on the group that was read, if there is one, and begins another.
    fn end(group: &mut Group, records: &mut dyn Records, take: Take<'_>) -> ControlFlow<()> {
        match std::mem::take(group) {
            none if none.key.is_empty() => ControlFlow::Continue(()),
            group => take(group, records),
        }
    }

    fn member(
        &self,
        member: &Member,
        ending: &str,
        group: &mut Group,
        names: &mut HashSet<[u8; 16]>,
        members: &mut TarMembers<'_>,
        records: &mut dyn Records,
    ) -> std::io::Result<ControlFlow<()>> {
        // Images are named by their paths, so a second one of the same path would be shown in place of the first.
        if !names.insert(short_hash(&member.name)) {
            let detail = "a member of this name stands before it in the tar".to_owned();
            return Ok(records.reject(self.reject(Some(&member.name), "duplicate_member", detail)));
        }
        let last = ending.rsplit('.').next().unwrap_or(ending);
        let is = |endings: &[String]| endings.iter().any(|known| known == last);
        let (is_page, is_text) = (is(self.extensions.pages), ending == "txt" && self.extensions.captions);
        let limit = if ending == "json" { MOST_JSON_BYTES } else { self.max_page_bytes };
        if (is_page || is_text || ending == "json") && member.size > limit {
            let reason = if ending == "json" { "webdataset_json_too_large" } else { "page_too_large" };
            let detail = format!("{} bytes are more than {limit}", member.size);
            return Ok(records.reject(self.reject(Some(&member.name), reason, detail)));
        }
        if is_page && group.page.is_none() {
            let page = members.read(member)?;
            group.page = Some((member.name.clone(), page));
        } else if is_text {
            group.text = Some(members.read(member)?);
        } else if ending == "json" {
            match serde_json::from_slice(&members.read(member)?) {
                Ok(about) => group.about = Some(about),
                Err(error) => {
                    return Ok(records.reject(self.reject(
                        Some(&member.name),
                        "webdataset_bad_json",
                        error.to_string(),
                    )));
                }
            }
        } else if is(self.extensions.images) {
            group.images.push(member.clone());
        } else {
            records.skip("other_file");
        }
        Ok(ControlFlow::Continue(()))
    }

    fn reject(&self, name: Option<&str>, reason: &'static str, detail: String) -> RejectedRecord {
        let locator = name.map_or_else(|| self.locator.to_owned(), |name| format!("{}/{name}", self.locator));
        RejectedRecord { locator, url: None, reason, detail }
    }
}

fn skip(kind: &'static str, records: &mut dyn Records) -> ControlFlow<()> {
    records.skip(kind);
    ControlFlow::Continue(())
}

/// A member's key, and its ending in lower case, which may have points of its own. Names of the library itself, such as
/// `__meta__`, have none, nor do hidden files.
fn split_name(path: &str) -> Option<(&str, String)> {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let point = path[name..].find('.').filter(|point| *point > 0)? + name;
    let key = &path[..point];
    (!path.starts_with("__")).then(|| (key, path[point + 1..].to_lowercase()))
}

fn short_hash(name: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
    short
}
