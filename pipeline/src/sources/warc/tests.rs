//! Archives of every kind, whole and broken.

use super::*;
use crate::sources::memory::{Collected, MemoryInput, gzip, record, response};
use crate::sources::{InputError, InputObject, fetch};

fn read(name: &str, archive: &[u8]) -> (Collected, MemoryInput) {
    let input = MemoryInput::new(&[(name, archive)]);
    let settings = Settings { files: Paths::at("crawl"), max_page_bytes: 100_000 };
    (Collected::read(&settings, &input, 1), input)
}

fn records() -> Vec<Vec<u8>> {
    vec![
        record("warcinfo", "", b"software: x"),
        response("http://a.example/p#top", "text/html; charset=utf-8", b"<p>page"),
        record("request", "http://a.example/p", b"GET /p HTTP/1.1\r\n\r\n"),
        response("<http://a.example/i.png>", "image/png", b"pixels"),
        response("http://a.example/x.css", "text/css", b"*{}"),
    ]
}

fn check(found: &Collected, input: &MemoryInput) {
    assert_eq!(
        (found.documents[0].url.as_str(), &found.documents[0].body[..]),
        ("http://a.example/p", &b"<p>page"[..])
    );
    assert_eq!(found.documents[0].content_type.as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(found.images[0].url, "http://a.example/i.png");
    assert_eq!(fetch(&found.images[0].location, input, 100).unwrap(), b"pixels");
    assert_eq!(
        found.skipped.iter().map(|(kind, count)| (*kind, *count)).collect::<Vec<_>>(),
        [("other_content_type", 1), ("request", 1), ("warcinfo", 1)]
    );
    assert_eq!(found.reasons(), Vec::<&str>::new());
}

#[test]
fn a_plain_archive_gives_pages_and_places_of_images() {
    let (found, input) = read("crawl/a.warc", &records().concat());
    check(&found, &input);
}

#[test]
fn an_archive_of_one_member_per_record_gives_the_same() {
    let members: Vec<Vec<u8>> = records().iter().map(|record| gzip(record)).collect();
    let (found, input) = read("crawl/a.warc.gz", &members.concat());
    check(&found, &input);
    assert_eq!(found.documents[0].locator, format!("a.warc.gz#{}", members[0].len()));
}

#[test]
fn an_archive_of_one_member_for_all_records_gives_pages_and_rejects_images() {
    let (found, _) = read("crawl/a.warc.gz", &gzip(&records().concat()));
    assert_eq!((found.documents.len(), found.images.len()), (1, 0));
    assert_eq!(found.reasons(), ["warc_not_per_record_gzip"]);
}

#[test]
fn a_record_cut_in_the_middle_is_one_reject() {
    let archive = records().concat();
    let (found, _) = read("crawl/a.warc", &archive[..archive.len() - 6]);
    assert_eq!((found.documents.len(), found.images.len(), found.reasons()), (1, 1, vec!["warc_truncated"]));
}

#[test]
fn a_member_cut_in_the_middle_is_one_reject() {
    let members: Vec<Vec<u8>> = records().iter().map(|record| gzip(record)).collect();
    let archive = members.concat();
    let (found, _) = read("crawl/a.warc.gz", &archive[..archive.len() - 12]);
    assert_eq!((found.documents.len(), found.images.len(), found.reasons()), (1, 1, vec!["warc_truncated"]));
}

#[test]
fn garbage_between_records_and_members_is_counted_and_passed_over() {
    let page = response("http://a.example/p", "text/html", b"<p>page");
    let (found, _) = read("crawl/a.warc", &[&page[..], b"rubbish\n", &page].concat());
    assert_eq!((found.documents.len(), found.reasons()), (2, vec!["warc_garbage"]));
    let (found, _) = read("crawl/a.warc.gz", &[&gzip(&page)[..], b"rubbish", &gzip(&page), b"end"].concat());
    assert_eq!((found.documents.len(), found.reasons()), (2, vec!["warc_garbage", "warc_garbage"]));
    let (found, _) = read("crawl/a.warc.gz", &[&b"rubbish"[..], &gzip(&page)].concat());
    assert_eq!((found.documents.len(), found.reasons()), (1, vec!["warc_garbage"]));
}

#[test]
fn a_page_over_the_limit_is_rejected() {
    let (found, _) = read("crawl/a.warc", &response("http://a.example/p", "text/html", &[b'x'; 200_000]));
    assert_eq!(found.reasons(), ["page_too_large"]);
}

#[test]
fn a_url_that_is_none_is_rejected_with_its_text() {
    let (found, _) = read("crawl/a.warc", &response("no url", "text/html", b"<p>"));
    assert_eq!(found.rejects[0].reason, "warc_bad_url");
    assert!(found.rejects[0].detail.ends_with("no url"));
}

#[test]
fn a_member_whose_checksum_is_wrong_is_one_reject() {
    let good = gzip(&response("http://a.example/p", "text/html", b"<p>page"));
    let mut bad = good.clone();
    let checksum = bad.len() - 8;
    bad[checksum] ^= 1;
    let (found, _) = read("crawl/a.warc.gz", &[&bad[..], &good].concat());
    assert_eq!((found.documents.len(), found.reasons()), (1, vec!["warc_broken_member"]));
    assert_eq!(found.rejects[0].url.as_deref(), Some("http://a.example/p"));
}

#[test]
fn a_response_that_names_no_type_is_told_by_its_bytes() {
    let untyped =
        |body: &[u8]| record("response", "http://a.example/x", &[&b"HTTP/1.1 200 OK\r\n\r\n"[..], body].concat());
    let archive = [untyped(b"<!DOCTYPE html><p>"), untyped(b"GIF89a"), untyped(b"plain")].concat();
    let (found, _) = read("crawl/a.warc", &archive);
    assert_eq!((found.documents.len(), found.images.len()), (1, 1));
    assert_eq!(found.skipped, [("other_content_type", 1)].into());
}

#[test]
fn responses_that_failed_are_passed_over() {
    let moved = record("response", "http://a.example/x", b"HTTP/1.1 301 Moved\r\nContent-Type: text/html\r\n\r\n<p>");
    assert_eq!(read("crawl/a.warc", &moved).0.skipped, [("http_status", 1)].into());
}

#[test]
fn resources_are_pages_and_images_of_their_own_type() {
    let resource = b"WARC/1.1\nwarc-type: resource\nWARC-Target-URI: file:///i.gif\ncontent-type: image/gif\nContent-Length: 6\n\nGIF89a\n\n";
    let (found, input) = read("crawl/a.warc", resource);
    assert_eq!(fetch(&found.images[0].location, &input, 6).unwrap(), b"GIF89a");
}

#[test]
fn only_archives_of_a_folder_are_read_and_a_folder_without_any_is_refused() {
    let settings = Settings { files: Paths::at("crawl"), max_page_bytes: 1 };
    let split = |names: &[&str]| {
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b""[..])).collect();
        settings.splits(&MemoryInput::new(&files), 1).map(|splits| splits.len()).map_err(|error| error.to_string())
    };
    assert_eq!(split(&["crawl/a.warc", "crawl/b/c.warc.gz", "crawl/index.cdx"]), Ok(2));
    assert_eq!(split(&["crawl/index.cdx"]), Err("crawl: of the files in it, none is a .warc or .warc.gz".to_owned()));
    assert_eq!(split(&[]), Ok(0));
    assert_eq!(split(&["crawl"]), Ok(1));
}

/// A storage that fails after a few bytes.
struct Failing<'a>(&'a [u8]);

impl Input for Failing<'_> {
    fn list(&self, _: &str) -> Result<Vec<InputObject>, InputError> {
        Ok(vec![InputObject { path: "crawl/a.warc".into(), size: 1000 }])
    }

    fn open(&self, _: &str) -> Result<Box<dyn Read + Send>, InputError> {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the line is dead"))
            }
        }
        Ok(Box::new(std::io::Cursor::new(self.0.to_vec()).chain(Broken)))
    }

    fn read_range(&self, path: &str, _: u64, _: u64) -> Result<Vec<u8>, InputError> {
        Err(InputError { path: path.to_owned(), cause: "the line is dead".to_owned() })
    }

    fn shared(&self) -> std::sync::Arc<dyn Input> {
        unreachable!("only Parquet files are read so")
    }

    fn footers(&self) -> &crate::sources::Footers {
        unreachable!("only Parquet files have one")
    }
}

#[test]
fn a_storage_that_fails_is_no_reject() {
    let settings = Settings { files: Paths::at("crawl"), max_page_bytes: 100 };
    for start in [&b"WARC/1.0\r\n"[..], &gzip(b"WARC/1.0\r\n")[..12], b""] {
        let input = Failing(start);
        let split = settings.splits(&input, 1).unwrap().remove(0);
        let error = settings.read(&split, &input, &mut Collected::default()).unwrap_err();
        assert_eq!(error.to_string(), "crawl/a.warc: the line is dead");
    }
}
