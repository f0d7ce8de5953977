//! The same job gives the same bytes, however many work on it and whoever places its units.

use super::site::{demo_job, done, run, text};

/// Small units, so that there is something to place in any order.
const SMALL_UNITS: [&str; 6] =
    ["--set", "units.bytes=65536", "--set", "shards.rows_per_shard=4", "--set", "shards.rows_per_row_group=2"];

#[test]
fn any_number_of_units_in_flight_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let reference = run(&demo_job(), &folder.path().join("1"), &["--parallel", "1"]);
    for parallel in ["2", "5"] {
        let other = run(&demo_job(), &folder.path().join(parallel), &["--parallel", parallel]);
        assert_eq!(reference.data(), other.data(), "--parallel {parallel}");
    }
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let first = run(&demo_job(), &out, &[]);
    let manifest = first.manifest();
    let second = run(&demo_job(), &out, &[]);
    assert_eq!((second.data(), second.manifest()), (first.data(), manifest));
}

#[test]
fn units_placed_one_by_one_in_any_order_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let reference = run(&demo_job(), &folder.path().join("run"), &SMALL_UNITS);
    let (job, out) = (text(&demo_job()), text(&folder.path().join("units")));
    let plan = done(&["plan", &job, "--json", "--set", "units.bytes=65536"]).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let files = |table: &serde_json::Value| table["files"].as_array().unwrap().len() as u64;
    let manifest = reference.manifest();
    for stage in plan["stages"].as_array().unwrap() {
        let units = stage["units"].as_u64().unwrap_or_else(|| match stage["stage"].as_str() {
            Some("image_shards") => files(&manifest["image_table"]),
            _ => files(&manifest),
        });
        assert!(units > 1, "{stage} leaves nothing to place");
        for index in (0..units).rev() {
            let index = index.to_string();
            let mut arguments = vec!["unit", &job, "--out", &out, "--index", &index, "--stage"];
            arguments.push(stage["stage"].as_str().unwrap());
            arguments.extend(SMALL_UNITS);
            done(&arguments);
        }
    }
    let placed = run(&demo_job(), &folder.path().join("units"), &SMALL_UNITS);
    assert_eq!(placed.data(), reference.data());
}

#[test]
fn memory_and_name_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let reference = run(&demo_job(), &folder.path().join("a"), &[]);
    let other = run(&demo_job(), &folder.path().join("b"), &["--set", "units.memory=40000000", "--set", "name=b"]);
    assert_eq!(reference.data(), other.data());
}
