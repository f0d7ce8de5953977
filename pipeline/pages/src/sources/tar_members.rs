//! The members of a tar in order: where each lies and what it is called, within bounds.

use std::io::{Error, Read, Result};

use tar::{EntryType, Header, PaxExtensions};

use crate::sources::input::Watched;
use crate::sources::range_reader::RangeReader;
use crate::sources::{Input, InputError, RejectedRecord};

const BLOCK: u64 = 512;

/// A longer name is not read. Linux opens no path of more than 4,096 bytes.
const MOST_NAME_BYTES: u64 = 4096;

/// Nor are more bytes of what may stand beside a name: times, owners, attributes.
const MOST_PAX_BYTES: u64 = 64 << 10;

/// A file in a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path, without `.` and `//`.
    pub name: String,
    /// Its first byte in the tar.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// What stands at one place of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file.
    File(Member),
    /// What only describes files.
    Folder,
    /// What can't be kept.
    Reject(RejectedRecord),
}

/// A tar being read. What is not asked for is passed over unread.
pub struct TarMembers<'a> {
    file: Watched<RangeReader<'a>>,
    path: &'a str,
    position: u64,
    next: u64,
    size: u64,
}

/// What the headers before a member say of it.
#[derive(Default)]
struct Beside {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    too_long: Option<u64>,
}

impl<'a> TarMembers<'a> {
    /// Reads a tar of `size` bytes.
    pub fn new(input: &'a dyn Input, path: &'a str, size: u64) -> Self {
        Self { file: Watched::new(RangeReader::new(input, path, 0, size)), path, position: 0, next: 0, size }
    }

    /// An error if the storage has failed, rather than the tar.
    pub fn check(self) -> std::result::Result<(), InputError> {
        self.file.check(self.path)
    }

    /// The next member; an error if the tar is broken there.
    pub fn next(&mut self) -> Result<Option<Found>> {
        let mut beside = Beside::default();
        while let Some(header) = self.header()? {
            match header.entry_type() {
                EntryType::GNULongName => match self.bounded(&header, MOST_NAME_BYTES)? {
                    Ok(mut name) => {
                        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                        name.truncate(end);
                        beside.name = Some(name);
                    }
                    Err(bytes) => beside.too_long = Some(bytes),
                },
                EntryType::XHeader => match self.bounded(&header, MOST_PAX_BYTES)? {
                    Ok(extensions) => beside.read(&extensions)?,
                    Err(bytes) => beside.too_long = Some(bytes),
                },
                EntryType::GNULongLink | EntryType::XGlobalHeader => self.pass(header.entry_size()?)?,
                kind => return Ok(Some(self.member(&header, kind, beside)?)),
            }
        }
        Ok(None)
    }

    /// A member's bytes; only right after [`TarMembers::next`] gave it.
    pub fn read(&mut self, member: &Member) -> Result<Vec<u8>> {
        self.go_to(member.offset);
        self.take(member.size)
    }

    fn member(&mut self, header: &Header, kind: EntryType, beside: Beside) -> Result<Found> {
        if kind == EntryType::GNUSparse {
            self.pass_sparse_maps(header)?;
        }
        let size = beside.size.map_or_else(|| header.entry_size(), Ok)?;
        let offset = self.next;
        self.pass(size)?;
        let bytes = beside.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let name = String::from_utf8_lossy(&bytes);
        if let Some(length) = beside.too_long {
            return Ok(reject(
                &name,
                "tar_name_too_long",
                format!("its name, or what stands beside it, has {length} bytes"),
            ));
        }
        let is_folder = kind.is_dir() || (kind.is_file() && name.ends_with('/'));
        Ok(match file_name(&bytes) {
            _ if is_folder => Found::Folder,
            _ if !kind.is_file() && !kind.is_contiguous() => reject(&name, "unsafe_path", "it is a link or a device"),
            Ok(name) => Found::File(Member { name, offset, size }),
            Err((reason, detail)) => reject(&name, reason, detail),
        })
    }

    /// The header at the next place; `None` at the end, which is zeros.
    fn header(&mut self) -> Result<Option<Header>> {
        self.go_to(self.next);
        let there = BLOCK.min(self.size.saturating_sub(self.next));
        if there == 0 {
            return Err(Error::other("it ends without the zeros that end a tar"));
        }
        let block = self.take(there)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        if block.len() < bytes.len() {
            return Err(Error::other("it ends in the middle of a header"));
        }
        bytes.copy_from_slice(&block);
        let sum: u32 = block[..148].iter().chain(&block[156..]).map(|byte| u32::from(*byte)).sum();
        if header.cksum().ok() != Some(sum + 8 * u32::from(b' ')) {
            return Err(Error::other(format!("there is no header at byte {}", self.next)));
        }
        self.next += BLOCK;
        Ok(Some(header))
    }

    /// The bytes behind a header, or how many there are if they are too many.
    fn bounded(&mut self, header: &Header, limit: u64) -> Result<std::result::Result<Vec<u8>, u64>> {
        let size = header.entry_size()?;
        let offset = self.next;
        self.pass(size)?;
        if size > limit {
            return Ok(Err(size));
        }
        self.go_to(offset);
        self.take(size).map(Ok)
    }

    /// Passes over so many bytes behind a header, and what fills their last block.
    fn pass(&mut self, size: u64) -> Result<()> {
        let end = self.next.checked_add(size).filter(|end| *end <= self.size);
        let end = end.ok_or_else(|| Error::other(format!("it ends in the middle of a member of {size} bytes")))?;
        self.next = end.next_multiple_of(BLOCK);
        Ok(())
    }

    fn pass_sparse_maps(&mut self, header: &Header) -> Result<()> {
        let mut more = header.as_gnu().is_some_and(|header| header.isextended[0] == 1);
        while more {
            self.go_to(self.next);
            more = self.take(BLOCK)?.get(504) == Some(&1);
            self.next += BLOCK;
        }
        Ok(())
    }

    fn go_to(&mut self, position: u64) {
        self.file.inner().skip(position.saturating_sub(self.position));
        self.position = self.position.max(position);
    }

    fn take(&mut self, bytes: u64) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        let read = (&mut self.file).take(bytes).read_to_end(&mut taken)?;
        self.position += read as u64;
        match read as u64 == bytes {
            true => Ok(taken),
            false => Err(Error::other("it is shorter than it was when it was listed")),
        }
    }
}

impl Beside {
    fn read(&mut self, extensions: &[u8]) -> Result<()> {
        for extension in PaxExtensions::new(extensions) {
            let extension = extension?;
            match extension.key_bytes() {
                b"path" if extension.value_bytes().len() as u64 > MOST_NAME_BYTES => {
                    self.too_long = Some(extension.value_bytes().len() as u64);
                }
                b"path" => self.name = Some(extension.value_bytes().to_vec()),
                b"size" => {
                    let size = extension.value().ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(|| Error::other("a member's size is no number"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn file_name(bytes: &[u8]) -> std::result::Result<String, (&'static str, &'static str)> {
    let name = std::str::from_utf8(bytes).map_err(|_| ("name_not_utf8", "its name is not UTF-8"))?;
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(("unsafe_path", "its name leads out of the tar"));
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(parts.join("/"))
}

fn reject(name: &str, reason: &'static str, detail: impl Into<String>) -> Found {
    Found::Reject(RejectedRecord { locator: name.to_owned(), url: None, reason, detail: detail.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::{MemoryInput, tar_of};

    /// Each file with its bytes, the reason of each reject, and at last what broke.
    fn read(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
        let input = MemoryInput::new(&[("a.tar", tar)]);
        let mut members = TarMembers::new(&input, "a.tar", tar.len() as u64);
        let mut found = Vec::new();
        loop {
            match members.next() {
                Ok(Some(Found::File(member))) => {
                    let bytes = members.read(&member).unwrap();
                    assert_eq!(bytes, tar[member.offset as usize..][..member.size as usize]);
                    found.push((member.name, bytes));
                }
                Ok(Some(Found::Folder)) => found.push(("folder".into(), Vec::new())),
                Ok(Some(Found::Reject(reject))) => found.push((reject.reason.into(), Vec::new())),
                Ok(None) => return found,
                Err(error) => {
                    found.push((error.to_string(), Vec::new()));
                    return found;
                }
            }
        }
    }

    fn names(tar: &[u8]) -> Vec<String> {
        read(tar).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_name_of_any_length_that_a_path_may_have_is_read() {
        let long = ["n".repeat(100), "m".repeat(4000)].map(|name| format!("{name}/x"));
        let tar = tar_of(&[("./a//b", b"1"), (&long[0], b"22"), (&long[1], b""), ("c", &[7; 1000])]);
        let expected = [("a/b", vec![b'1']), (&long[0], vec![b'2'; 2]), (&long[1], vec![]), ("c", vec![7; 1000])];
        assert_eq!(read(&tar), expected.map(|(name, bytes)| (name.to_owned(), bytes)));
    }

    #[test]
    fn a_longer_name_is_rejected_unread_and_its_neighbours_stay() {
        for length in [MOST_NAME_BYTES as usize + 1, 3 << 20] {
            let tar = tar_of(&[("a", b"1"), (&"n".repeat(length), b"22"), ("b", b"3")]);
            assert_eq!(names(&tar), ["a", "tar_name_too_long", "b"]);
        }
    }

    #[test]
    fn a_name_in_a_pax_header_is_bounded_too() {
        let long = "n".repeat(MOST_NAME_BYTES as usize + 1);
        let noise = "x".repeat(MOST_PAX_BYTES as usize);
        for (key, value, expected) in
            [("path", "p/q", "p/q"), ("path", &long, "tar_name_too_long"), ("comment", &noise, "tar_name_too_long")]
        {
            let mut tar = tar::Builder::new(Vec::new());
            tar.append_pax_extensions([(key, value.as_bytes())]).unwrap();
            let mut header = Header::new_ustar();
            header.set_size(3);
            tar.append_data(&mut header, "short", &b"abc"[..]).unwrap();
            header.set_size(0);
            tar.append_data(&mut header, "folder/", &b""[..]).unwrap();
            assert_eq!(names(&tar.into_inner().unwrap()), [expected, "folder"]);
        }
    }

    #[test]
    fn a_size_in_a_pax_header_counts() {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_pax_extensions([("size", &b"700"[..])]).unwrap();
        let mut bytes = tar.into_inner().unwrap();
        bytes.truncate(1024);
        let mut member = tar_of(&[("a", &[5; 700]), ("b", b"1")]);
        // The header itself says nothing of the size, and its checksum is right.
        let mut header = Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_size(0);
        header.set_cksum();
        member[..512].copy_from_slice(header.as_bytes());
        assert_eq!(names(&[bytes, member].concat()), ["a", "b"]);
    }

    #[test]
    fn a_header_that_is_none_breaks_the_tar_there() {
        let mut tar = tar_of(&[("a", b"1"), ("b", b"2")]);
        tar[1024] ^= 1;
        assert_eq!(names(&tar), ["a", "there is no header at byte 1024"]);
        tar.truncate(1200);
        assert_eq!(names(&tar), ["a", "it ends in the middle of a header"]);
        tar.truncate(1024);
        assert_eq!(names(&tar), ["a", "it ends without the zeros that end a tar"]);
    }
}
