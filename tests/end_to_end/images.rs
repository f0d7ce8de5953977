//! The table of images: from pages, from captioned images, and from images alone.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::site::{Finished, PARAGRAPH, Site, demo_job, done, pageloom, png, repository, run, text};

/// What a job adds to have a table of images with two sets of masks.
const TABLE: &str = "[[images]]\ndraw_masks = { name = \"mae\", strategy = { random = { ratio = 0.75 } }, views = 2, \
    grid = { rows = 14, columns = 14 } }\n[[images]]\ndraw_masks = { name = \"blocks\", strategy = { multi_block = {} } }\n\
    [image_shards]\nrows_per_shard = 3\n";

fn photo(name: &str) -> Vec<u8> {
    fs::read(repository().join("jobs/demo/site/img").join(name)).unwrap()
}

fn add(site: &Site, lines: &str) {
    let job = fs::read_to_string(site.job()).unwrap();
    fs::write(site.job(), job + lines).unwrap();
}

/// A job of images alone.
fn of_images(site: &Site, source: &str) {
    let model = repository().join("tokenizers/models/demo-vq");
    let job = format!(
        "seed = 7\n[[sources]]\n{source}\n[tokenizers]\nimage = {model:?}\n[[images]]\nfetch_image = {{}}\n\
         [[images]]\nprepare_image = {{}}\n[[images]]\nencode_image = {{}}\n{TABLE}"
    );
    fs::write(site.job(), job).unwrap();
}

/// The rows of all shards, by URL.
fn images(finished: &Finished) -> BTreeMap<String, BTreeMap<String, String>> {
    let table = &finished.manifest()["image_table"];
    let files: Vec<&str> =
        table["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    let rows: Vec<_> = files.iter().flat_map(|file| super::site::text_rows(&finished.out.join(file))).collect();
    assert_eq!(rows.len() as u64, table["rows"].as_u64().unwrap());
    rows.into_iter().map(|row| (row["url"].clone(), row)).collect()
}

#[test]
fn each_image_is_a_row_with_its_tokens_its_masks_and_what_pages_say_of_it() {
    let figure = "<figure><img src=lichen.jpg alt='Grey lichen'><figcaption>On a rock</figcaption></figure>";
    let site = Site::new()
        .with("lichen.jpg", photo("lichen.jpg"))
        .with("pebbles.jpg", photo("pebbles.jpg"))
        .with("one.html", format!("{PARAGRAPH}{figure}{PARAGRAPH}"))
        .with("two.html", format!("{PARAGRAPH}<img src=lichen.jpg alt='A lichen' title=T><img src=pebbles.jpg>"))
        .with("unshown.jpg", photo("lichen.jpg"));
    add(&site, TABLE);
    let finished = site.run();
    let images = images(&finished);
    assert_eq!(images.keys().collect::<Vec<_>>(), ["file:///lichen.jpg", "file:///pebbles.jpg"]);
    let lichen = &images["file:///lichen.jpg"];
    let texts = ["alts", "titles", "captions", "page_count", "document_urls"].map(|name| lichen[name].as_str());
    let both = "[file:///one.html, file:///two.html]";
    let pages = [both, "[file:///two.html, file:///one.html]"];
    assert_eq!(texts[..4], ["[A lichen, Grey lichen]", "[T]", "[On a rock]", "2"]);
    assert!(pages.contains(&texts[4]), "{texts:?}");
    // 14 x 14 cells are 25 bytes, as 50 hexadecimal digits; two views are another's neighbours in one list.
    let views: Vec<&str> = lichen["masks_mae"].trim_matches(['[', ']']).split(", ").collect();
    assert_eq!(views.iter().map(|bits| (bits.len(), ones(bits))).collect::<Vec<_>>(), [(50, 147), (50, 147)]);
    assert_ne!(views[0], views[1]);
    // A context and four targets.
    assert_eq!(lichen["masks_blocks"].split(", ").count(), 5);
    let codes = codes_of("lichen.jpg");
    assert_eq!(lichen["tokens"], format!("[{}]", codes.join(", ")));
}

fn ones(hex: &str) -> u32 {
    hex.chars().map(|digit| digit.to_digit(16).unwrap().count_ones()).sum()
}

fn codes_of(name: &str) -> Vec<String> {
    let model = text(&repository().join("tokenizers/models/demo-vq"));
    let said = done(&["vq", "encode", &model, &text(&repository().join("jobs/demo/site/img").join(name))]);
    let codes = serde_json::from_str::<Value>(&said.stdout).unwrap()["codes"].clone();
    codes.as_array().unwrap().iter().map(Value::to_string).collect()
}

#[test]
fn images_alone_need_neither_pages_nor_a_text_tokenizer() {
    let site = Site::new().with("lichen.jpg", photo("lichen.jpg")).with("pebbles.jpg", photo("pebbles.jpg"));
    let site = site.with("broken.jpg", "no image").with("page.html", PARAGRAPH);
    of_images(&site, "html_files = { path = \"site\" }");
    let finished = site.run();
    assert_eq!(images(&finished).keys().collect::<Vec<_>>(), ["file:///lichen.jpg", "file:///pebbles.jpg"]);
    assert_eq!(finished.rejects(), ["file:///broken.jpg: image.image_unsupported_format"]);
    assert!(!finished.out.join("data").exists() && !finished.out.join("vocabulary.json").exists());
    let said = done(&["verify", "--deep", &text(&finished.out)]);
    assert!(said.stdout.contains("1 shards hold the rows"), "{}", said.stdout);
    let said = done(&["status", &text(&finished.out)]);
    assert!(said.stdout.contains("image_shards") && !said.stdout.contains("sequences"), "{}", said.stdout);
}

#[test]
fn an_image_that_is_broken_changes_no_other_wherever_it_stands_in_a_batch() {
    let names = ["a.png", "b.png", "c.png", "d.png", "e.png"];
    let bytes = |name: &str| png(300, 300, [8, 0], &[name.as_bytes()[0]; 300]);
    let with_broken = |broken: Option<&str>| {
        let add = |site: Site, name: &str| {
            let whole = bytes(name);
            site.with(name, if Some(name) == broken { &whole[..whole.len() / 2] } else { &whole })
        };
        let site = names.into_iter().fold(Site::new(), add);
        of_images(&site, "html_files = { path = \"site\" }");
        let finished = site.run();
        let tokens = images(&finished).into_iter().map(|(url, row)| (url, row["tokens"].clone()));
        (tokens.collect::<BTreeMap<_, _>>(), finished.rejects())
    };
    let (whole, none) = with_broken(None);
    assert_eq!((whole.len(), none.len()), (5, 0));
    for name in names {
        let (mut others, url) = (whole.clone(), format!("file:///{name}"));
        others.remove(&url);
        assert_eq!(with_broken(Some(name)), (others, vec![format!("{url}: image.image_corrupt")]));
    }
}

#[test]
fn the_table_of_images_has_the_same_bytes_however_many_units_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, parallel: &str| run(&demo_job(), &folder.path().join(name), &["--parallel", parallel]).data();
    let (one, three) = (of("one", "1"), of("three", "3"));
    assert!(one.keys().any(|file| file.starts_with("images/")), "{one:?}");
    assert_eq!(one, three);
}

#[test]
fn an_image_is_drawn_with_its_tokens_and_under_each_of_its_masks() {
    let site = Site::new().with("lichen.jpg", photo("lichen.jpg"));
    of_images(&site, "html_files = { path = \"site\" }");
    let finished = site.run();
    let (out, png) = (text(&finished.out), text(&site.path("row.png")));
    let said = done(&["show", &out, "--images", "--row", "0", "--png", &png]);
    assert!(said.stdout.contains("url: file:///lichen.jpg") && said.stderr.contains("original, decoded"), "{said:#?}");
    // Original, decoded, two views and five bitmaps of 256 x 256, four in a row, with 4 pixels around each.
    let file = fs::read(&png).unwrap();
    let size = [16, 20].map(|at| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()));
    assert_eq!(size, [4 * 260 + 4, 3 * 260 + 4]);
    let said = pageloom(&["show", &out, "--images", "--row", "1"]);
    assert!(said.code == 1 && said.stderr.contains("holds 1 images"), "{said:#?}");
}

#[test]
fn masks_that_fit_nothing_or_go_nowhere_are_named_with_their_line() {
    let site = Site::new();
    let masks = |strategy: &str| format!("[[images]]\ndraw_masks = {{ name = \"m\", strategy = {strategy} }}\n");
    let problem = |lines: String| {
        site.job_with_source("html_files = { path = \"site\" }");
        add(&site, &lines);
        let said = pageloom(&["check", &text(&site.job())]);
        assert_eq!(said.code, 1, "{said:#?}");
        said.stderr
    };
    let nowhere = problem(masks("{ random = {} }"));
    assert!(nowhere.contains("add `[image_shards]`") && nowhere.contains("job.toml:23"), "{nowhere}");
    let blind = problem(masks("{ attention = {} }") + "[image_shards]\n");
    assert!(blind.contains("name a file of them as `guide`"), "{blind}");
    let wrong = problem(masks("{ random = { ratio = 2.0 } }") + "[image_shards]\n");
    assert!(wrong.contains("ratio"), "{wrong}");
}

#[test]
fn a_guide_says_what_is_masked_of_each_image_it_names() {
    let site = Site::new().with("lichen.jpg", photo("lichen.jpg")).with("pebbles.jpg", photo("pebbles.jpg"));
    of_images(&site, "html_files = { path = \"site\" }");
    let strategy = "{ roi = {} }, grid = { rows = 2, columns = 4 }, guide = \"guide.jsonl\"";
    let job = fs::read_to_string(site.job()).unwrap();
    let step = format!("[[images]]\ndraw_masks = {{ name = \"roi\", strategy = {strategy} }}\n[image_shards]");
    fs::write(site.job(), job.replace("[image_shards]", &step)).unwrap();
    fs::write(site.path("guide.jsonl"), "{\"url\": \"file:///lichen.jpg\", \"cells\": [1, 1, 0, 0, 0, 0, 0, 1]}\n")
        .unwrap();
    let finished = site.run();
    assert_eq!(images(&finished)["file:///lichen.jpg"]["masks_roi"], "[83]");
    assert_eq!(finished.rejects(), ["file:///pebbles.jpg: image.image_without_guide"]);
    fs::write(site.path("guide.jsonl"), "\n{\"url\": 7}\n").unwrap();
    let said = pageloom(&["check", &text(&site.job())]);
    assert!(said.code == 1 && said.stderr.contains("guide.jsonl:2: invalid type"), "{said:#?}");
}

#[test]
fn a_run_that_reuses_another_has_the_same_bytes() {
    let site = Site::new().with("lichen.jpg", photo("lichen.jpg")).with("pebbles.jpg", photo("pebbles.jpg"));
    of_images(&site, "html_files = { path = \"site\" }");
    site.run();
    // Another run of more images, which is the same but for what it can reuse.
    let site = site.with("badge.png", photo("badge.png"));
    let of = |name: &str, options: &[&str]| run(&site.job(), &site.path(name), options).data();
    let plain = of("plain", &[]);
    assert_eq!(of("reusing", &["--reuse", &text(&site.path("out"))]), plain);
    assert_eq!(plain.len(), 1);
}

#[test]
fn several_crops_of_an_image_stand_one_after_another_and_documents_show_the_first() {
    let page = format!("{PARAGRAPH}<img src=lichen.jpg>");
    let site = Site::new().with("lichen.jpg", photo("lichen.jpg")).with("page.html", page);
    add(&site, "[image_shards]\n");
    let job = fs::read_to_string(site.job()).unwrap();
    let job = job.replace("prepare_image = {}", "prepare_image = { recipe = \"llamagen_ten\" }");
    fs::write(site.job(), job.replace("causal_masking", "left_to_right")).unwrap();
    let finished = site.run();
    let row = &images(&finished)["file:///lichen.jpg"];
    let count = |name: &str| row[name].split(", ").count();
    assert_eq!((count("tokens"), count("crop_box")), (10 * 256, 10 * 4));
    assert!(finished.shown().contains("[image 16x16]"));
}
