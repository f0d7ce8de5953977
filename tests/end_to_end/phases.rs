//! Rows for several phases of training come phase by phase, in shards of their own.

use super::site::{Finished, demo_job, done, run, text, text_rows};

/// Units and shards so small that there are several of each for both phases.
const BOTH: [&str; 6] = [
    "--set",
    "units.bytes=65536",
    "--set",
    "shards.rows_per_shard=4",
    "--set",
    "sequences.objective={ biphasic = {} }",
];

fn finished(folder: &tempfile::TempDir, name: &str, options: &[&str]) -> Finished {
    run(&demo_job(), &folder.path().join(name), &[&BOTH[..], options].concat())
}

/// Path, phase and rows of each shard, as the manifest lists them.
fn shards(of: &Finished) -> Vec<(String, u64, u64)> {
    let manifest = of.manifest();
    let number = |file: &serde_json::Value, name: &str| file[name].as_u64().unwrap();
    let shard = |file: &serde_json::Value| {
        (file["path"].as_str().unwrap().to_owned(), number(file, "phase"), number(file, "rows"))
    };
    manifest["files"].as_array().unwrap().iter().map(shard).collect()
}

#[test]
fn all_shards_of_a_phase_stand_before_those_of_the_next_and_none_has_rows_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let finished = finished(&folder, "out", &[]);
    let shards = shards(&finished);
    let rows_of = |phase: u64| shards.iter().filter(|shard| shard.1 == phase).map(|shard| shard.2).sum::<u64>();
    assert!(shards.is_sorted_by_key(|(_, phase, _)| *phase), "{shards:?}");
    assert!(rows_of(0) > 4, "{shards:?}");
    assert_eq!(rows_of(0), rows_of(1));
    for (path, phase, rows) in &shards {
        let found: Vec<String> =
            text_rows(&finished.out.join(path)).into_iter().map(|row| row["phase"].clone()).collect();
        assert_eq!(found, vec![phase.to_string(); *rows as usize], "{path}");
    }
    done(&["verify", &text(&finished.out), "--deep"]);
}

#[test]
fn shards_of_phases_are_the_same_bytes_however_many_units_are_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let [one, several] = ["1", "5"].map(|parallel| finished(&folder, parallel, &["--parallel", parallel]));
    assert_eq!(one.data(), several.data());
}

#[test]
fn a_row_and_the_card_say_which_phase_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let finished = finished(&folder, "out", &[]);
    let shards = shards(&finished);
    let later = shards.iter().position(|shard| shard.1 == 1).unwrap();
    let first_row: u64 = shards[..later].iter().map(|shard| shard.2).sum();
    let shown = |row: u64| done(&["show", &text(&finished.out), "--row", &row.to_string()]).stdout;
    assert!(shown(first_row - 1).contains(", for phase 0 of training\n"), "{}", shown(first_row - 1));
    assert!(shown(first_row).contains(", for phase 1 of training\n"), "{}", shown(first_row));
    let card = std::fs::read_to_string(finished.out.join("README.md")).unwrap();
    assert!(card.contains(&format!("; that for 1 begins at `{}`", shards[later].0)), "{card}");
}

#[test]
fn a_job_without_phases_speaks_of_none() {
    let folder = tempfile::tempdir().unwrap();
    let plain = run(&demo_job(), &folder.path().join("out"), &[]);
    assert!(plain.manifest()["files"][0].get("phase").is_none());
    assert!(!done(&["show", &text(&plain.out), "--row", "0"]).stdout.contains("of training"));
}
