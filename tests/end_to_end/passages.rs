//! Contexts of several passages, from a source that tells them apart to rows.

use std::fs;

use pageloom::objectives::{ContextPermutation, ObjectiveConfig, PassageOrder};

use super::objectives::{setting, with};
use super::site::{Site, done, pageloom, text};

const PASSAGES: [(&str, Option<u32>); 5] =
    [("Noise.", None), ("Second.", Some(1)), ("First.", Some(0)), ("Sound.", None), ("Other.", None)];

/// A job over contexts in lines of JSON.
fn contexts() -> Site {
    let site = Site::new();
    let passage = |(text, step): &(&str, Option<u32>)| serde_json::json!({"text": text, "gold_step": step});
    let line = |number: usize| {
        let passages: Vec<_> = PASSAGES.iter().map(passage).collect();
        let url = format!("https://contexts.example/{number}");
        serde_json::json!({"url": url, "passages": passages, "question": format!("Why {number}?")}).to_string()
    };
    let lines: Vec<String> = (0..9).map(line).collect();
    fs::write(site.path("contexts.jsonl"), lines.join("\n")).unwrap();
    site.job_with_source(
        "jsonl = { path = \"contexts.jsonl\", passages_field = \"passages\", text_field = \"question\" }",
    );
    let job = fs::read_to_string(site.job()).unwrap();
    let page_steps = "decode_charset = {}\n[[documents]]\nminimal_html = {}\n[[documents]]\ntokenize_text = {}";
    assert!(job.contains(page_steps));
    fs::write(site.job(), job.replace(page_steps, "tokenize_passages = { separator = \" | \" }")).unwrap();
    site
}

/// The first document of each order, as a row shows it.
fn shown(site: &Site, order: PassageOrder, k: u32) -> String {
    let settings = ContextPermutation { order, k, ..ContextPermutation::default() };
    let objective = setting("sequences.objective", &ObjectiveConfig::ContextPermutation(settings));
    let packing = "sequences.packing={ passthrough = {} }";
    let name = format!("{order:?}-{k}");
    let once = with(site, &format!("{name}-1"), &[&objective, packing, "units.bytes=300"], "1");
    let twice = with(site, &format!("{name}-2"), &[&objective, packing, "units.bytes=300"], "2");
    assert_eq!((once.data(), once.count("documents")), (twice.data(), 9));
    let deep = done(&["verify", &text(&once.out), "--deep"]).stdout;
    assert!(deep.contains("9 examples give their document's tokens back"), "{deep}");
    let shown = done(&["show", &text(&once.out)]).stdout;
    shown.lines().find(|line| line.contains("<eod>")).unwrap_or_default().to_owned()
}

#[test]
fn passages_stand_in_each_order_with_the_question_behind_them() {
    let site = contexts();
    let begins = |order, k, expected: &str| {
        let shown = shown(&site, order, k);
        assert!(shown.starts_with(expected), "{order:?}: {shown}");
    };
    begins(PassageOrder::Forward, 0, "Noise. | First. | Second. | Sound. | Other. | Why ");
    begins(PassageOrder::Backward, 0, "Noise. | Second. | First. | Sound. | Other. | Why ");
    begins(PassageOrder::ForwardK, 1, "Noise. | Sound. | First. | Other. | Second. | Why ");
    begins(PassageOrder::Gold, 0, "Second. | First. | Why ");
    begins(PassageOrder::RmFirst, 0, "Noise. | Second. | Sound. | Other. | Why ");
}

#[test]
fn every_order_of_passages_is_drawn_by_the_key() {
    let site = contexts();
    let line = shown(&site, PassageOrder::Uniform, 0);
    assert!(PASSAGES.iter().all(|(passage, _)| line.matches(passage).count() == 1), "{line}");
}

#[test]
fn a_page_without_passages_is_rejected_and_named() {
    let site = contexts();
    site_of_pages(&site);
    let finished = with(&site, "out", &["sequences.packing={ passthrough = {} }"], "2");
    assert_eq!(finished.rejects(), ["https://contexts.example/page: document.no_passages"]);
    let said = pageloom(&["rejects", &text(&finished.out)]);
    assert!(said.stdout.contains("no_passages"), "{said:#?}");
}

fn site_of_pages(site: &Site) {
    let page = "\n{\"url\": \"https://contexts.example/page\", \"html\": \"<p>A page\"}";
    let contexts = fs::read_to_string(site.path("contexts.jsonl")).unwrap();
    fs::write(site.path("contexts.jsonl"), contexts + page).unwrap();
}
