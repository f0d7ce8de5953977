//! Whatever stops a run, the same command goes on from there, and the shards are those of a run that nothing stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::site::{Finished, PARAGRAPH, Said, Site, command, demo_job, pageloom, png, repository, run, text};

const SETTINGS: [&str; 6] =
    ["--set", "units.bytes=65536", "--set", "shards.rows_per_shard=1", "--set", "shards.rows_per_row_group=1"];

fn start(out: &Path) -> Child {
    begin(&demo_job(), out, &SETTINGS)
}

/// Starts a run, and doesn't wait for it.
pub fn begin(job: &Path, out: &Path, options: &[&str]) -> Child {
    let mut run = command(&["run", &text(job), "--out", &text(out), "--parallel", "2"]);
    run.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn commits(out: &Path, stage: &str) -> usize {
    fs::read_dir(out.join("commits").join(stage)).map_or(0, |files| files.count())
}

fn stopped_in(stage: &str, folder: &Path, stop: impl Fn(&mut Child)) -> (PathBuf, Said) {
    stopped(stage, folder, start, stop)
}

/// Starts runs in fresh folders until one has been stopped with this stage begun and the manifest not yet written.
pub fn stopped(
    stage: &str,
    folder: &Path,
    start: impl Fn(&Path) -> Child,
    stop: impl Fn(&mut Child),
) -> (PathBuf, Said) {
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
fn what_a_kill_left_before_the_first_record_is_no_strange_folder() {
    let site = Site::new().with("page.html", PARAGRAPH);
    fs::create_dir_all(site.path("out/staging")).unwrap();
    fs::write(site.path("out/staging/1-2-3#1"), "half a record").unwrap();
    assert!(site.run().out.join("manifest.json").exists());
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
    a_signal_leaves_a_run_that_goes_on("-INT");
}

#[test]
fn being_told_to_terminate_leaves_a_run_that_goes_on() {
    a_signal_leaves_a_run_that_goes_on("-TERM");
}

fn a_signal_leaves_a_run_that_goes_on(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    let interrupt = |child: &mut Child| ends_soon_after(child, signal);
    let (out, said) = stopped_in("images", folder.path(), interrupt);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("stopped; the same command goes on from here"), "{}", said.stderr);
    let status = pageloom(&["status", &text(&out)]);
    assert!(status.stdout.contains("not finished: run the same command to go on"), "{}", status.stdout);
    let verified = pageloom(&["verify", &text(&out)]);
    let findings: Vec<&str> = verified.stderr.lines().skip(1).take_while(|line| !line.contains("hint: ")).collect();
    let of_stages = |line: &&str| line.ends_with("units are committed") || line.contains("the run has not ended");
    assert!(findings.len() > 1 && findings.iter().all(of_stages), "{findings:?}");
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

/// Sends a signal to a process, which is to end within five seconds.
fn ends_soon_after(child: &mut Child, signal: &str) {
    self::signal(child, signal);
    let deadline = Instant::now() + Duration::from_secs(5);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "at work five seconds after {signal}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_run_in_the_middle_of_a_large_image_ends_soon_after_it_is_told_to() {
    let site = Site::new().with("page.html", format!("<body>{PARAGRAPH}<img src=\"large.png\">{PARAGRAPH}</body>"));
    let row: Vec<u8> = (0..9000 * 3).map(|at| (at % 251) as u8).collect();
    let site = site.with("large.png", png(9000, 9000, [8, 2], &row));
    let (job, out) = (text(&site.job()), site.path("out"));
    let mut run = command(&["run", &job, "--out", &text(&out)]).stderr(Stdio::null()).spawn().unwrap();
    while commits(&out, "documents") == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Decoding takes seconds, and is under way by now.
    std::thread::sleep(Duration::from_millis(300));
    ends_soon_after(&mut run, "-TERM");
    assert!(!out.join("manifest.json").exists());
}

/// Where the system tells of the processes that a process has started.
fn children(of: u32) -> Vec<PathBuf> {
    // Behind the name of a process stand its state and the number of its parent.
    let parent = |stat: &str| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
    let is_child =
        |process: &PathBuf| fs::read_to_string(process.join("stat")).is_ok_and(|stat| parent(&stat) == Some(of));
    fs::read_dir("/proc").unwrap().map(|process| process.unwrap().path()).filter(is_child).collect()
}

#[test]
fn a_bench_that_is_told_to_end_leaves_neither_its_run_nor_a_file() {
    let site = Site::new().with("page.html", format!("<body>{PARAGRAPH}<img src=\"large.png\">{PARAGRAPH}</body>"));
    let row: Vec<u8> = (0..9000 * 3).map(|at| (at % 251) as u8).collect();
    let site = site.with("large.png", png(9000, 9000, [8, 2], &row));
    let scratch = site.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let mut bench = command(&["bench", &text(&site.job()), "--scratch", &text(&scratch)]).spawn().unwrap();
    let out = || fs::read_dir(&scratch).unwrap().next().map(|folder| folder.unwrap().path().join("out"));
    while out().is_none_or(|out| commits(&out, "documents") == 0) {
        assert!(bench.try_wait().unwrap().is_none(), "it has ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    let runs = children(bench.id());
    ends_soon_after(&mut bench, "-TERM");
    assert_eq!((runs.len(), fs::read_dir(&scratch).unwrap().count()), (1, 0));
    assert!(!runs[0].exists(), "its run goes on");
}

/// Asks the system to do something with a process by its number.
fn signal(child: &Child, signal: &str) {
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn an_attempt_that_wakes_up_when_all_is_done_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    let mut told = 0;
    for stage in ["documents", "images", "sequences", "shards"] {
        let out = folder.path().join(stage);
        let mut asleep = start(&out);
        while commits(&out, stage) == 0 && asleep.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        signal(&asleep, "-STOP");
        let finished = run(&demo_job(), &out, &SETTINGS);
        let manifest = finished.manifest();
        signal(&asleep, "-CONT");
        let said = Said::from(asleep.wait_with_output().unwrap());
        assert_eq!(said.code, 0, "woken up in {stage}: {said:#?}");
        told += said.stderr.matches("another run works on this output").count();
        let verified = pageloom(&["verify", &text(&out)]);
        assert_eq!(verified.code, 0, "{verified:#?}");
        assert_eq!((Finished::at(&out).data(), finished.manifest()), (reference.data(), manifest), "in {stage}");
        let removed = pageloom(&["clean", &text(&out), "--remove"]);
        assert_eq!(removed.code, 0, "{removed:#?}");
        assert_eq!(Finished::at(&out).data(), reference.data());
    }
    assert!((1..=4).contains(&told), "once in each run that met the other: {told} times");
}

#[test]
fn what_a_killed_run_left_is_found_and_removed_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    let (out, _) = stopped_in("images", folder.path(), |child| child.kill().unwrap());
    let orphans = ["data/train-00000-of-00001.parquet", "staging/1-2-3#1", "work/documents/00000-0/1-documents.arrow"];
    for orphan in orphans {
        fs::create_dir_all(out.join(orphan).parent().unwrap()).unwrap();
        fs::write(out.join(orphan), "left").unwrap();
    }
    let clean = |options: &[&str]| pageloom(&[&["clean", &text(&out)][..], options].concat());
    let refused = clean(&["--remove"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stderr.contains("has not ended"), "{}", refused.stderr);
    run(&demo_job(), &out, &SETTINGS);
    let found = clean(&[]);
    assert!(orphans.iter().all(|orphan| found.stdout.contains(orphan) && out.join(orphan).exists()), "{found:#?}");
    let removed = clean(&["--remove"]);
    assert!(removed.stdout.contains(": removed"), "{removed:#?}");
    assert!(!orphans.iter().any(|orphan| out.join(orphan).exists()));
    assert!(clean(&[]).stdout.starts_with("0 orphans"));
    assert_eq!(run(&demo_job(), &out, &SETTINGS).data(), reference.data());
}

/// Damages the first batch of a bucket in what one unit of the documents stage handed on, and gives back how it was.
fn damage_one_bucket(out: &Path) -> (PathBuf, Vec<u8>) {
    let mut commits: Vec<_> =
        fs::read_dir(out.join("commits/documents")).unwrap().map(|file| file.unwrap().path()).collect();
    commits.sort();
    let tables = commits.iter().map(|path| -> serde_json::Value {
        let commit: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        commit["files"]["documents"].clone()
    });
    let table = tables.into_iter().find(|table| table["rows"].as_u64() > Some(0)).unwrap();
    let path = out.join(table["path"].as_str().unwrap());
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    let offset = table["segments"][0][2].as_u64().unwrap() as usize;
    damaged[offset..offset + 8].fill(0xAB);
    fs::write(&path, damaged).unwrap();
    (path, whole)
}

#[test]
fn a_unit_that_can_not_be_done_is_given_up_and_all_others_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let reference = undisturbed(folder.path());
    let (out, _) = stopped_in("images", folder.path(), |child| child.kill().unwrap());
    let (path, whole) = damage_one_bucket(&out);
    let (job, out_text) = (text(&demo_job()), text(&out));
    let run_it =
        || pageloom(&[&["run", &job, "--out", &out_text, "--set", "units.attempts=2"][..], &SETTINGS].concat());
    let said = run_it();
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("attempt 2 of 2 begins"), "{}", said.stderr);
    let end = "error: 1 unit of sequences failed, each 2 times; all others are committed";
    assert!(said.stderr.contains(end), "{}", said.stderr);
    assert!(said.stderr.contains(path.file_name().unwrap().to_str().unwrap()), "{}", said.stderr);
    assert_eq!(commits(&out, "sequences") + 1, commits(&folder.path().join("undisturbed"), "sequences"));
    fs::write(&path, whole).unwrap();
    let said = run_it();
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(run(&demo_job(), &out, &SETTINGS).data(), reference.data());
}

#[test]
fn a_storage_that_fails_in_the_middle_costs_no_image() {
    let picture = fs::read(repository().join("jobs/demo/site/img/pebbles.jpg")).unwrap();
    let page = format!("<body>{PARAGRAPH}<img src=\"pebbles.jpg\">{PARAGRAPH}</body>");
    let site = Site::new().with("page.html", page).with("pebbles.jpg", picture);
    let reference = run(&site.job(), &site.path("undisturbed"), &[]);
    let (there, away) = (site.path("site"), site.path("away"));
    let take_away = |child: &mut Child| {
        signal(child, "-STOP");
        fs::rename(&there, &away).unwrap();
        signal(child, "-CONT");
        child.wait().unwrap();
        fs::rename(&away, &there).unwrap();
    };
    let (out, said) = stopped("documents", &site.path("."), |out| begin(&site.job(), out, &[]), take_away);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("pebbles.jpg") && said.stderr.contains("no image is given up"), "{said:#?}");
    assert_eq!(commits(&out, "images"), 0);
    assert_eq!(run(&site.job(), &out, &[]).data(), reference.data());
}

#[test]
fn a_commit_that_lost_its_bytes_is_told_with_a_remedy() {
    let site = Site::new().with("page.html", PARAGRAPH);
    let finished = site.run();
    let (data, out) = (finished.data(), text(&finished.out));
    let commit = fs::read_dir(finished.out.join("commits/documents")).unwrap().next().unwrap().unwrap().path();
    fs::write(&commit, "").unwrap();
    let said = pageloom(&["run", &text(&site.job()), "--out", &out]);
    assert!(said.code == 2 && said.stderr.contains("remove this file"), "{said:#?}");
    assert!(said.stderr.contains(commit.file_name().unwrap().to_str().unwrap()), "{said:#?}");
    fs::remove_file(&commit).unwrap();
    assert_eq!(run(&site.job(), &finished.out, &[]).data(), data);
}
