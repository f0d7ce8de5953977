//! Bad input costs itself alone: the run ends well, and what was not kept is counted with its reason.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::site::{PARAGRAPH, Site, done, png, text};

/// A PNG of one bit per pixel, all black.
fn black_png(width: u32, height: u32) -> Vec<u8> {
    png(width, height, [1, 0], &vec![0; width.div_ceil(8) as usize])
}

fn page(images: &str) -> String {
    format!("<html><body>{PARAGRAPH}{images}{PARAGRAPH}</body></html>")
}

/// Runs a site whose one good page shows one image, and expects that image to be rejected so, and the page to be kept.
fn image_rejected(source: &str, name: &str, bytes: &[u8], expected: &str) {
    let site = Site::new().with("page.html", page(&format!("<img src=\"{source}\">"))).with(name, bytes);
    let finished = site.run();
    assert_eq!(finished.rejects(), [expected]);
    assert_eq!((finished.count("documents"), finished.count("images")), (1, 0));
    assert!(finished.shown().contains("The lamp is lit at dusk"));
}

#[test]
fn no_pages_at_all_are_no_rows() {
    let finished = Site::new().run();
    assert_eq!((finished.count("documents"), finished.count("rows")), (0, 0));
}

#[test]
fn an_empty_page_is_rejected() {
    let finished = Site::new().with("empty.html", "").with("page.html", page("")).run();
    assert_eq!(finished.rejects(), ["file:///empty.html: document.no_text"]);
    assert_eq!(finished.count("documents"), 1);
}

#[test]
fn a_page_over_the_limit_is_rejected() {
    let huge = PARAGRAPH.repeat(50_000_000 / PARAGRAPH.len() + 1);
    let finished = Site::new().with("huge.html", huge).with("page.html", page("")).run();
    assert_eq!(finished.rejects(), ["file:///huge.html: record.page_too_large"]);
    assert_eq!(finished.count("documents"), 1);
}

#[test]
fn nesting_that_no_page_needs_is_rejected() {
    let deep = format!("{}{PARAGRAPH}", "<div>".repeat(100_000));
    let finished = Site::new().with("deep.html", deep).with("page.html", page("")).run();
    assert_eq!(finished.rejects(), ["file:///deep.html: document.too_deep"]);
    assert_eq!(finished.count("documents"), 1);
}

#[test]
fn bytes_that_are_no_page_end_as_a_document_or_a_reject() {
    let bytes: Vec<u8> = (0..6000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let finished = Site::new().with("noise.html", bytes).with("nothing.html", [0; 3000]).run();
    assert_eq!(finished.count("documents") + finished.rejects().len() as u64, 2);
}

#[test]
fn an_image_that_would_unfold_to_gigapixels_is_rejected_unread() {
    image_rejected("huge.png", "huge.png", &black_png(50_000, 50_000), "file:///huge.png: image.image_too_large");
}

#[test]
fn an_image_of_two_bytes_is_rejected() {
    image_rejected("two.png", "two.png", b"\x89P", "file:///two.png: image.image_unsupported_format");
}

#[test]
fn an_image_cut_in_the_middle_is_rejected() {
    let whole = black_png(300, 300);
    image_rejected("cut.png", "cut.png", &whole[..whole.len() / 2], "file:///cut.png: image.image_corrupt");
}

#[test]
fn an_image_without_pixels_to_speak_of_is_rejected() {
    image_rejected("dot.png", "dot.png", &black_png(1, 1), "file:///dot.png: image.image_too_small");
}

#[test]
fn an_image_that_no_source_holds_is_rejected() {
    image_rejected("../gone.png?a=1", "other.png", b"", "file:///gone.png: image.image_not_found");
}

#[test]
fn an_image_on_another_host_is_never_fetched() {
    image_rejected(
        "http://elsewhere.example/x.png",
        "x.png",
        b"",
        "http://elsewhere.example/x.png: image.image_not_found",
    );
}

#[test]
fn a_reference_that_is_no_url_or_has_none_is_dropped_and_counted() {
    let finished = Site::new().with("page.html", page("<img src=\"http://[\"><img src=\"\"><img alt=\"none\">")).run();
    assert_eq!((finished.count("documents"), finished.rejects().len()), (1, 0));
    let dropped = finished.manifest()["dropped_references"].clone();
    assert_eq!(dropped, serde_json::json!({"image.image_invalid_url": 1, "image.image_without_src": 2}));
}

#[test]
fn a_good_image_stays_whatever_stands_beside_it() {
    let images = "<img src=\"two.png\"><img alt=\"night\" src=\"good.png\"><img src=\"gone.png\">";
    let site =
        Site::new().with("page.html", page(images)).with("two.png", b"\x89P").with("good.png", black_png(300, 200));
    let finished = site.run();
    assert_eq!((finished.count("documents"), finished.count("images"), finished.rejects().len()), (1, 1, 2));
    assert!(finished.shown().contains("[image 16x16]") || finished.shown().contains("tokens of an image]"));
}

/// A record of an archive with an answer to a request.
pub fn response(url: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut payload = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n").into_bytes();
    payload.extend(body);
    let mut record = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Record-ID: <urn:test:{}>\r\n\
         Content-Type: application/http; msgtype=response\r\nContent-Length: {}\r\n\r\n",
        url.len(),
        payload.len(),
    )
    .into_bytes();
    record.extend(payload);
    record.extend(b"\r\n\r\n");
    record
}

/// A record as a member of its own.
pub fn gzipped(record: &[u8]) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::default());
    member.write_all(record).unwrap();
    member.finish().unwrap()
}

fn crawl() -> [Vec<u8>; 3] {
    let first = response("https://site.example/a", "text/html", page("<img src=\"/night.png\">").as_bytes());
    let image = response("https://site.example/night.png", "image/png", &black_png(300, 200));
    [first, image, response("https://site.example/b/c", "text/html", page("").as_bytes())]
}

#[test]
fn a_whole_archive_gives_its_pages_and_images() {
    for records in [crawl().concat(), crawl().map(|record| gzipped(&record)).concat()] {
        let finished = Site::of_warc(&records).run();
        assert_eq!((finished.count("documents"), finished.count("images")), (2, 1));
        assert!(finished.rejects().is_empty());
    }
}

#[test]
fn an_archive_cut_in_the_middle_of_a_record_loses_that_record_alone_and_counts_it() {
    for records in [crawl(), crawl().map(|record| gzipped(&record))] {
        let last = records[2].len();
        let mut bytes = records.concat();
        bytes.truncate(bytes.len() - last / 2);
        let finished = Site::of_warc(&bytes).run();
        assert_eq!((finished.count("documents"), finished.count("images")), (1, 1));
        assert_eq!(finished.rejects().len(), 1, "{:?}", finished.rejects());
        assert!(finished.rejects()[0].contains("record.warc_truncated"), "{:?}", finished.rejects());
    }
}

#[test]
fn rejects_are_told_by_status_and_verify() {
    let site = Site::new().with("empty.html", "");
    let out = text(&site.run().out);
    for command in ["status", "verify"] {
        let said = done(&[command, &out]);
        assert!(said.stdout.contains("1 document.no_text"), "{}", said.stdout);
    }
}
