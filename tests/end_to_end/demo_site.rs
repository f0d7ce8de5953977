//! The demo site: each thing that is broken on purpose is rejected for its reason, and nothing else is.

use std::fs;

use super::site::{demo_job, done, repository, run, text};

#[test]
fn what_is_broken_on_purpose_is_rejected_for_its_reason_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let finished = run(&demo_job(), &folder.path().join("out"), &[]);
    let expected = fs::read_to_string(repository().join("jobs/demo/expected_rejects.tsv")).unwrap();
    let mut expected: Vec<String> = expected.lines().skip(1).map(without_explanation).collect();
    let mut found = Vec::new();
    for table in ["rejects", "dropped"] {
        let rows = finished.rows(table).into_iter();
        // An image that was rejected is dropped from every page that shows it: that follows from the rest.
        let rows = rows.filter(|row| row["reason"] != "image_without_tokens");
        found.extend(rows.map(|row| {
            let cells = ["kind", "url", "step", "reason"].map(|name| row[name].as_str());
            format!("{table}\t{}", cells.join("\t"))
        }));
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn an_image_that_was_rejected_is_replayed_by_the_address_that_it_is_listed_with() {
    let folder = tempfile::tempdir().unwrap();
    let finished = run(&demo_job(), &folder.path().join("out"), &[]);
    let rejects = finished.rows("rejects").into_iter().filter(|row| row["kind"] == "image");
    let mut inline = 0;
    for row in rejects {
        let said = done(&["replay", &text(&finished.out), "--id", &row["url"]]);
        assert!(said.stdout.contains(&format!("not kept: {}", row["reason"])), "{row:?}\n{}", said.stdout);
        inline += u32::from(row["url"].starts_with("data:"));
    }
    assert!(inline > 1, "{inline} of them lie in their own address");
}

/// A line of the list without its last cell, which is for people.
fn without_explanation(line: &str) -> String {
    line.rsplit_once('\t').unwrap().0.to_owned()
}

#[test]
fn text_of_every_language_and_encoding_comes_out_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    // One document per row and no span moved, so that what is shown is what was read.
    let left_to_right = [
        "--set",
        "sequences.objective={ left_to_right = {} }",
        "--set",
        "sequences.packing.concat_and_split.sequence_length=8192",
    ];
    let finished = run(&demo_job(), &folder.path().join("out"), &left_to_right);
    let shown = finished.shown();
    for text in WORDS {
        assert!(shown.contains(text), "{text} is missing");
    }
}

/// Words of pages in UTF-8, windows-1252, UTF-8, Shift_JIS, EUC-JP, UTF-16 and UTF-8.
const WORDS: [&str; 7] = [
    "married a clock, and that it was a naïve clock – but a faithful one.",
    "„Kein Garten, bloß Beete“, sagte sie noch 1938, als das Gewächshaus längst stand – so jedenfalls",
    "Der Küstengarten liegt auf einer schmalen Landzunge",
    "シダには花も種もありません。そのため、どうやって増えるのか、長いあいだだれにもわかりませんでした。",
    "最初の三十年のあいだ、この庭には名前も柵も庭師もありませんでした。",
    "植物園は路面電車の終点にあります。",
    "تقع حديقة وندلمير الساحلية على لسان ضيق من الأرض",
];
