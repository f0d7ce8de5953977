//! A job or its input has changed: exactly the units that this touches run again, and old output is never among new.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::site::{Finished, PARAGRAPH, Said, Site, demo_job, done, pageloom, repository, run, text};

const UNITS: [&str; 4] = ["--set", "units.bytes=65536", "--set", "shards.rows_per_shard=4"];

pub fn diff(job: &Path, out: &Path, options: &[&str]) -> Value {
    let (job, out) = (text(job), text(out));
    let said = done(&[&["plan", &job, "--diff", &out, "--json"][..], options].concat());
    serde_json::from_str(&said.stdout).unwrap()
}

/// A stage by its name.
pub fn of_stage<'a>(diff: &'a Value, name: &str) -> &'a Value {
    diff["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == name).unwrap()
}

/// Units of a stage that are the same, and those that run again, with why.
pub fn stage(diff: &Value, name: &str) -> (u64, Vec<(String, u64)>) {
    let stage = of_stage(diff, name);
    let again = stage["again"].as_object().unwrap().iter();
    (stage["same"].as_u64().unwrap(), again.map(|(why, count)| (why.clone(), count.as_u64().unwrap())).collect())
}

pub fn reuse(job: &Path, out: &Path, old: &Path, options: &[&str]) -> (Finished, Said) {
    let (job, out_text, old) = (text(job), text(out), text(old));
    let said = done(&[&["run", &job, "--out", &out_text, "--reuse", &old][..], options].concat());
    done(&["verify", &out_text, "--deep"]);
    (Finished::at(out), said)
}

/// How many units of a stage were taken over, by what the run said.
pub fn taken(said: &Said, stage: &str) -> u64 {
    let line =
        said.stderr.lines().find(|line| line.starts_with(&format!("{stage} ")) && line.contains("are taken over"));
    line.map_or(0, |line| line.split_whitespace().nth(1).unwrap().split('/').next().unwrap().parse().unwrap())
}

/// Every file below a folder, with its bytes' digest.
fn everything(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => found.extend(everything(&entry.path())),
            false => found.push((text(&entry.path()), blake3::hash(&fs::read(entry.path()).unwrap()).to_string())),
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_the_same_is_said_to_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    run(&demo_job(), &out, &UNITS);
    let said = done(&[&["plan", &text(&demo_job()), "--diff", &text(&out)][..], &UNITS].concat());
    assert!(said.stdout.contains("nothing runs again"), "{}", said.stdout);
    let same = diff(&demo_job(), &out, &UNITS);
    assert_eq!(same["changes"], serde_json::json!([]));
    for name in ["documents", "images", "sequences", "shards"] {
        let (units, again) = stage(&same, name);
        assert!(units > 1 && again.is_empty(), "{same}");
    }
}

#[test]
fn another_objective_runs_sequences_and_shards_again_and_takes_over_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new, fresh] = ["old", "new", "fresh"].map(|name| folder.path().join(name));
    run(&demo_job(), &old, &UNITS);
    let before = everything(&old);
    let other = [&UNITS[..], &["--set", "sequences.objective={ left_to_right = {} }"]].concat();
    let said = diff(&demo_job(), &old, &other);
    assert!(stage(&said, "documents").1.is_empty() && stage(&said, "images").1.is_empty(), "{said}");
    let (same, again) = stage(&said, "sequences");
    assert!(same == 0 && again[0].0.contains("`sequences.objective"), "{said}");
    let (reused, words) = reuse(&demo_job(), &new, &old, &other);
    assert_eq!(
        (taken(&words, "documents"), taken(&words, "images")),
        (stage(&said, "documents").0, stage(&said, "images").0)
    );
    assert_eq!((taken(&words, "sequences"), taken(&words, "shards")), (0, 0));
    assert_eq!(reused.data(), run(&demo_job(), &fresh, &other).data());
    assert_eq!(everything(&old), before);
}

/// Ten pages of which each is a unit of its own; the third is large, so that its middle is in no sample of its ends.
fn ten_pages() -> Site {
    (0..10).fold(Site::new(), |site, page| {
        let paragraphs = if page == 2 { 1000 } else { 100 };
        let body = format!("<p>Page {page}.</p>{}", PARAGRAPH.repeat(paragraphs));
        site.with(&format!("{page}.html"), body)
    })
}

const ONE_PAGE_A_UNIT: [&str; 6] =
    ["--set", "units.bytes=20000", "--set", "shards.rows_per_shard=4", "--set", "shards.rows_per_row_group=2"];

/// Writes other bytes of the same length in the middle of a file, and gives it the time that it had.
fn change_the_middle(path: &Path) {
    let times = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    let at = middle + bytes[middle..].windows(4).position(|word| word == b"lamp").unwrap();
    bytes[at..at + 4].copy_from_slice(b"LAMP");
    fs::write(path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(times).unwrap();
}

#[test]
fn a_page_whose_content_changed_runs_again_whatever_its_time_and_size_say() {
    let site = ten_pages();
    let [old, new, fresh] = ["old", "new", "fresh"].map(|name| site.path(name));
    run(&site.job(), &old, &ONE_PAGE_A_UNIT);
    change_the_middle(&site.path("site/2.html"));
    let said = diff(&site.job(), &old, &ONE_PAGE_A_UNIT);
    let (same, again) = stage(&said, "documents");
    assert_eq!((same, again), (9, vec![("the content of `site/2.html` has changed".to_owned(), 1)]));
    assert_eq!(of_stage(&said, "images")["depends"], true);
    let (reused, words) = reuse(&site.job(), &new, &old, &ONE_PAGE_A_UNIT);
    assert_eq!(taken(&words, "documents"), 9);
    // Its images are the same, so theirs are not encoded again; of the others only its own bucket is packed again.
    let sequences = of_stage(&said, "sequences")["units"].as_u64().unwrap();
    assert_eq!((taken(&words, "images"), taken(&words, "sequences")), (sequences, sequences - 1));
    assert_eq!(reused.data(), run(&site.job(), &fresh, &ONE_PAGE_A_UNIT).data());
}

#[test]
fn a_page_that_is_only_newer_does_not_run_again() {
    let site = ten_pages();
    run(&site.job(), &site.path("old"), &ONE_PAGE_A_UNIT);
    let page = fs::read(site.path("site/5.html")).unwrap();
    fs::remove_file(site.path("site/5.html")).unwrap();
    fs::write(site.path("site/5.html"), page).unwrap();
    let said = diff(&site.job(), &site.path("old"), &ONE_PAGE_A_UNIT);
    assert_eq!(stage(&said, "documents"), (10, Vec::new()));
}

#[test]
fn a_page_that_came_and_one_that_went_are_told_apart() {
    let site = ten_pages();
    run(&site.job(), &site.path("old"), &ONE_PAGE_A_UNIT);
    fs::rename(site.path("site/9.html"), site.path("site/x.html")).unwrap();
    let said = diff(&site.job(), &site.path("old"), &ONE_PAGE_A_UNIT);
    assert_eq!(stage(&said, "documents"), (9, vec![("`site/x.html` is new, or stood elsewhere".to_owned(), 1)]));
    assert_eq!(of_stage(&said, "documents")["gone"], 1);
}

/// A folder with the demo's model, in which one weight is another.
fn other_model(folder: &Path) -> String {
    let (from, to) = (repository().join("tokenizers/models/demo-vq"), folder.join("other-vq"));
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let weights = to.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 4;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    text(&to)
}

#[test]
fn another_checkpoint_runs_the_images_again_and_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    run(&demo_job(), &old, &UNITS);
    let model = format!("tokenizers.image={:?}", other_model(folder.path()));
    let said = diff(&demo_job(), &old, &[&UNITS[..], &["--set", &model]].concat());
    assert!(stage(&said, "documents").1.is_empty(), "{said}");
    assert!(stage(&said, "images").1[0].0.contains("image_tokenizer.model_blake3"), "{said}");
    // A model is what its digest says, wherever it lies.
    let copied = folder.path().join("copy");
    fs::create_dir(&copied).unwrap();
    for entry in fs::read_dir(repository().join("tokenizers/models/demo-vq")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), copied.join(entry.file_name())).unwrap();
    }
    let elsewhere = format!("tokenizers.image={:?}", text(&copied));
    assert_eq!(
        diff(&demo_job(), &old, &[&UNITS[..], &["--set", &elsewhere]].concat())["changes"],
        serde_json::json!([])
    );
}

#[test]
fn another_text_tokenizer_runs_pages_again_and_encodes_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new, fresh] = ["old", "new", "fresh"].map(|name| folder.path().join(name));
    run(&demo_job(), &old, &UNITS);
    // Other bytes, and the same tokens.
    let tokenizer = fs::read_to_string(repository().join("tokenizers/models/demo-bpe/tokenizer.json")).unwrap();
    fs::write(folder.path().join("tokenizer.json"), format!("{tokenizer}\n ")).unwrap();
    let option = format!("tokenizers.text={:?}", text(&folder.path().join("tokenizer.json")));
    let other = [&UNITS[..], &["--set", &option]].concat();
    let said = diff(&demo_job(), &old, &other);
    assert!(
        stage(&said, "documents").0 == 0 && stage(&said, "documents").1[0].0.contains("`text_tokenizer`"),
        "{said}"
    );
    let (reused, words) = reuse(&demo_job(), &new, &old, &other);
    assert_eq!(taken(&words, "documents"), 0);
    assert_eq!(taken(&words, "images"), of_stage(&said, "images")["units"].as_u64().unwrap());
    assert_eq!(reused.data(), run(&demo_job(), &fresh, &other).data());
}

#[test]
fn a_damaged_file_is_not_taken_over() {
    let site = ten_pages();
    let [old, new, fresh] = ["old", "new", "fresh"].map(|name| site.path(name));
    run(&site.job(), &old, &ONE_PAGE_A_UNIT);
    let unit = fs::read_dir(old.join("work/documents")).unwrap().next().unwrap().unwrap().path();
    let file =
        fs::read_dir(unit).unwrap().map(|file| file.unwrap().path()).find(|path| text(path).contains("-documents."));
    let mut bytes = fs::read(file.as_ref().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file.unwrap(), bytes).unwrap();
    let (reused, words) = reuse(&site.job(), &new, &old, &ONE_PAGE_A_UNIT);
    assert_eq!(taken(&words, "documents"), 9);
    assert!(words.stderr.contains("runs again:") && words.stderr.contains("sha256 is"), "{}", words.stderr);
    assert_eq!(reused.data(), run(&site.job(), &fresh, &ONE_PAGE_A_UNIT).data());
}

#[test]
fn a_run_into_the_output_of_another_job_is_refused_with_both_ways_out() {
    let site = ten_pages();
    let out = site.path("out");
    site.run();
    let before = everything(&out);
    let (job, out_text) = (text(&site.job()), text(&out));
    for options in [&["--set", "seed=8"][..], &["--set", "units.bytes=500"]] {
        let said = pageloom(&[&["run", &job, "--out", &out_text][..], options].concat());
        assert_eq!(said.code, 1, "{said:#?}");
        let ways = [format!("plan JOB --diff {out_text}"), format!("--out NEW --reuse {out_text}")];
        assert!(ways.iter().all(|way| said.stderr.contains(way)), "{}", said.stderr);
    }
    let said = pageloom(&["run", &job, "--out", &out_text, "--reuse", &out_text]);
    assert!(said.code == 1 && said.stderr.contains("is the output itself"), "{said:#?}");
    assert_eq!(everything(&out), before);
}

#[test]
fn a_record_that_goes_on_behind_its_unit_runs_again_where_its_end_has_changed() {
    let site = Site::new();
    site.job_with_source("jsonl = { path = \"pages.jsonl\" }");
    let line = |name: &str, word: &str| {
        let html = format!("<p>{}</p><p>{word}</p>", PARAGRAPH.repeat(3));
        format!("{}\n", serde_json::json!({"url": format!("http://a.example/{name}"), "html": html}))
    };
    let write = |word: &str| fs::write(site.path("pages.jsonl"), line("one", word) + &line("two", word)).unwrap();
    write("before");
    // A unit ends in the middle of the first line.
    let cut = ["--set", "units.bytes=200"];
    let old = run(&site.job(), &site.path("old"), &cut);
    write("behind");
    let (new, _) = reuse(&site.job(), &site.path("new"), &old.out, &cut);
    let fresh = run(&site.job(), &site.path("fresh"), &cut);
    assert!(new.data() == fresh.data() && new.data() != old.data());
}

#[test]
fn other_row_groups_of_images_encode_no_image_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = run(&demo_job(), &folder.path().join("out"), &UNITS).out;
    let other = [&UNITS[..], &["--set", "image_shards.rows_per_row_group=4"]].concat();
    let found = diff(&demo_job(), &out, &other);
    let images = stage(&found, "images");
    assert!(images.0 > 0 && images.1.is_empty(), "{images:?}");
    assert!(!stage(&found, "image_shards").1.is_empty());
}

#[test]
fn a_run_is_looked_at_by_the_job_that_it_wrote_down() {
    let site = ten_pages();
    let finished = site.run();
    let (out, job) = (text(&finished.out), text(&site.job()));
    fs::write(&job, "another job").unwrap();
    done(&["verify", &out, "--deep"]);
    assert!(done(&["replay", &out, "--id", "file:///1.html"]).stdout.contains("Page 1."));
    fs::remove_file(&job).unwrap();
    done(&["replay", &out, "--id", "file:///1.html"]);
    change_the_middle(&site.path("site/2.html"));
    let said = pageloom(&["replay", &out, "--id", "file:///2.html"]);
    assert!(said.code == 1 && said.stderr.contains("has changed since the run read it"), "{said:#?}");
    fs::remove_dir_all(site.path("site")).unwrap();
    done(&["verify", &out, "--deep"]);
}
