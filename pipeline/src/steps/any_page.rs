//! Any bytes at all, taken for a page, end as a document or as a counted reject, in every form, and with all filters.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use arrow::array::RecordBatch;
use pageloom_schemas::{Key, columns, tables};

use super::StepConfig;
use super::fixture::{repository, resources};
use crate::engine::reading::page_rows;
use crate::engine::step_exec::guarded;
use crate::job::LoadedJob;
use crate::keys::document_key;
use crate::random::KeyedRandom;
use crate::sources::RawDocument;
use crate::step::{Kind, Reject};

const PAGES: u32 = 600;

/// What a page is made of here: markup that changes how the rest is read, and bytes that mean nothing.
const PIECES: &[&[u8]] = &[
    b"<p>",
    b"</p>",
    b"<div><p>Words that are long enough to be kept, for there are more than a hundred and twenty-eight letters in this \
      paragraph, and that is what the demo job wants of any paragraph that it keeps.",
    b"<table><tr><td>",
    b"</table>",
    b"<select><option>",
    b"<template><frameset>",
    b"<svg><foreignObject><math><mi>",
    b"</svg>",
    b"<![CDATA[ ]]>",
    b"<!--",
    b"-->",
    b"<script>",
    b"</script>",
    b"<plaintext>",
    b"<title>",
    b"<base href='http://[::1'>",
    b"<base href='//elsewhere.example/a/b/'>",
    b"<meta charset=utf-16>",
    b"<meta charset=shift_jis>",
    b"<img src=a.png alt='",
    b"<img src='data:image/png;base64,AAAA'>",
    b"<img srcset='a.png 1x, , b.png -2x,c.png 9e999w' src=>",
    b"<img src='http://x\\..\\%zz?#\x00'>",
    b"<picture><source srcset='a.png 1x'><noscript><img src=b.png>",
    b"</noscript><img data-src=c.png src=blank.gif>",
    b"<html lang=de>",
    b"<header><form><h1>",
    b"<a title='x'><b class=copyright>",
    b"<a href=",
    b"' onload=\"x\" ",
    b"&#x110000;&#0;&notit;&amp",
    b"<mask:0><|endoftext|>",
    "\u{1f469}\u{200d}\u{1f680}\u{202e}\u{fffd}".as_bytes(),
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x00\x00",
    b"\x1b$B",
    b"\x81\x30\x81",
];

const CONTENT_TYPES: &[Option<&str>] = &[
    None,
    Some("text/html"),
    Some("text/html; charset=utf-16le"),
    Some("text/html; charset=\"iso-2022-jp"),
    Some("text/html; charset=gb18030"),
    Some(";;="),
];

/// Page `number`: pieces in any order, with some bytes drawn anew, cut anywhere; every third page is noise.
fn page(number: u32) -> RawDocument {
    let mut random = KeyedRandom::new(4, "any page", &number.to_le_bytes(), 0);
    let mut below = |bound: usize| random.below(NonZeroU64::new(bound.max(1) as u64).unwrap()) as usize;
    let mut body = Vec::new();
    for _ in 0..below(60) {
        match number % 3 {
            0 => body.push(below(256) as u8),
            _ => body.extend(PIECES[below(PIECES.len())]),
        }
    }
    for _ in 0..below(4).min(body.len()) {
        let place = below(body.len());
        body[place] = below(256) as u8;
    }
    body.truncate(body.len() - below(body.len() / 4));
    RawDocument {
        locator: format!("any/{number}"),
        url: format!("https://any.example/{number}"),
        content_type: CONTENT_TYPES[below(CONTENT_TYPES.len())].map(str::to_owned),
        robots: None,
        body,
    }
}

fn documents_of(job: &str) -> Vec<StepConfig> {
    LoadedJob::read(&repository().join(job), &[]).unwrap().draft.documents.unwrap()
}

/// The steps from bytes to tokens, once for each form.
fn chains() -> Vec<Vec<StepConfig>> {
    let all = StepConfig::examples();
    let one = |name: &str| all.iter().find(|step| step.name() == name).unwrap().clone();
    let decoded = one("decode_charset").columns().apply(&tables::pages()).unwrap();
    let writes = |step: &&StepConfig| {
        step.columns().apply(&decoded).is_ok_and(|left| left.field_with_name("markup_images").is_ok())
    };
    let forms = all.iter().filter(writes).cloned();
    forms.map(|form| vec![one("decode_charset"), form, one("tokenize_text")]).collect()
}

fn through(steps: &[StepConfig], mut rows: RecordBatch) -> (RecordBatch, Vec<Reject>) {
    let resources = resources();
    let mut rejects = Vec::new();
    for config in steps {
        let schema = config.columns().apply(&rows.schema()).unwrap();
        let step = config.build(&resources).unwrap();
        let (kept, refused) = guarded(step.as_ref(), Kind::Document, config.name(), &schema, rows).unwrap();
        rejects.extend(refused.into_parts().0);
        rows = kept;
    }
    (rows, rejects)
}

/// Takes all pages through these steps; the answer is how many documents are left, and the reasons of the others.
fn each_page_ends_once(steps: &[StepConfig]) -> (usize, BTreeSet<&'static str>) {
    let pages: Vec<(Key, RawDocument)> =
        (0..PAGES).map(page).map(|page| (document_key(0, &page.locator), page)).collect();
    let (kept, rejects) = through(steps, page_rows(&pages).unwrap());

    let panics: Vec<&Reject> = rejects.iter().filter(|reject| reject.reason == "panicked").collect();
    assert!(panics.is_empty(), "{steps:?}: {panics:?}");

    let key = columns::key();
    let kept_keys = Key::all_of(key.of(&kept).unwrap()).unwrap().into_iter().map(|key| key.to_string());
    let mut ends: Vec<String> = kept_keys.chain(rejects.iter().map(|reject| reject.key.clone())).collect();
    ends.sort();
    let mut expected: Vec<String> = pages.iter().map(|(key, _)| key.to_string()).collect();
    expected.sort();
    assert_eq!(ends, expected, "{steps:?}: each page ends once");

    (kept.num_rows(), rejects.iter().map(|reject| reject.reason).collect())
}

#[test]
fn any_bytes_end_as_a_document_or_a_counted_reject_in_every_form() {
    let chains = chains();
    assert!(chains.len() >= 4);
    for chain in chains {
        let (kept, reasons) = each_page_ends_once(&chain);
        assert!(kept > 50 && reasons.len() > 1, "{}: {kept} kept, {reasons:?}: too tame a test", chain[1].name());
    }
}

#[test]
fn any_bytes_end_as_a_document_or_a_counted_reject_of_a_filter() {
    let (_, reasons) = each_page_ends_once(&documents_of("jobs/filters.toml"));
    assert!(reasons.len() > 4, "{reasons:?}: too tame a test");
}
