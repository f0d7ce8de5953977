//! Whatever stops a run, the same command goes on from there, and the shards are those of a run that nothing stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::site::{Finished, Said, command, demo_job, pageloom, run, text};

const SETTINGS: [&str; 6] =
    ["--set", "units.bytes=65536", "--set", "shards.rows_per_shard=1", "--set", "shards.rows_per_row_group=1"];

fn start(out: &Path) -> Child {
    let (job, out) = (text(&demo_job()), text(out));
    let mut run = command(&["run", &job, "--out", &out, "--parallel", "2"]);
    run.args(SETTINGS).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn commits(out: &Path, stage: &str) -> usize {
    fs::read_dir(out.join("commits").join(stage)).map_or(0, |files| files.count())
}

/// Starts runs in fresh folders until one has been stopped with this stage begun and the manifest not yet written.
fn stopped_in(stage: &str, folder: &Path, stop: impl Fn(&mut Child)) -> (PathBuf, Said) {
    for attempt in 0..20 {
        let out = folder.join(format!("{stage}-{attempt}"));
        let mut child = start(&out);
        while commits(&out, stage) == 0 && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        stop(&mut child);
        let said = child.wait_with_output().unwrap().into();
        if !out.join("manifest.json").exists() {
            return (out, said);
        }
    }
    panic!("20 runs were over before they could be stopped in stage {stage}");
}

fn undisturbed(folder: &Path) -> Finished {
    run(&demo_job(), &folder.join("undisturbed"), &SETTINGS)
}

#[test]
fn killed_in_any_stage_it_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    for stage in ["documents", "images", "sequences", "shards"] {
        let (out, _) = stopped_in(stage, folder.path(), |child| child.kill().unwrap());
        let before = commits(&out, stage);
        let resumed = run(&demo_job(), &out, &SETTINGS);
        assert!(before > 0);
        assert_eq!(resumed.data(), reference.data(), "killed in {stage}");
    }
}

#[test]
fn killed_before_its_first_commit_it_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    let out = folder.path().join("early");
    let mut child = start(&out);
    while !out.join("job.json").exists() {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(run(&demo_job(), &out, &SETTINGS).data(), reference.data());
}

#[test]
fn what_is_committed_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = stopped_in("images", folder.path(), |child| child.kill().unwrap());
    let kept: Vec<_> = fs::read_dir(out.join("commits/images")).unwrap().map(|file| file.unwrap().path()).collect();
    let before: Vec<_> = kept.iter().map(|path| fs::read(path).unwrap()).collect();
    run(&demo_job(), &out, &SETTINGS);
    let after: Vec<_> = kept.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn ctrl_c_leaves_a_run_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    let interrupt = |child: &mut Child| {
        let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    let (out, said) = stopped_in("images", folder.path(), interrupt);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("stopped; the same command goes on from here"), "{}", said.stderr);
    let status = pageloom(&["status", &text(&out)]);
    assert!(status.stdout.contains("not finished: run the same command to go on"), "{}", status.stdout);
    assert_eq!(run(&demo_job(), &out, &SETTINGS).data(), reference.data());
}

#[test]
fn two_runs_in_one_folder_do_each_other_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    let out = folder.path().join("shared");
    let children = [start(&out), start(&out)];
    for child in children {
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!(said.code, 0, "{said:#?}");
    }
    assert_eq!(run(&demo_job(), &out, &SETTINGS).data(), reference.data());
}
