//! Sources of every kind, in one job and by themselves: the same page and picture come out of each container.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use sha2::{Digest, Sha256};

use super::site::{PARAGRAPH, Site, done, pageloom, repository, run, text};

const LONG_ROWS: &str = "sequences.packing.concat_and_split.sequence_length=8192";

fn picture() -> Vec<u8> {
    fs::read(repository().join("jobs/demo/site/img/pebbles.jpg")).unwrap()
}

fn page(name: &str) -> String {
    format!("<title>{name}</title><body>{PARAGRAPH}<p><img alt=\"{name}\" src=\"pebbles.jpg\"></p>{PARAGRAPH}</body>")
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn parquet_of(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A job with these sources over files that are written beside it.
fn site(sources: &[&str], files: &[(&str, Vec<u8>)]) -> Site {
    let site = Site::new();
    for (name, bytes) in files {
        let path = site.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    site.job_with_source(&sources.join("\n[[sources]]\n"));
    site
}

#[test]
fn the_same_page_comes_out_of_every_container() {
    let json = |url: &str, name: &str| serde_json::json!({"url": url, "html": page(name)}).to_string();
    let zst = zstd::encode_all(json("https://zst.example/p", "zst").as_bytes(), 3).unwrap();
    let with_image = serde_json::json!({"url": "https://line.example/p", "html": page("line"),
        "images": [{"url": "pebbles.jpg", "bytes": base64(&picture())}]});
    let pages = parquet_of(vec![("url", texts(&["https://table.example/p"])), ("html", texts(&[&page("table")]))]);
    let images = parquet_of(vec![
        ("url", texts(&["https://table.example/pebbles.jpg", "https://zst.example/pebbles.jpg"])),
        ("jpg", Arc::new(BinaryArray::from_iter_values([picture(), picture()]))),
    ]);
    let shard = tar_of(&[("k.html", page("shard").replace("pebbles", "k").as_bytes()), ("k.jpg", &picture())]);
    let pairs = tar_of(&[
        ("00.jpg", &picture()),
        ("00.json", b"{\"url\": \"https://pair.example/i.jpg\", \"status\": \"success\"}"),
        ("00.txt", b"Pebbles & \"sand\""),
    ]);
    let letters = tar_of(&[("a.html", page("tar").as_bytes()), ("pebbles.jpg", &picture())]);
    let site = site(
        &[
            "html_files = { path = \"site\" }",
            "html_files = { paths = [\"tars/*.tar\"] }",
            "jsonl = { path = \"lines/*.zst\" }",
            "jsonl = { path = \"lines/plain.jsonl\", images_field = \"images\" }",
            "parquet = { path = \"pages/**/*.parquet\" }",
            "image_table = { path = \"images\", bytes_column = \"jpg\" }",
            "webdataset = { paths = [\"shards\", \"pairs/0.tar\"] }",
            "text_files = { path = \"texts\" }",
        ],
        &[
            ("site/folder.html", page("folder").into_bytes()),
            ("site/pebbles.jpg", picture()),
            ("tars/a.tar", letters),
            ("lines/a.jsonl.zst", zst),
            ("lines/plain.jsonl", with_image.to_string().into_bytes()),
            ("pages/deep/a.parquet", pages),
            ("images/a.parquet", images),
            ("shards/0.tar", shard),
            ("pairs/0.tar", pairs),
            ("texts/a.txt", format!("A text & more.\n\n{}", &PARAGRAPH[3..PARAGRAPH.len() - 4]).into_bytes()),
        ],
    );
    // All in one row and no span moved, so that what is shown is what was read.
    let left_to_right = ["sequences.objective={ left_to_right = {} }", LONG_ROWS].map(|set| ["--set", set]);
    let finished = run(&site.job(), &site.path("out"), &left_to_right.concat());
    assert_eq!(finished.rejects(), Vec::<String>::new());
    // Seven pages, one of them a pair, and a text; each page but the text shows an image of its own URL.
    assert_eq!((finished.count("documents"), finished.count("images")), (8, 7));
    assert_eq!(finished.manifest()["dropped_references"], serde_json::json!({}));
    let digests: BTreeSet<String> = finished.rows("images").iter().map(|row| row["sha256"].clone()).collect();
    assert_eq!(digests.len(), 1, "{digests:?}");
    let shown = finished.shown();
    for name in ["folder", "tar", "zst", "line", "table", "shard"] {
        assert!(shown.contains(&format!("<title>{name}</title>")), "{name}");
    }
    assert!(shown.contains("A text &amp; more.") || shown.contains("A text & more."), "{shown}");
    assert!(shown.contains("alt=\"Pebbles &amp; &quot;sand&quot;\""), "{shown}");
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[(number >> (18 - 6 * place)) as usize & 63]);
            text.push(if place <= three.len() { letter } else { '=' });
        }
    }
    text
}

/// Expects `check` and `run` to refuse a job with these words, and nothing to be written.
fn refused(source: &str, files: &[(&str, Vec<u8>)], words: &[&str]) {
    let site = site(&[source], files);
    let (job, out) = (text(&site.job()), text(&site.path("out")));
    for arguments in [vec!["check", &job], vec!["run", &job, "--out", &out]] {
        let said = pageloom(&arguments);
        assert_eq!(said.code, 1, "{said:#?}");
        for word in words {
            assert!(said.stderr.contains(word), "no {word:?} in:\n{}", said.stderr);
        }
    }
    assert!(!site.path("out").exists(), "a refused job has written");
}

#[test]
fn a_pattern_that_matches_nothing_is_refused_with_what_is_there() {
    let files = [("crawl/a.warc", Vec::new())];
    let words = ["job.toml:3: `crawl/*.gz` matches no file", "hint: `crawl` holds 1 files, such as `crawl/a.warc`"];
    refused("warc = { path = \"crawl/*.gz\" }", &files, &words);
}

#[test]
fn a_setting_of_a_source_that_is_misspelt_is_named_with_the_right_word() {
    refused("warc = { pth = \"crawl\" }", &[], &["job.toml:3: unknown field `pth`", "did you mean `path`?"]);
}

#[test]
fn a_table_without_the_column_is_refused_with_those_it_has() {
    let files = [("a.parquet", parquet_of(vec![("link", texts(&["https://a.example/"])), ("html", texts(&["<p>"]))]))];
    let words = ["job.toml:3: a.parquet: it has no column `url`; its columns are `link` (Utf8), `html` (Utf8)"];
    refused("parquet = { path = \"a.parquet\" }", &files, &words);
}

#[test]
fn a_manifest_that_lists_what_is_not_there_is_refused() {
    let files = [("data/list.txt", b"a.warc\n".to_vec())];
    let words =
        ["job.toml:3: `data/list.txt` lists `a.warc`, and `data/a.warc` is not there", "relative to its folder"];
    refused("warc = { manifest = \"data/list.txt\" }", &files, &words);
}

fn manifest_of(lines: &[u8]) -> Vec<u8> {
    let digest: String = Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({"files": [{"path": "a.jsonl", "bytes": lines.len(), "sha256": digest}]}).to_string().into_bytes()
}

#[test]
fn a_file_that_differs_from_its_digest_stops_the_run_before_it_begins() {
    let lines = serde_json::json!({"url": "https://a.example/", "html": PARAGRAPH}).to_string().into_bytes();
    let source = "jsonl = { manifest = \"data/list.json\" }";
    let site = site(&[source], &[("data/list.json", manifest_of(&lines)), ("data/a.jsonl", lines.clone())]);
    let mut other = lines.clone();
    *other.last_mut().unwrap() = b' ';
    fs::write(site.path("data/a.jsonl"), &other).unwrap();
    let (job, out) = (text(&site.job()), text(&site.path("out")));
    let said = pageloom(&["run", &job, "--out", &out]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("job.toml:3: data/a.jsonl: its sha256 is"), "{}", said.stderr);
    assert!(!site.path("out").exists());
    fs::write(site.path("data/a.jsonl"), &lines).unwrap();
    assert_eq!(site.run().count("documents"), 1);
    // What goes on is not read again.
    done(&["run", &job, "--out", &out]);
}

#[test]
fn a_gzip_file_is_found_by_its_pattern_and_read() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(serde_json::json!({"url": "https://a.example/", "html": PARAGRAPH}).to_string().as_bytes()).unwrap();
    let finished = site(&["jsonl = { path = \"l*/**/*.gz\" }"], &[("lines/x/a.gz", gzip.finish().unwrap())]).run();
    assert_eq!((finished.count("documents"), finished.rejects().len()), (1, 0));
}
