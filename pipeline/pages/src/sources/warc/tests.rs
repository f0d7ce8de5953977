//! Archives of every kind, whole and broken.

use std::sync::Arc;

use super::*;
use crate::sources::memory::{Collected, MemoryInput, gzip, record, response, zstd};
use crate::sources::{InputError, InputObject, fetch, fetch_response};

mod cuts;

fn settings() -> Settings {
    Settings { max_page_bytes: 100_000, max_shared_image_bytes: 100_000, ..Settings::example() }
}

fn read(name: &str, archive: &[u8]) -> (Collected, MemoryInput) {
    let input = MemoryInput::new(&[(name, archive)]);
    (Collected::read(&settings(), &input, 1 << 40), input)
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
fn an_archive_of_one_member_for_all_records_gives_the_same() {
    let (found, input) = read("crawl/a.warc.gz", &gzip(&records().concat()));
    check(&found, &input);
    assert_eq!(found.documents[0].locator, "a.warc.gz#0+1");
    let (found, input) = read("crawl/a.warc.zst", &zstd(&records().concat()));
    check(&found, &input);
}

#[test]
fn an_archive_of_one_frame_per_record_gives_the_same() {
    let frames: Vec<Vec<u8>> = records().iter().map(|record| zstd(record)).collect();
    let (found, input) = read("crawl/a.warc.zst", &frames.concat());
    check(&found, &input);
    assert_eq!(found.documents[0].locator, format!("a.warc.zst#{}", frames[0].len()));
}

#[test]
fn a_record_may_span_members_and_frames() {
    for pack in [gzip, zstd] {
        let split: Vec<u8> = records().iter().flat_map(|record| record.chunks(50).flat_map(pack)).collect();
        let (found, input) = read("crawl/a.warc", &split);
        check(&found, &input);
    }
}

/// A dictionary made of heads like those of the tests.
const DICTIONARY: &[u8] = include_bytes!("tests/records.zdict");

fn skippable(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[kind, 0x2a, 0x4d, 0x18], &(data.len() as u32).to_le_bytes()[..], data].concat()
}

#[test]
fn a_dictionary_at_the_beginning_is_used_for_every_frame() {
    let mut encoder = ::zstd::bulk::Compressor::with_dictionary(3, DICTIONARY).unwrap();
    let mut frames: Vec<Vec<u8>> = records().iter().map(|record| encoder.compress(record).unwrap()).collect();
    frames.insert(2, skippable(0x50, b"an extension"));
    for dictionary in [DICTIONARY.to_vec(), zstd(DICTIONARY)] {
        let archive = [skippable(0x5d, &dictionary), frames.concat()].concat();
        let (found, input) = read("crawl/a.warc.zst", &archive);
        check(&found, &input);
        for unit_bytes in [100, 300, 1000] {
            assert_eq!(Collected::read(&settings(), &input, unit_bytes), found);
        }
    }
    let (found, _) = read("crawl/a.warc.zst", &[skippable(0x5d, &zstd(DICTIONARY)[..90]), frames.concat()].concat());
    assert_eq!((found.documents.len(), found.rejects[0].reason), (0, "warc_bad_dictionary"));
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
    assert_eq!(
        (found.rejects[0].locator.as_str(), found.rejects[0].detail.as_str()),
        ("a.warc.gz#0", "7 bytes that are no record")
    );
}

#[test]
fn plain_records_members_and_frames_may_stand_in_one_file() {
    let page = response("http://a.example/p", "text/html", b"<p>page");
    let archive = [&page[..], &gzip(&page), &zstd(&page), &page, &gzip(&[&page[..], &page].concat())].concat();
    let (found, _) = read("crawl/a.warc", &archive);
    assert_eq!((found.documents.len(), found.reasons()), (6, vec![]));
}

/// A page whose record claims another length.
fn claiming(length: usize) -> Vec<u8> {
    let page = response("http://a.example/wrong", "text/html", b"<p>page");
    let right = format!(
        "Content-Length: {}",
        page.len() - 4 - page.windows(4).position(|four| four == b"\r\n\r\n").unwrap() - 4
    );
    let text = String::from_utf8(page).unwrap();
    assert!(text.contains(&right));
    text.replacen(&right, &format!("Content-Length: {length}"), 1).into_bytes()
}

#[test]
fn a_record_of_a_wrong_length_is_one_reject_and_the_next_is_read() {
    let page = |number: usize| response(&format!("http://a.example/{number}"), "text/html", b"<p>page");
    for length in [0, 3, 20, 60, 90, 150, 1000, 200_000, usize::MAX] {
        let wrong = claiming(length);
        let stretches = [page(1), wrong.clone(), page(2), page(3)];
        let members: Vec<u8> = stretches.iter().flat_map(|record| gzip(record)).collect();
        for archive in [stretches.concat(), gzip(&stretches.concat()), zstd(&stretches.concat()), members] {
            let (found, _) = read("crawl/a.warc", &archive);
            let urls: Vec<&str> = found.documents.iter().map(|page| page.url.as_str()).collect();
            assert_eq!(urls, ["http://a.example/1", "http://a.example/2", "http://a.example/3"], "{length}");
            assert_eq!(found.rejects.len(), 1, "{length} {:?}", found.rejects);
            assert_eq!(found.rejects[0].url.as_deref(), Some("http://a.example/wrong"));
        }
    }
}

#[test]
fn a_member_that_is_cut_does_not_take_the_next_ones_with_it() {
    let page = |number: usize| response(&format!("http://a.example/{number}"), "text/html", &[b'x'; 999]);
    for pack in [gzip, zstd] {
        let members: Vec<Vec<u8>> = (0..4).map(|number| pack(&page(number))).collect();
        for length in 4..members[1].len() {
            let archive = [&members[0][..], &members[1][..length], &members[2], &members[3]].concat();
            let (found, _) = read("crawl/a.warc", &archive);
            assert_eq!((found.documents.len(), found.rejects.len()), (3, 1), "{length} {:?}", found.rejects);
        }
    }
}

#[test]
fn conversions_are_documents_where_the_job_says_so() {
    let wet = record("conversion", "http://a.example/p", "Ein Wort: ä".as_bytes());
    let wet = String::from_utf8(wet).unwrap().replacen("\r\n\r\n", "\r\nContent-Type: text/plain\r\n\r\n", 1);
    assert_eq!(read("crawl/a.warc", wet.as_bytes()).0.skipped, [("conversion", 1)].into());
    let settings = Settings { conversions: Conversions::Documents, ..settings() };
    let found = Collected::read(&settings, &MemoryInput::new(&[("crawl/a.warc", wet.as_bytes())]), 1);
    assert_eq!(found.documents[0].content_type.as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(found.documents[0].body, "Ein Wort: ä".as_bytes());
}

#[test]
fn records_of_every_other_type_are_told_apart() {
    let kinds = ["warcinfo", "request", "metadata", "revisit", "conversion", "continuation", "mystery"];
    for version in ["0.17", "0.18", "1.0", "1.1"] {
        let archive: Vec<u8> = kinds.iter().flat_map(|kind| record(kind, "http://a.example/p", b"x")).collect();
        let archive = String::from_utf8(archive).unwrap().replace("WARC/1.0", &format!("WARC/{version}"));
        let expected = kinds.map(|kind| (if kind == "mystery" { "unknown_record_type" } else { kind }, 1));
        assert_eq!(read("crawl/a.warc", archive.as_bytes()).0.skipped, expected.into());
    }
}

#[test]
fn a_digest_that_is_wrong_is_a_reject_if_digests_are_verified() {
    let block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let digested = |field: &str| {
        let page = String::from_utf8(record("response", "http://a.example/p", block)).unwrap();
        page.replacen("Content-Length", &format!("{field}\r\nContent-Length"), 1).into_bytes()
    };
    let reasons = |field: &str, verify_digests: bool| {
        let settings = Settings { verify_digests, ..settings() };
        Collected::read(&settings, &MemoryInput::new(&[("crawl/a.warc", &digested(field))]), 1 << 20).reasons()
    };
    // Of the two chunks as they came, and of `hi` alone.
    for payload in ["sha1:IJMZXTSHEGKTKRBP4EFGEVOFRX2S6NRV", "sha1:YIVV7ELYGQTASQUNN5I3FRNPJQF542SC"] {
        assert_eq!(reasons(&format!("WARC-Payload-Digest: {payload}"), true), Vec::<&str>::new());
    }
    let wrong = "WARC-Block-Digest: sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ";
    let wrong_payload = wrong.replace("Block", "Payload");
    assert_eq!(reasons(wrong, true), ["warc_digest_mismatch"]);
    assert_eq!(reasons(&wrong_payload, true), ["warc_digest_mismatch"]);
    assert_eq!(reasons(&format!("WARC-Truncated: length\r\n{wrong_payload}"), true), Vec::<&str>::new());
    assert_eq!(reasons("WARC-Block-Digest: crc9:00", true), Vec::<&str>::new());
    assert_eq!(reasons(wrong, false), Vec::<&str>::new());
}

#[test]
fn an_image_says_who_may_not_use_it() {
    let image =
        b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nX-Robots-Tag: noai\r\nX-Robots-Tag: bot: none\r\n\r\nGIF89a";
    let image = record("response", "http://a.example/i.gif", image);
    for archive in [image.clone(), gzip(&image), gzip(&[&image[..], &image].concat())] {
        let (found, input) = read("crawl/a.warc", &archive);
        let fetched = fetch_response(&found.images[0].location, &input, 6).unwrap();
        assert_eq!(
            (fetched.bytes.as_slice(), fetched.robots),
            (&b"GIF89a"[..], vec!["noai".into(), "bot: none".into()])
        );
    }
}

#[test]
fn an_image_over_the_limit_of_shared_ones_is_rejected_only_if_it_shares_its_member() {
    let image = response("http://a.example/i.png", "image/png", &[b'x'; 300_000]);
    let (found, _) = read("crawl/a.warc.gz", &gzip(&image));
    assert_eq!((found.images.len(), found.rejects.len()), (1, 0));
    let page = response("http://a.example/p", "text/html", b"<p>page");
    for records in [[&image[..], &page], [&page, &image]] {
        let (found, _) = read("crawl/a.warc.gz", &gzip(&records.concat()));
        assert_eq!((found.documents.len(), found.reasons()), (1, vec!["image_too_large"]));
    }
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
    let settings = settings();
    let split = |names: &[&str]| {
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b""[..])).collect();
        settings.splits(&MemoryInput::new(&files), 1).map(|splits| splits.len()).map_err(|error| error.to_string())
    };
    assert_eq!(split(&["crawl/a.warc", "crawl/b/c.warc.gz", "crawl/index.cdx"]), Ok(2));
    assert_eq!(
        split(&["crawl/index.cdx"]),
        Err("crawl: of the files in it, none is a .warc or .warc.gz or .warc.zst".to_owned())
    );
    assert_eq!(split(&[]), Ok(0));
    assert_eq!(split(&["crawl"]), Ok(1));
}

/// A storage that fails after a few bytes.
struct Failing<'a>(&'a [u8]);

impl Input for Failing<'_> {
    fn list(&self, _: &str) -> Result<Vec<InputObject>, InputError> {
        Ok(vec![InputObject { path: "crawl/a.warc".into(), size: 1 << 20 }])
    }

    fn open(&self, path: &str) -> Result<Box<dyn std::io::Read + Send>, InputError> {
        Err(InputError { path: path.to_owned(), cause: "the line is dead".to_owned() })
    }

    fn read_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, InputError> {
        if offset > 0 || self.0.is_empty() {
            return self.open(path).map(|_| Vec::new());
        }
        let mut start = self.0.to_vec();
        start.resize(length as usize, b'x');
        Ok(start)
    }

    fn shared(&self) -> Arc<dyn Input> {
        unreachable!("only Parquet files are read so")
    }

    fn footers(&self) -> &crate::sources::Footers {
        unreachable!("only Parquet files have one")
    }
}

#[test]
fn a_storage_that_fails_is_no_reject() {
    let mut long = response("http://a.example/p", "text/html", &[b'x'; 500_000]);
    long.truncate(1000);
    for start in [&long[..], &gzip(&long)[..40], b""] {
        let input = Failing(start);
        let split = settings().splits(&input, 1 << 40).unwrap().remove(0);
        let error = settings().read(&split, &input, &mut Collected::default()).unwrap_err();
        assert_eq!(error.to_string(), "crawl/a.warc: the line is dead");
    }
}

#[test]
fn more_broken_records_than_may_wait_are_each_a_reject_and_what_follows_is_read() {
    let broken = b"WARC/1.0\nContent-Length: x\n\n".repeat(200);
    let member = gzip(&[&broken[..], &records().concat()].concat());
    let (found, _) = read("crawl/a.warc.gz", &member);
    assert_eq!((found.reasons().len(), found.documents.len()), (200, 1), "{:?}", found.reasons());
}
