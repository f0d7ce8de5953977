//! Images in rows of sequences: which runs of tokens are whose, wherever objectives and packings have put them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::blocks::pieces;
use super::objectives::{picture, with};
use super::site::{Finished, PARAGRAPH, Site, done, pageloom, run, text};

type Row = BTreeMap<String, String>;

const TABLE: &str =
    "[[images]]\ndraw_masks = { name = \"mae\", strategy = { random = {} }, views = 2 }\n[image_shards]\n";
const ASKED: &str = "sequences.images={ masks = [\"mae\"] }";

/// The objective that leaves images whole.
const UNMOVED: &str = "sequences.objective={ left_to_right = {} }";

/// Three pages that share two images.
fn site() -> Site {
    let both = format!("{PARAGRAPH}<p><img src=a.bmp>{PARAGRAPH}<img src=b.bmp></p>{PARAGRAPH}<img src=a.bmp>");
    let one = format!("{PARAGRAPH}<img src=b.bmp>{PARAGRAPH}");
    let site = Site::new().with("a.bmp", picture(40)).with("b.bmp", picture(90));
    let site = site.with("both.html", both).with("one.html", &one).with("none.html", PARAGRAPH);
    let job = fs::read_to_string(site.job()).unwrap();
    fs::write(site.job(), job + TABLE).unwrap();
    site
}

fn words(row: &Row, name: &str) -> Vec<String> {
    let list = row[name].trim_matches(['[', ']']);
    list.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn numbers(row: &Row, name: &str) -> Vec<usize> {
    words(row, name).iter().map(|word| word.parse().unwrap()).collect()
}

fn images(finished: &Finished) -> BTreeMap<String, Row> {
    let files = finished.manifest()["image_table"]["files"].as_array().unwrap().clone();
    let rows = files.iter().flat_map(|file| super::site::text_rows(&finished.out.join(file["path"].as_str().unwrap())));
    rows.map(|row| (row["image_key"].clone(), row)).collect()
}

/// The ids of codes.
fn image_ids(finished: &Finished) -> std::ops::Range<usize> {
    let vocabulary = fs::read_to_string(finished.out.join("vocabulary.json")).unwrap();
    let vocabulary: Value = serde_json::from_str(&vocabulary).unwrap();
    let image = vocabulary["ranges"].as_array().unwrap().iter().find(|range| range["name"] == "image").unwrap().clone();
    let number = |name: &str| image[name].as_u64().unwrap() as usize;
    number("first")..number("first") + number("count")
}

/// How many runs there are, and how many of them are not whole; each is held against the table of images.
fn checked(finished: &Finished) -> (usize, usize) {
    let (images, image_ids) = (images(finished), image_ids(finished));
    let (mut whole, mut cut) = (0, 0);
    for row in super::site::text_rows(&finished.out.join("data/train-00000-of-00001.parquet")) {
        let ids = numbers(&row, "input_ids");
        let (keys, masks) = (words(&row, "image_keys"), words(&row, "image_masks_mae"));
        let (starts, lengths) = (numbers(&row, "image_starts"), numbers(&row, "image_lengths"));
        let (offsets, is_whole) = (numbers(&row, "image_offsets"), words(&row, "image_is_whole"));
        assert_eq!(masks.len(), 2 * keys.len());
        let mut told = vec![false; ids.len()];
        for (run, key) in keys.iter().enumerate() {
            let image = &images[key];
            let (start, offset, length) = (starts[run], offsets[run], lengths[run]);
            let codes: Vec<usize> = ids[start..start + length].iter().map(|id| id - image_ids.start).collect();
            assert_eq!(codes, numbers(image, "tokens")[offset..offset + length]);
            assert_eq!(masks[2 * run..2 * run + 2], words(image, "masks_mae"));
            assert_eq!(is_whole[run] == "true", length == 256);
            told[start..start + length].fill(true);
            *(if length == 256 { &mut whole } else { &mut cut }) += 1;
        }
        let is_image: Vec<bool> = ids.iter().map(|id| image_ids.contains(id)).collect();
        assert_eq!(told, is_image);
        assert!(starts.is_sorted(), "{starts:?}");
    }
    (whole, cut)
}

#[test]
fn each_image_stands_in_a_row_by_its_key_with_its_masks_whatever_the_objective_and_the_packing() {
    let site = site();
    let of = |name: &str, objective: &str, packing: &str| {
        let settings = [format!("sequences.objective={objective}"), format!("sequences.packing={packing}")];
        let finished = with(&site, name, &[&settings[0], &settings[1], ASKED], "2");
        done(&["verify", "--deep", &text(&finished.out)]);
        checked(&finished)
    };
    let whole = "{ concat_and_split = { sequence_length = 512 } }";
    assert_eq!(of("plain", "{ left_to_right = {} }", whole), (4, 0));
    let cuts = "{ concat_and_split = { sequence_length = 300, image_spans = \"cut\" } }";
    assert!(of("cuts", "{ left_to_right = {} }", cuts).1 >= 4);
    let moved = "{ causal_masking = { lambda = 6.0, min_spans = 3, max_spans = 9 } }";
    assert!(of("moved", moved, "{ best_fit = { sequence_length = 2048 } }").1 > 0);
    let blocks = "{ causal_masking = { variant = \"cm3leon\" } }";
    let (in_blocks, cut) = of("blocks", blocks, "{ one_document = { sequence_length = 400, image_spans = \"cut\" } }");
    assert!(in_blocks + cut >= 4 && cut > 0);
}

#[test]
fn each_image_of_a_retrieved_document_stands_in_a_row_by_its_key_with_its_masks() {
    let site = site();
    let single = "sequences.packing={ passthrough = {} }";
    let documents: Vec<String> =
        pieces(&with(&site, "alone", &[UNMOVED, single], "1")).into_iter().map(|(key, ..)| key).collect();
    let others = |own: &String| documents.iter().filter(|key| *key != own).cloned().collect::<Vec<_>>();
    let row = |key: &String| serde_json::json!({"key": key, "neighbours": others(key)}).to_string();
    fs::write(site.path("near.jsonl"), documents.iter().map(row).collect::<Vec<_>>().join("\n")).unwrap();
    let retrieval = "sequences.retrieval={ neighbours = \"near.jsonl\", number = \"as_many_as_there_are\" }";
    let units = "units.bytes=600";
    let of = |name: &str, objective: &str, packing: &str| {
        let finished = with(&site, name, &[units, ASKED, retrieval, objective, packing], "2");
        done(&["verify", "--deep", &text(&finished.out)]);
        assert_eq!(finished.count("neighbours"), 6);
        checked(&finished)
    };
    // Each of the three documents has both others in front, so each row shows the four images of them all.
    assert_eq!(of("single", UNMOVED, single), (12, 0));
    let moved = "sequences.objective={ causal_masking = { lambda = 6.0, min_spans = 3, max_spans = 9 } }";
    assert!(of("moved", moved, single).1 > 0);
    let blocks = "sequences.objective={ causal_masking = { variant = \"cm3leon\" } }";
    let cuts = "sequences.packing={ one_document = { sequence_length = 400, image_spans = \"cut\" } }";
    let (whole, cut) = of("blocks", blocks, cuts);
    assert!(whole + cut >= 12 && cut > 0);
}

#[test]
fn rows_tell_of_their_images_only_where_a_job_asks_and_are_else_the_same() {
    let site = site();
    let (asked, plain) = (with(&site, "asked", &[ASKED, UNMOVED], "1"), with(&site, "plain", &[UNMOVED], "1"));
    let rows = |finished: &Finished| super::site::text_rows(&finished.out.join("data/train-00000-of-00001.parquet"));
    let without = |row: Row| -> Row { row.into_iter().filter(|(name, _)| !name.starts_with("image_")).collect() };
    assert_eq!(rows(&asked).into_iter().map(without).collect::<Vec<_>>(), rows(&plain));
    assert_eq!(with(&site, "three", &[ASKED, UNMOVED], "3").data(), asked.data());
    let card = fs::read_to_string(asked.out.join("README.md")).unwrap();
    assert!(
        card.contains("`image_keys`") && card.contains("`image_masks_mae` | masks, as bitmaps of each run"),
        "{card}"
    );
    let shown = asked.shown();
    assert!(shown.contains(": image ") && shown.contains("16 x 16; mae: 192, 192 bits"), "{shown}");
}

#[test]
fn rows_are_made_again_where_their_masks_are_drawn_in_another_way() {
    let site = site();
    let old = with(&site, "old", &[ASKED, UNMOVED], "1");
    let job = fs::read_to_string(site.job()).unwrap();
    fs::write(site.job(), job.replace("{ random = {} }", "{ random = { ratio = 0.5 } }")).unwrap();
    let reusing = run(&site.job(), &site.path("new"), &["--set", ASKED, "--set", UNMOVED, "--reuse", &text(&old.out)]);
    assert_eq!(checked(&reusing).0, 4);
}

#[test]
fn masks_and_images_that_no_row_can_have_are_named() {
    let site = site();
    let said = |set: &str, more: &str| {
        let said = pageloom(&["check", &text(&site.job()), "--set", set, "--set", more]);
        assert_eq!(said.code, 1, "{said:#?}");
        said.stderr
    };
    let seed = "seed=7";
    assert!(said("sequences.images={ masks = [\"green\"] }", seed).contains("no `draw_masks` is named `green`"));
    assert!(said("sequences.images={ masks = [\"mae\", \"mae\"] }", seed).contains("`mae` is there twice"));
    let decimal = "sequences.interleave.image_tokens=\"decimal\"";
    assert!(said(ASKED, decimal).contains("no token of a row is a token of an image"));
}
