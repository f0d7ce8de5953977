//! Each command says what a user needs to know, and its exit code agrees.

use std::fs;
use std::io::PipeWriter;

use serde_json::Value;

use super::site::{Finished, PARAGRAPH, Said, Site, command, demo_job, done, pageloom, run, text};

fn one_page() -> Site {
    Site::new().with("page.html", PARAGRAPH)
}

#[test]
fn check_says_what_the_job_comes_to() {
    let said = done(&["check", &text(&demo_job())]);
    assert!(said.stdout.contains("demo.toml: all right") && said.stdout.contains("256 per image"), "{}", said.stdout);
}

#[test]
fn a_job_is_found_in_the_current_folder() {
    let site = one_page();
    let said = super::site::command(&["run", "job.toml"]).current_dir(site.path("")).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert!(site.path("out/manifest.json").exists());
}

#[test]
fn plan_lists_every_stage_as_json() {
    let said = done(&["plan", &text(&one_page().job()), "--json"]);
    let plan: Value = serde_json::from_str(&said.stdout).unwrap();
    let stages: Vec<_> =
        plan["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["documents", "images", "sequences", "shards"]);
}

#[test]
fn a_unit_before_its_stage_is_due_is_an_error_that_names_what_is_missing() {
    let site = one_page();
    let (job, out) = (text(&site.job()), text(&site.path("out")));
    let said = pageloom(&["unit", &job, "--out", &out, "--stage", "images", "--index", "0"]);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("documents unit 0 has to be committed first"), "{}", said.stderr);
}

#[test]
fn a_unit_that_there_is_not_is_an_error() {
    let site = one_page();
    let (job, out) = (text(&site.job()), text(&site.path("out")));
    let said = pageloom(&["unit", &job, "--out", &out, "--stage", "documents", "--index", "9"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("stage documents has 1 units"), "{}", said.stderr);
}

#[test]
fn show_decodes_a_row_with_its_spans() {
    let finished = one_page().run();
    let said = done(&["show", &text(&finished.out), "--row", "0"]).stdout;
    assert!(said.contains("file:///page.html") && said.contains("<sentinel:0>") && said.contains("span"), "{said}");
    let json: Value = serde_json::from_str(&done(&["show", &text(&finished.out), "--json"]).stdout).unwrap();
    assert!(json.to_string().contains("file:///page.html"));
}

#[test]
fn a_row_that_there_is_not_is_an_error() {
    let finished = one_page().run();
    let said = pageloom(&["show", &text(&finished.out), "--row", "99"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("no row 99"), "{}", said.stderr);
}

#[test]
fn a_folder_that_is_no_output_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["status", "verify", "show"] {
        let said = pageloom(&[command, &text(folder.path())]);
        assert_eq!(said.code, 1, "{said:#?}");
        assert!(said.stderr.contains(&text(folder.path())), "{}", said.stderr);
    }
}

#[test]
fn verify_sees_a_shard_that_was_changed_cut_or_lost() {
    let damages: [fn(&std::path::Path); 3] = [
        |shard| {
            let mut bytes = fs::read(shard).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(shard, bytes).unwrap();
        },
        |shard| {
            let bytes = fs::read(shard).unwrap();
            fs::write(shard, &bytes[..bytes.len() - 1]).unwrap();
        },
        |shard| fs::remove_file(shard).unwrap(),
    ];
    for damage in damages {
        let finished = one_page().run();
        damage(&finished.out.join("data/train-00000-of-00001.parquet"));
        let said = pageloom(&["verify", &text(&finished.out)]);
        assert_eq!(said.code, 2, "{said:#?}");
        assert!(said.stderr.contains("train-00000-of-00001.parquet"), "{}", said.stderr);
    }
}

#[test]
fn deep_verification_makes_every_row_again_and_sees_one_that_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let finished = run(&demo_job(), &folder.path().join("out"), &[]);
    let deep = done(&["verify", &text(&finished.out), "--deep"]).stdout;
    let documents = finished.count("documents");
    assert!(deep.contains(&format!("{documents} examples give their document's tokens back")), "{deep}");
    let sampled = done(&["verify", &text(&finished.out), "--deep", "--sample", "1"]).stdout;
    assert!(sampled.contains("1 units with"), "{sampled}");
    // A shard of another seed, with its checksum and size where the run looks for them.
    let other = run(&demo_job(), &folder.path().join("other"), &["--set", "seed=1"]);
    let shard = |of: &std::path::Path| -> (std::path::PathBuf, serde_json::Value) {
        let mut commits: Vec<_> =
            std::fs::read_dir(of.join("commits/shards")).unwrap().map(|file| file.unwrap().path()).collect();
        commits.sort();
        let commit = serde_json::from_slice(&std::fs::read(&commits[0]).unwrap()).unwrap();
        (commits.swap_remove(0), commit)
    };
    let ((commit, mut ours), (_, theirs)) = (shard(&finished.out), shard(&other.out));
    let path = ours["files"]["shard"]["path"].as_str().unwrap().to_owned();
    std::fs::copy(other.out.join(&path), finished.out.join(&path)).unwrap();
    let manifest = std::fs::read_to_string(finished.out.join("manifest.json")).unwrap();
    let sum = |of: &serde_json::Value| of["files"]["shard"]["sha256"].as_str().unwrap().to_owned();
    std::fs::write(finished.out.join("manifest.json"), manifest.replace(&sum(&ours), &sum(&theirs))).unwrap();
    ours["files"]["shard"] = theirs["files"]["shard"].clone();
    std::fs::write(commit, ours.to_string()).unwrap();
    assert_eq!(pageloom(&["verify", &text(&finished.out)]).code, 0);
    let seen = pageloom(&["verify", &text(&finished.out), "--deep"]);
    assert_eq!(seen.code, 2, "{seen:#?}");
    assert!(seen.stderr.contains("row 0 is not what it should be"), "{}", seen.stderr);
}

#[test]
fn verify_sees_a_count_that_does_not_add_up() {
    let finished = one_page().run();
    let commit = fs::read_dir(finished.out.join("commits/documents")).unwrap().next().unwrap().unwrap().path();
    let record = fs::read_to_string(&commit).unwrap();
    assert!(record.contains("\"pages\": 1"));
    fs::write(&commit, record.replace("\"pages\": 1", "\"pages\": 2")).unwrap();
    let said = pageloom(&["verify", &text(&finished.out)]);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("pages"), "{}", said.stderr);
}

#[test]
fn bench_measures_one_corpus_against_copies_of_it() {
    let said = done(&["bench", &text(&one_page().job()), "--copies", "1", "--copies", "3", "--rounds", "1", "--json"]);
    let measured: Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(measured.to_string().contains("peak memory"), "{measured}");
}

#[test]
fn status_says_what_each_step_cost_and_how_many_units_there_are() {
    let finished = one_page().run();
    let status = done(&["status", &text(&finished.out)]).stdout;
    assert!(status.contains("shards       1/1 units"), "{status}");
    for step in ["decode_charset", "minimal_html", "tokenize_text"] {
        assert!(status.contains(step), "{status}");
    }
}

/// The end of a pipe that nobody reads.
fn unread() -> PipeWriter {
    std::io::pipe().unwrap().1
}

#[test]
fn a_run_goes_on_and_an_answer_ends_well_where_nobody_listens() {
    let (site, out) = (one_page(), |site: &Site| text(&site.path("out")));
    let mut to_run = command(&["run", &text(&site.job()), "--out", &out(&site)]);
    assert_eq!(Said::from(to_run.stdout(unread()).stderr(unread()).output().unwrap()).code, 0);
    for arguments in [vec!["status"], vec!["verify", "--deep"], vec!["show", "--row", "0"], vec!["rejects", "--json"]] {
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.insert(1, out(&site));
        let said = Said::from(command(&arguments).stdout(unread()).output().unwrap());
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{arguments:?}");
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let said = Said::from(command(&["status", &out(&site)]).stdout(full).output().unwrap());
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("the answer can't be written"), "{said:?}");
}

#[test]
fn reasons_that_nothing_was_rejected_for_are_said_to_be_none() {
    let finished = one_page().run();
    let said = done(&["rejects", &text(&finished.out), "--reason", "too_odd"]);
    assert_eq!(said.stdout, "nothing was rejected as `too_odd`\n");
}

#[test]
fn rejects_are_found_by_reason_and_by_kind_and_reason_and_others_are_named() {
    let site = one_page().with("empty.html", "");
    let out = text(&site.run().out);
    let found = |reason: &str| done(&["rejects", &out, "--reason", reason]).stdout;
    assert!(found("no_text").contains("document.no_text, by minimal_html"));
    assert_eq!(found("document.no_text"), found("no_text"));
    assert_eq!(found("image.no_text"), "nothing was rejected as `image.no_text`, but as no_text\n");
}

#[test]
fn a_shard_that_is_gone_is_told_and_made_again_by_reuse() {
    let site = one_page();
    let finished = site.run();
    let (data, job) = (finished.data(), text(&site.job()));
    for file in data.keys() {
        fs::remove_file(finished.out.join(file)).unwrap();
    }
    let said = pageloom(&["run", &job, "--out", &text(&finished.out)]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("is there no more; `--reuse`"), "{said:?}");
    let again = site.path("again");
    done(&["run", &job, "--out", &text(&again), "--reuse", &text(&finished.out)]);
    assert_eq!(Finished::at(&again).data(), data);
}

#[test]
fn so_many_units_at_once_that_no_machine_has_the_cores_are_refused() {
    for parallel in ["0", "100000"] {
        let said = pageloom(&["run", &text(&one_page().job()), "--parallel", parallel]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("from 1 to 1024"), "{said:?}");
    }
}

#[test]
fn every_command_explains_itself() {
    let commands = done(&["--help"]).stdout;
    for command in ["run", "check", "plan", "unit", "verify", "status", "rejects", "replay", "show", "bench"] {
        assert!(commands.contains(&format!("  {command} ")), "{commands}");
        assert!(done(&[command, "--help"]).stdout.contains("Usage:"));
    }
    assert_eq!(pageloom(&["weave"]).code, 1);
}
