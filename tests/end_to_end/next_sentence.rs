//! `mlm` with `next_sentence`: two segments of one document or of two, as BERT was trained on.

use super::site::{Finished, demo_job, done, pageloom, run, text, text_rows};

const PAIRS: [&str; 6] = [
    "--set",
    "units.bytes=65536",
    "--set",
    "sequences.objective={ mlm = { next_sentence = true } }",
    "--set",
    "sequences.packing={ one_document = { sequence_length = 320 } }",
];

fn finished(folder: &tempfile::TempDir, name: &str, options: &[&str]) -> Finished {
    run(&demo_job(), &folder.path().join(name), &[&PAIRS[..], options].concat())
}

/// The values of a list as `[1, 2]`.
fn values(list: &str) -> Vec<String> {
    list.trim_matches(['[', ']']).split(", ").map(str::to_owned).collect()
}

fn numbers(list: &str) -> Vec<i64> {
    values(list).iter().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn rows_say_whose_their_segments_are_and_whether_the_second_follows() {
    let folder = tempfile::tempdir().unwrap();
    let finished = finished(&folder, "out", &[]);
    let files = finished.data();
    let rows: Vec<_> = files
        .keys()
        .filter(|path| path.starts_with("data/"))
        .flat_map(|path| text_rows(&finished.out.join(path)))
        .collect();
    assert!(rows.len() > 50, "{}", rows.len());
    let mut seen = [0, 0];
    for row in &rows {
        let (keys, starts, ends) =
            (values(&row["source_keys"]), numbers(&row["source_starts"]), numbers(&row["source_ends"]));
        let label: usize = row["next_sentence_label"].parse().unwrap();
        seen[label] += 1;
        assert_eq!((keys.len(), keys[0] != keys[1]), (2, label == 1), "{row:?}");
        let lengths: Vec<i64> = starts.iter().zip(&ends).map(|(start, end)| end - start).collect();
        assert_eq!(numbers(&row["seq_lengths"])[0], lengths.iter().sum::<i64>() + 3);
        // In front of the first segment and behind it stands one token each, and behind the second one.
        let segments = numbers(&row["token_type_ids"]);
        let first = (lengths[0] + 2) as usize;
        let second = first + (lengths[1] + 1) as usize;
        let expected: Vec<i64> = (0..320).map(|position| i64::from((first..second).contains(&position))).collect();
        assert_eq!(segments, expected);
    }
    assert!(seen.iter().all(|count| *count > rows.len() / 10), "{seen:?}");
    let deep = done(&["verify", &text(&finished.out), "--deep"]).stdout;
    assert!(deep.contains(&format!("{} examples give their document's tokens back", rows.len())), "{deep}");
}

#[test]
fn pairs_are_the_same_bytes_however_many_units_are_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let [one, several] = ["1", "5"].map(|parallel| finished(&folder, parallel, &["--parallel", parallel]));
    assert_eq!(one.data(), several.data());
}

#[test]
fn check_and_plan_say_that_documents_are_cut_into_pairs() {
    let job = text(&demo_job());
    let said = |command: &str| done(&[&[command, &job][..], &PAIRS].concat()).stdout;
    let pairs = "documents are cut into pairs of segments of at most 320 tokens";
    assert!(said("check").contains(&format!("{pairs}, each of which is a row")), "{}", said("check"));
    assert!(said("plan").contains(&format!("{pairs}, none across two units")), "{}", said("plan"));
}

#[test]
fn pairs_of_another_rule_or_in_shared_rows_are_refused() {
    let job = text(&demo_job());
    let refused = |objective: &str, packing: &str, why: &str| {
        let (objective, packing) = (format!("sequences.objective={objective}"), format!("sequences.packing={packing}"));
        let said = pageloom(&["check", &job, "--set", &objective, "--set", &packing]);
        assert_eq!(said.code, 1, "{said:#?}");
        assert!(said.stderr.contains(why), "{}", said.stderr);
    };
    let rows = "{ one_document = { sequence_length = 512 } }";
    let pairs = "{ mlm = { next_sentence = true } }";
    refused("{ mlm = { next_sentence = true, rule = \"hugging_face\" } }", rows, "next_sentence is of the rule `bert`");
    refused(pairs, "{ best_fit = { sequence_length = 512 } }", "write `packing = { one_document");
    refused(
        &format!("{{ mixture = {{ parts = [{{ weight = 1.0, objective = {pairs} }}] }} }}"),
        rows,
        "part 0 has `next_sentence`",
    );
}
