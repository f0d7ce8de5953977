//! Wherever an archive is cut into splits, and however its members are unpacked, the same comes out.

use super::*;
use crate::sources::warc::archive::How;

/// Bytes that look like the beginnings of members, frames and records.
const FALSE_STARTS: &[&[u8]] = &[
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    b"\x1f\x8b\x08\x1f",
    b"\x28\xb5\x2f\xfd\x24\x10\x81\x00\x00",
    b"\x28\xb5\x2f\xfd",
    b"WARC/1.0\r\n",
    b"WARC/1.1\r\nnothing of the kind\r\n\r\n",
    b"WARC/",
];

fn pages(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            let filler: Vec<u8> = (0..number * 37 % 200).map(|place| (place * number * 7919 % 256) as u8).collect();
            let body = [&b"<p>"[..], FALSE_STARTS[number % FALSE_STARTS.len()], &filler, &gzip(b"no record")].concat();
            let (kind, name) = if number % 3 == 2 { ("image/png", "i") } else { ("text/html", "p") };
            response(&format!("http://a.example/{name}{number}"), kind, &body)
        })
        .collect()
}

/// Garbage with false starts in it, and one of each that is cut.
fn garbage(record: &[u8]) -> Vec<u8> {
    let packed = gzip(record);
    [&FALSE_STARTS.concat()[..], &packed[..packed.len() / 2], b"garbage\r\n", &record[..record.len() / 2]].concat()
}

/// More bytes than any record of these archives has.
const LONGEST: u64 = 700;

/// Archives of every form by its name, broken ones among them.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let pages = pages(12);
    let packed = |pack: fn(&[u8]) -> Vec<u8>| pages.iter().map(|page| pack(page)).collect::<Vec<_>>();
    let (gzips, zstds) = (packed(gzip), packed(zstd));
    let mut archives = Vec::new();
    for (form, records) in [("plain", &pages), ("gzip", &gzips), ("zstd", &zstds)] {
        archives.push((form, records.concat()));
        let mut broken = records.clone();
        broken[1].truncate(60);
        broken[3].extend(garbage(&pages[0]));
        broken[6].drain(30..40);
        broken.insert(9, vec![b'x'; 500]);
        broken[11].truncate(50);
        archives.push((form, broken.concat()));
    }
    let mixed = (0..12).flat_map(|number| [&pages, &gzips, &zstds][number % 3][number].clone());
    archives.push(("zstd", mixed.collect()));
    archives.push(("gzip", packed(|page| gzip(&[page, page, page].concat())).concat()));
    archives.push(("gzip", pages.iter().flat_map(|page| page.chunks(90)).flat_map(gzip).collect()));
    archives
}

/// What a file gives, cut into splits of so many bytes.
fn read_how(archive: &[u8], unit_bytes: u64, how: How) -> (Collected, Vec<usize>) {
    let input = MemoryInput::new(&[("crawl/a.warc", archive)]);
    let (mut found, mut counts) = (Collected::default(), Vec::new());
    for split in settings().splits(&input, unit_bytes).unwrap() {
        read_split(&settings(), &split, &input, how, &mut found).unwrap();
        counts.push(found.documents.len() + found.images.len() + found.rejects.len());
    }
    (found, counts)
}

fn whole(archive: &[u8]) -> Collected {
    read_how(archive, 1 << 40, How::default()).0
}

/// Where everything stands.
fn places(found: &Collected) -> (Vec<&str>, Vec<u64>, Vec<(&str, &str)>) {
    let pages = found.documents.iter().map(|page| page.locator.as_str()).collect();
    let rejects = found.rejects.iter().map(|reject| (reject.locator.as_str(), reject.detail.as_str())).collect();
    (pages, found.images.iter().map(|image| image.location.offset).collect(), rejects)
}

#[test]
fn every_cut_gives_the_same() {
    for (number, (form, archive)) in archives().iter().enumerate() {
        let expected = whole(archive);
        assert!(!expected.documents.is_empty() && !expected.images.is_empty());
        assert!(archive.len() as u64 > 3 * LONGEST);
        for unit_bytes in [7, 50, 64, 100, 333, 500, 777, 1000, 1500] {
            // Small frames hold records as they are, so that only from outside is it seen that they are none.
            let lookback = if *form == "zstd" { LONGEST } else { 0 };
            let how = How { lookback, ..How::default() };
            let found = read_how(archive, unit_bytes, how).0;
            assert_eq!(places(&found), places(&expected), "archive {number}, {unit_bytes} bytes");
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_large_file_feeds_many_splits() {
    let (_, archive) = archives().swap_remove(0);
    let (found, counts) = read_how(&archive, archive.len() as u64 / 6 + 1, How { lookback: 0, ..How::default() });
    assert_eq!((found.documents.len() + found.images.len(), counts.len()), (12, 6));
    assert!(counts.windows(2).all(|pair| pair[0] < pair[1]), "{counts:?}");
}

#[test]
fn a_record_that_holds_an_archive_is_one_record_wherever_it_is_cut() {
    let inner = pages(6);
    let packed: Vec<u8> = inner.iter().flat_map(|page| gzip(page)).collect();
    let page = |body: &[u8]| response("http://a.example/archive", "text/html", body);
    let around = response("http://a.example/around", "text/html", b"<p>page");
    for body in [inner.concat(), packed.clone(), [&inner.concat()[..], b"tail"].concat()] {
        let stored = crate::sources::memory::gzip_at(&page(&body), 0);
        for nested in [page(&body), stored] {
            let archive = [&around[..], &nested, &around, &gzip(&around)].concat();
            let expected = whole(&archive);
            assert_eq!((expected.documents.len(), expected.rejects.len()), (4, 0));
            for unit_bytes in [50, 100, 333, 1000] {
                let how = How { lookback: nested.len() as u64, ..How::default() };
                assert_eq!(read_how(&archive, unit_bytes, how).0, expected, "{unit_bytes}");
            }
        }
    }
}

#[test]
fn members_unpacked_at_once_and_as_streams_give_the_same() {
    for (number, (_, archive)) in archives().iter().enumerate() {
        let mut streams = read_how(archive, 1 << 40, How { at_once: false, ..How::default() }).0;
        let mut at_once = whole(archive);
        for reject in streams.rejects.iter_mut().chain(&mut at_once.rejects) {
            // The detail says in which words a decoder complained.
            reject.detail.clear();
        }
        assert_eq!(streams, at_once, "archive {number}");
    }
}

#[test]
fn a_member_larger_than_memory_may_hold_is_read_as_a_stream() {
    let filler = response("http://a.example/film", "video/webm", &vec![b'x'; 9 << 20]);
    let pages = pages(3).concat();
    for pack in [gzip, zstd] {
        let (found, input) = super::read("crawl/a.warc", &pack(&[&pages[..], &filler, &pages].concat()));
        assert_eq!((found.documents.len(), found.images.len(), found.reasons()), (4, 2, vec![]));
        assert!(fetch(&found.images[1].location, &input, 1000).unwrap().starts_with(b"<p>"));
        assert_eq!(found.skipped, [("other_content_type", 1)].into());
    }
}
