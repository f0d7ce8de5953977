//! Documents with others in front that were retrieved for them, from a table of neighbours to rows.

use std::collections::BTreeMap;
use std::fs;

use pageloom::packing::{ImagesAtCuts, RowLength};
use serde_json::json;

use super::blocks::{PAGES, UNITS, documents, one_document, pieces, same_for_any_parallelism, site};
use super::site::{Site, done, pageloom, text};

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
