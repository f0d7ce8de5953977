//! What every source must hold to, whatever its bytes.

use std::ops::ControlFlow;

use crate::sources::memory::{Collected, MemoryInput, gzip, parquet_of, record, response, tar_of, zstd};
use crate::sources::{
    ImageLocation, Paths, RawDocument, Records, RejectedRecord, Source, SourceConfig, SourceError, SourceSettings,
    fetch, html_files, image_table, jsonl, parquet, text_files, warc, webdataset,
};

/// A good input: where the source can hold them, one page, one image and one other record.
struct Sample {
    source: SourceConfig,
    path: &'static str,
    bytes: Vec<u8>,
    documents: usize,
    images: usize,
    skips: usize,
}

impl Sample {
    fn input(&self, bytes: &[u8]) -> MemoryInput {
        MemoryInput::new(&[(self.path, bytes)])
    }
}

/// At least one for each registered source.
fn samples() -> Vec<Sample> {
    let tar = html_files::Settings { files: Paths::at("site.tar"), ..html_files::Settings::example() };
    let tar = SourceConfig::html_files(tar);
    let warc = SourceConfig::warc(warc::Settings::example());
    let files = tar_of(&[("a.html", b"<p>a"), ("b.png", b"pixels"), ("c", b"other")]);
    let records = [
        record("warcinfo", "", b""),
        response("http://a.example/p", "text/html", b"<p>page"),
        response("http://a.example/i.png", "image/png", b"pixels"),
    ];
    let members: Vec<u8> = records.iter().flat_map(|record| gzip(record)).collect();
    let frames: Vec<u8> = records.iter().flat_map(|record| zstd(record)).collect();
    let jsonl = SourceConfig::jsonl(jsonl::Settings::example());
    let line = b"\n{\"url\": \"http://a.example/p\", \"html\": \"<p>page\"}";
    let with_images = jsonl::Settings { images_field: Some("images".into()), ..jsonl::Settings::example() };
    let with_images = SourceConfig::jsonl(with_images);
    let image_line = b"\n{\"url\": \"http://a.example/p\", \"html\": \"<p>page\", \"images\": [{\"url\": \"i\", \"bytes\": \"cGl4ZWxz\"}]}";
    let zst = zstd::encode_all(&line[..], 1).unwrap();
    let sample = |source: &SourceConfig, path, bytes: &[u8], (documents, images, skips)| {
        let (source, bytes) = (source.clone(), bytes.to_vec());
        Sample { source, path, bytes, documents, images, skips }
    };
    let shards = SourceConfig::webdataset(webdataset::Settings::example());
    let shard = tar_of(&[("k.html", b"<p>page"), ("k.png", b"pixels"), ("k.cls", b"3")]);
    let pair = tar_of(&[("k.jpg", b"pixels"), ("k.json", b"{\"url\": \"http://a.example/i\"}"), ("k.txt", b"a lamp")]);
    let pages = parquet::Settings {
        image_urls_column: Some("images.url".into()),
        image_bytes_column: Some("images.bytes".into()),
        ..parquet::Settings::example()
    };
    let pages = SourceConfig::parquet(pages);
    let table = parquet_of(&[("http://a.example/p", "<p>page", &[(Some("i"), b"pixels"), (None, b"")])]);
    let images = SourceConfig::image_table(image_table::Settings {
        url_column: "url".into(),
        bytes_column: "html".into(),
        ..image_table::Settings::example()
    });
    let image_rows = parquet_of(&[("i", "pixels", &[])]);
    let texts = SourceConfig::text_files(text_files::Settings::example());
    vec![
        sample(&tar, "site.tar", &files, (1, 1, 1)),
        sample(&warc, "crawl/a.warc", &records.concat(), (1, 1, 1)),
        sample(&warc, "crawl/a.warc.gz", &members, (1, 1, 1)),
        sample(&warc, "crawl/b.warc.gz", &gzip(&records.concat()), (1, 1, 1)),
        sample(&warc, "crawl/a.warc.zst", &frames, (1, 1, 1)),
        sample(&jsonl, "pages/a.jsonl", line, (1, 0, 1)),
        sample(&jsonl, "pages/a.jsonl.gz", &gzip(line), (1, 0, 1)),
        sample(&jsonl, "pages/a.jsonl.zst", &zst, (1, 0, 1)),
        sample(&with_images, "pages/a.jsonl", image_line, (1, 1, 1)),
        sample(&shards, "shards/a.tar", &shard, (1, 1, 1)),
        sample(&shards, "shards/a.tar", &pair, (1, 1, 1)),
        sample(&pages, "tables/a.parquet", &table, (1, 1, 1)),
        sample(&images, "images/a.parquet", &image_rows, (0, 1, 0)),
        sample(&images, "images/a.tar", &pair, (0, 1, 2)),
        sample(&texts, "texts/a.txt", b"text", (1, 0, 0)),
    ]
}

#[test]
fn every_source_has_a_sample() {
    let sampled: Vec<&str> = samples().iter().map(|sample| sample.source.name()).collect();
    for source in SourceConfig::examples() {
        assert!(sampled.contains(&source.name()), "add a sample of {}", source.name());
    }
}

#[test]
fn the_examples_settings_work() {
    for source in SourceConfig::examples() {
        assert_eq!(source.check(), Vec::<String>::new());
    }
}

#[test]
fn every_record_is_a_document_an_image_a_reject_or_a_skip() {
    for sample in samples() {
        let found = Collected::read(sample.source.build().as_ref(), &sample.input(&sample.bytes), 1);
        let skipped = found.skipped.values().sum::<u64>() as usize;
        let counts = (found.documents.len(), found.images.len(), found.rejects.len(), skipped);
        assert_eq!(counts, (sample.documents, sample.images, 0, sample.skips), "{}", sample.path);
    }
}

#[test]
fn an_images_bytes_are_at_its_location() {
    for sample in samples() {
        let input = sample.input(&sample.bytes);
        let found = Collected::read(sample.source.build().as_ref(), &input, 1);
        for image in &found.images {
            assert_eq!(fetch(&image.location, &input, 6).unwrap(), b"pixels", "{}", sample.path);
            assert_eq!(fetch(&image.location, &input, 5).unwrap_err().reason(), Some("image_too_large"));
        }
    }
}

#[test]
fn reading_twice_gives_the_same_however_it_is_cut() {
    for sample in samples() {
        let (source, input) = (sample.source.build(), sample.input(&sample.bytes));
        let found = Collected::read(source.as_ref(), &input, 1);
        assert_eq!(found, Collected::read(source.as_ref(), &input, 1 << 30));
    }
}

/// Counts what it is given, and breaks off at the first record.
#[derive(Default)]
struct First(usize);

impl Records for First {
    fn document(&mut self, _: RawDocument) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Break(())
    }

    fn image(&mut self, _: ImageLocation) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Break(())
    }

    fn reject(&mut self, _: RejectedRecord) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Break(())
    }

    fn skip(&mut self, _: &'static str) {}
}

#[test]
fn reading_stops_where_the_reader_breaks_off() {
    for sample in samples() {
        let (source, input) = (sample.source.build(), sample.input(&sample.bytes));
        let mut first = First::default();
        for split in source.splits(&input, 1 << 30).unwrap() {
            source.read(&split, &input, &mut first).unwrap();
        }
        assert_eq!(first.0, 1, "{}", sample.path);
    }
}

/// A cheap sequence of numbers that look random.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn broken_bytes_end_in_records_and_rejects_without_a_panic() {
    for sample in samples() {
        let source = sample.source.build();
        let mut state = 7;
        for _ in 0..2000 {
            let mut broken = sample.bytes.clone();
            for _ in 0..=next(&mut state) % 4 {
                let place = next(&mut state) as usize % broken.len();
                broken[place] = next(&mut state) as u8;
            }
            broken.truncate(1 + next(&mut state) as usize % (2 * broken.len()));
            // One block of zstd may stand for 128 KiB of the same byte.
            let unfolds = if sample.path.ends_with(".zst") { 128 << 10 } else { 1 };
            read_broken(source.as_ref(), &sample.input(&broken), broken.len() * unfolds);
        }
    }
}

/// A source that finds the next page behind a broken one, with pages that each stand by themselves.
struct Row {
    source: SourceConfig,
    path: &'static str,
    pages: Vec<Vec<u8>>,
}

/// All such sources. A tar and a compressed table end where they break.
fn rows() -> Vec<Row> {
    // No change of one byte makes one of these URLs another.
    let url = |number: usize| format!("http://a.example/{}", ["aaa", "bbb", "ccc", "ddd", "eee"][number]);
    let pages: Vec<Vec<u8>> = (0..5).map(|number| response(&url(number), "text/html", &[b'x'; 400])).collect();
    let packed = |pack: fn(&[u8]) -> Vec<u8>| pages.iter().map(|page| pack(page)).collect::<Vec<_>>();
    let line = |number| format!("{{\"url\": \"{}\", \"html\": \"<p>page\"}}\n", url(number)).into_bytes();
    let warc = SourceConfig::warc(warc::Settings::example());
    let jsonl = SourceConfig::jsonl(jsonl::Settings::example());
    vec![
        Row { source: warc.clone(), path: "crawl/a.warc", pages: pages.clone() },
        Row { source: warc.clone(), path: "crawl/a.warc.gz", pages: packed(gzip) },
        Row { source: warc, path: "crawl/a.warc.zst", pages: packed(zstd) },
        Row { source: jsonl, path: "pages/a.jsonl", pages: (0..5).map(line).collect() },
    ]
}

/// Changes some bytes of a page, cuts it, or puts others before or behind it.
fn damage(page: &mut Vec<u8>, state: &mut u64) {
    let place = next(state) as usize % page.len();
    match next(state) % 4 {
        0 => page[place] ^= 1 << (next(state) % 8),
        1 => page.truncate(place),
        2 => drop(page.splice(place..place, (0..20).map(|byte| byte * 11))),
        _ => drop(page.drain(place..(place + 9).min(page.len()))),
    }
}

#[test]
fn a_broken_page_takes_no_other_with_it_and_is_counted() {
    for row in rows() {
        let source = row.source.build();
        let read = |pages: &[Vec<u8>], unit_bytes| {
            Collected::read(source.as_ref(), &MemoryInput::new(&[(row.path, &pages.concat())]), unit_bytes)
        };
        let (whole, mut state) = (read(&row.pages, 1 << 30), 11);
        for round in 0..400 {
            let (broken, mut pages) = (round % 5, row.pages.clone());
            damage(&mut pages[broken], &mut state);
            // Without its line end a line is one with the next.
            if row.path.ends_with("jsonl") && !pages[broken].ends_with(b"\n") {
                pages[broken].push(b'\n');
            }
            let found = read(&pages, 1 << 30);
            for (number, good) in whole.documents.iter().enumerate().filter(|(number, _)| *number != broken) {
                let same = |page: &&RawDocument| (&page.url, &page.body) == (&good.url, &good.body);
                let times = found.documents.iter().filter(same).count();
                assert_eq!(times, 1, "{} round {round}: page {number} beside {broken}", row.path);
            }
            let counted = found.documents.len() + found.rejects.len() + found.skipped.len();
            assert!(counted >= 5 || pages[broken].is_empty(), "{} round {round}: {counted}", row.path);
            if round % 8 == 0 {
                assert_eq!(found, read(&pages, 200), "{} round {round}", row.path);
            }
        }
    }
}

fn read_broken(source: &dyn Source, input: &MemoryInput, most: usize) {
    let splits = match source.splits(input, 150) {
        Ok(splits) => splits,
        // A table whose columns are called otherwise is not what the job says.
        Err(SourceError::Unsuitable { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let mut found = Collected::default();
    for split in splits {
        source.read(&split, input, &mut found).unwrap();
    }
    let skipped = found.skipped.values().sum::<u64>() as usize;
    // A reader that turned around would give the same bytes again and again.
    let records = found.documents.len() + found.images.len() + found.rejects.len() + skipped;
    assert!(records <= most, "{records} records, more than {most}: {:?}", found.rejects.last());
    for image in &found.images {
        // Whether it can be read is the images stage's business; that it is tried must not panic.
        let _ = fetch(&image.location, input, 1 << 20);
    }
}

#[test]
fn a_cut_anywhere_leaves_what_stands_before_it() {
    // A text has no end of its own.
    for sample in samples().into_iter().filter(|sample| sample.source.name() != "text_files") {
        let source = sample.source.build();
        let whole = Collected::read(source.as_ref(), &sample.input(&sample.bytes), 150);
        for length in 1..sample.bytes.len() {
            let found = Collected::read(source.as_ref(), &sample.input(&sample.bytes[..length]), 150);
            assert!(whole.documents.starts_with(&found.documents), "{} {length}", sample.path);
            assert!(found.rejects.len() <= 1, "{} {length}: {:?}", sample.path, found.rejects);
        }
    }
}

#[test]
fn settings_survive_json_and_refuse_unknown_keys() {
    for source in SourceConfig::examples() {
        let json = serde_json::to_value(&source).unwrap();
        assert_eq!(serde_json::from_value::<SourceConfig>(json.clone()).unwrap(), source);
        let mut strange = json;
        strange[source.name()]["no_such_setting"] = 1.into();
        assert!(serde_json::from_value::<SourceConfig>(strange).is_err());
    }
}
