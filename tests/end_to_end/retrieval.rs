//! Documents with others in front that were retrieved for them, from a table of neighbours to rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pageloom::packing::{ImagesAtCuts, RowLength};
use serde_json::json;

use super::blocks::{PAGES, UNITS, documents, one_document, pieces, same_for_any_parallelism, site};
use super::changes::{diff, of_stage, reuse, stage, taken};
use super::faults::{begin, stopped};
use super::objectives::with;
use super::site::{PARAGRAPH, Site, done, pageloom, run, text};

const ALL: &str = "sequences.retrieval={ neighbours = \"near.jsonl\", number = \"as_many_as_there_are\" }";
const NO_DOCUMENT: &str = "00000000000000000000000000000000";

/// The documents of a site, and a table in which the next three of each are its neighbours, the first one too near. The
/// first document has a neighbour that there is not, and the last has no row.
fn with_table(site: &Site) -> BTreeMap<String, Vec<i32>> {
    let documents = documents(site, "plain", &[UNITS]);
    let keys: Vec<&str> = documents.keys().map(String::as_str).collect();
    let row = |index: usize| {
        let next = |step: usize| keys[(index + step) % keys.len()];
        let third = if index == 0 { NO_DOCUMENT } else { next(3) };
        json!({"key": keys[index], "neighbours": [next(1), next(2), third], "scores": [0.99, 0.5, 0.25]}).to_string()
    };
    let strange = json!({"key": NO_DOCUMENT, "neighbours": [keys[0]]}).to_string();
    let rows: Vec<String> = (0..keys.len() - 1).map(row).chain([strange]).collect();
    fs::write(site.path("near.jsonl"), rows.join("\n")).unwrap();
    documents
}

#[test]
fn neighbours_stand_in_front_with_a_break_behind_each_and_are_told_apart() {
    let site = site();
    let documents = with_table(&site);
    let keys: Vec<&String> = documents.keys().collect();
    let plain = ["sequences.objective={ left_to_right = {} }", "sequences.packing={ passthrough = {} }"];
    let (finished, inverted) = same_for_any_parallelism(&site, "all", &[&[UNITS, ALL][..], &plain].concat());
    let counts = ["documents", "neighbours", "missing_neighbours"].map(|name| finished.count(name) as usize);
    assert_eq!((counts, inverted as usize), ([PAGES, 2 * (PAGES - 1) - 1, 1], PAGES));
    for (key, tokens, sources) in pieces(&finished) {
        let index = keys.iter().position(|there| **there == key).unwrap();
        let near: Vec<&str> = sources.iter().map(|(document, _)| document.as_str()).collect();
        let next = |step: usize| keys[(index + step) % PAGES].as_str();
        match index {
            0 => assert_eq!(near, [next(2), key.as_str()]),
            last if last == PAGES - 1 => assert_eq!(near, [key.as_str()]),
            _ => assert!(near == [next(2), next(3), &key] || near == [next(3), next(2), &key], "{near:?}"),
        }
        let mut start = 0;
        for (document, range) in &sources {
            let whole = &documents[document];
            let length = whole.len() - 1;
            assert_eq!(tokens[start..start + length], whole[..length]);
            // The break behind a neighbour is its last token; the document's own end is the objective's.
            assert_eq!(range.clone(), 0..length + usize::from(*document != key));
            start += range.len();
        }
        assert_eq!(start + 1, tokens.len());
    }
}

#[test]
fn how_many_stand_in_front_is_drawn_unless_all_are_asked_for() {
    let site = site();
    with_table(&site);
    let drawn = "sequences.retrieval={ neighbours = \"near.jsonl\" }";
    let packing = "sequences.packing={ passthrough = {} }";
    let (finished, _) = same_for_any_parallelism(&site, "drawn", &[UNITS, drawn, packing]);
    let mut numbers: Vec<usize> = pieces(&finished)
        .iter()
        .map(|(_, _, sources)| {
            let keys: std::collections::BTreeSet<&String> = sources.iter().map(|(document, _)| document).collect();
            keys.len() - 1
        })
        .collect();
    assert_eq!(numbers.iter().sum::<usize>() as u64, finished.count("neighbours"));
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.len() > 1 && numbers.iter().all(|number| *number <= 2), "{numbers:?}");
}

#[test]
fn blocks_of_documents_with_neighbours_give_them_all_back() {
    let site = site();
    let documents = with_table(&site);
    let masking = "sequences.objective={ causal_masking = { variant = \"cm3leon\", lambda = 2.0 } }";
    let unmoved = "sequences.objective={ fim = { level = \"context\", rate = 0.0 } }";
    let packing = one_document(600, ImagesAtCuts::Cut, RowLength::Sequence);
    let [_, finished] = [("masked", masking), ("unmoved", unmoved)].map(|(name, objective)| {
        let (finished, inverted) = same_for_any_parallelism(&site, name, &[UNITS, ALL, objective, &packing]);
        assert_eq!((inverted, finished.count("documents")), (finished.count("blocks"), PAGES as u64));
        finished
    });
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for (_, _, sources) in pieces(&finished) {
        for (document, range) in sources {
            assert!(range.start < range.end && range.end <= documents[&document].len());
            *times.entry(document).or_default() += usize::from(range.start == 0);
        }
    }
    assert_eq!(times.len(), PAGES);
    let begun: usize = times.values().sum();
    assert_eq!(begun as u64, PAGES as u64 + finished.count("neighbours"));
}

#[test]
fn a_table_of_neighbours_that_is_none_is_refused_with_its_row() {
    let site = site();
    with_table(&site);
    let check = |retrieval: &str| {
        let said = pageloom(&["check", &text(&site.job()), "--set", &format!("sequences.retrieval={retrieval}")]);
        assert_eq!(said.code, 1, "{said:#?}");
        said.stderr
    };
    fs::write(site.path("bad.jsonl"), "{\"key\": \"x\", \"neighbours\": []}").unwrap();
    assert!(check("{ neighbours = \"bad.jsonl\" }").contains("line 1: `x` is no key"));
    assert!(check("{ neighbours = \"none.jsonl\" }").contains("none.jsonl"));
    assert!(check("{ neighbours = \"near.jsonl\", max_documents = 0 }").contains("nothing would stand in front"));
    done(&["check", &text(&site.job()), "--set", ALL]);
}

/// Rows that depend on no bucket: each document with its neighbours is one.
const SINGLE: [&str; 2] = ["sequences.objective={ causal_masking = {} }", "sequences.packing={ passthrough = {} }"];

/// How many units a stage of a run has.
fn units(out: &Path, stage: &str) -> usize {
    fs::read_dir(out.join("commits").join(stage)).map_or(0, |files| files.count())
}

#[test]
fn rows_are_the_same_however_many_buckets_there_are() {
    let site = site();
    with_table(&site);
    let in_buckets = |bytes: &str| {
        let finished = with(&site, bytes, &[&[&format!("units.bytes={bytes}"), ALL][..], &SINGLE].concat(), "2");
        let stages = ["neighbours", "retrieved", "sequences"].map(|stage| units(&finished.out, stage));
        (stages, pieces(&finished))
    };
    let (one, rows) = in_buckets("1000000");
    assert_eq!(one, [1, 1, 1]);
    for bytes in ["6000", "2000"] {
        let (stages, same) = in_buckets(bytes);
        assert!(stages[0] == 1 && stages[1] > 2 && stages[1] == stages[2], "{stages:?}");
        assert!(same == rows, "{bytes}");
    }
}

#[test]
fn killed_in_a_stage_of_retrieval_it_goes_on_to_the_same_bytes() {
    let site = site();
    with_table(&site);
    let settings = [&[UNITS, ALL][..], &SINGLE].concat();
    let options: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let undisturbed = run(&site.job(), &site.path("undisturbed"), &options);
    for stage in ["neighbours", "retrieved", "sequences"] {
        let folder = site.path(&format!("killed-{stage}"));
        fs::create_dir(&folder).unwrap();
        let (out, _) = stopped(stage, &folder, |out| begin(&site.job(), out, &options), |run| run.kill().unwrap());
        assert!(units(&out, stage) > 0);
        assert_eq!(run(&site.job(), &out, &options).data(), undisturbed.data(), "killed in {stage}");
        done(&["clean", &text(&out), "--remove"]);
        done(&["verify", &text(&out), "--deep"]);
    }
}

#[test]
fn units_placed_one_by_one_from_the_last_to_the_first_give_the_same_bytes() {
    let site = site();
    with_table(&site);
    let settings = [&[UNITS, ALL][..], &SINGLE].concat();
    let options: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let plan = done(&[&["plan", &text(&site.job()), "--json"][..], &options].concat()).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let out = site.path("units");
    let stages: Vec<_> = plan["stages"].as_array().unwrap().iter().map(|of| of["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["neighbours", "documents", "images", "retrieved", "sequences", "shards"]);
    for (stage, of_stage) in stages.iter().zip(plan["stages"].as_array().unwrap()) {
        for index in (0..of_stage["units"].as_u64().unwrap_or(0)).rev() {
            let unit = ["unit", &text(&site.job()), "--out", &text(&out), "--stage", stage, "--index"];
            done(&[&unit[..], &[&index.to_string()], &options].concat());
        }
    }
    assert_eq!(run(&site.job(), &out, &options).data(), with(&site, "run", &settings, "2").data());
}

#[test]
fn a_long_table_and_little_memory_make_the_same_bytes() {
    let site = site();
    with_table(&site);
    // Documents that the run doesn't have, so many that their rows have to be sorted on disk.
    let key = |number: u32| format!("{number:032x}");
    let row = |number: u32| json!({"key": key(number), "neighbours": [key(number + 1), key(number + 2)]}).to_string();
    let own = fs::read_to_string(site.path("near.jsonl")).unwrap();
    let others: Vec<String> = (1..=400_000).map(row).collect();
    fs::write(site.path("near.jsonl"), format!("{}\n{own}", others.join("\n"))).unwrap();
    let settings = [&[UNITS, ALL][..], &SINGLE].concat();
    let much = with(&site, "much", &settings, "1");
    let little = with(&site, "little", &[&settings[..], &["units.memory=34000000"]].concat(), "4");
    assert_eq!((much.data(), much.count("neighbours")), (little.data(), 2 * PAGES as u64 - 3));
}

#[test]
fn what_a_changed_table_or_objective_does_not_touch_is_taken_over() {
    let site = site();
    with_table(&site);
    let settings = [&[UNITS, ALL][..], &SINGLE].concat();
    let options: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let old = run(&site.job(), &site.path("old"), &options).out;
    let buckets = units(&old, "retrieved") as u64;
    let same = diff(&site.job(), &old, &options);
    for (name, count) in [("neighbours", 1), ("retrieved", buckets), ("sequences", buckets)] {
        assert_eq!(stage(&same, name), (count, Vec::new()));
    }

    let objective = [&options[..], &["--set", "sequences.objective={ left_to_right = {} }"]].concat();
    let said = diff(&site.job(), &old, &objective);
    assert_eq!((stage(&said, "neighbours").0, stage(&said, "retrieved").0), (1, buckets));
    assert!(stage(&said, "sequences").1[0].0.contains("`sequences.objective"), "{said}");
    let (_, words) = reuse(&site.job(), &site.path("objective"), &old, &objective);
    assert_eq!(["neighbours", "retrieved", "sequences"].map(|stage| taken(&words, stage)), [1, buckets, 0]);

    // One document has other neighbours now; the table is another, and what most buckets hand on is the same.
    let table = fs::read_to_string(site.path("near.jsonl")).unwrap();
    let (first, rest) = table.split_once('\n').unwrap();
    fs::write(site.path("near.jsonl"), format!("{}\n{rest}", first.replace("0.25", "0.95"))).unwrap();
    let said = diff(&site.job(), &old, &options);
    assert!(stage(&said, "documents").1.is_empty() && stage(&said, "images").1.is_empty(), "{said}");
    assert!(stage(&said, "neighbours").1[0].0.contains("near.jsonl"), "{said}");
    assert_eq!(of_stage(&said, "retrieved")["depends"], true);
    let (reused, words) = reuse(&site.job(), &site.path("table"), &old, &options);
    assert_eq!((taken(&words, "documents") > 0, taken(&words, "neighbours")), (true, 0));
    assert!(taken(&words, "retrieved") >= buckets - 2, "{words:#?}");
    assert_eq!(reused.data(), run(&site.job(), &site.path("fresh"), &options).data());
}

#[test]
fn what_is_rejected_on_its_way_in_front_is_in_the_books_once() {
    let site = Site::new().with("good.html", PARAGRAPH).with("also.html", format!("<p>Also.</p>{PARAGRAPH}"));
    let site = site.with("bad.html", format!("{PARAGRAPH}<p><img src=none.png></p>"));
    let keys: Vec<String> = documents(&site, "plain", &[]).into_keys().collect();
    let others = |own: &String| keys.iter().filter(|key| *key != own).cloned().collect::<Vec<_>>();
    let rows: Vec<String> = keys.iter().map(|key| json!({"key": key, "neighbours": others(key)}).to_string()).collect();
    fs::write(site.path("near.jsonl"), rows.join("\n")).unwrap();
    let refused = "sequences.interleave.failed_image=\"reject_document\"";
    let finished = with(&site, "out", &[&[ALL, refused, "units.bytes=300"][..], &SINGLE].concat(), "2");
    let rejects = finished.rejects();
    assert_eq!(rejects.iter().filter(|reject| reject.contains("document.image_without_tokens")).count(), 1);
    let counts = ["documents", "neighbours", "missing_neighbours"].map(|name| finished.count(name));
    assert_eq!(counts, [2, 2, 2]);
    done(&["verify", &text(&finished.out), "--deep"]);
}

#[test]
fn a_table_that_is_broken_further_down_ends_the_run_before_its_first_page() {
    let site = site();
    with_table(&site);
    let table = fs::read_to_string(site.path("near.jsonl")).unwrap();
    let said = |table: String, out: &str| {
        fs::write(site.path("near.jsonl"), table).unwrap();
        done(&["check", &text(&site.job()), "--set", ALL]);
        let said = pageloom(&["run", &text(&site.job()), "--out", &text(&site.path(out)), "--set", ALL]);
        assert_eq!((said.code, units(&site.path(out), "documents")), (1, 0), "{said:#?}");
        said.stderr
    };
    let row = |number: u32| json!({"key": format!("{number:032x}"), "neighbours": []}).to_string();
    let many: Vec<String> = (1..=20_000).map(row).collect();
    let broken = said(format!("{}\n{{\"key\": 7}}", many.join("\n")), "broken");
    assert!(broken.contains("near.jsonl: is no table of neighbours: line 20001: "), "{broken}");
    let key = &table[8..40];
    let twice = said(format!("{table}\n{}", json!({"key": key, "neighbours": []})), "twice");
    assert!(twice.contains(&format!("document {key} has two rows")), "{twice}");
}
