//! What a run may take: memory within its limit, a disk within its size, no silence, and no trust in clocks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::bad_input::{gzipped, response};
use super::site::{Finished, PARAGRAPH, Said, Site, command, demo_job, done, pageloom, png, run, text};

/// A PNG in colour whose every row is alike: small as a file, however many pixels it has.
fn large_png(side: u32) -> Vec<u8> {
    let row: Vec<u8> = (0..side * 3).map(|at| (at % 251) as u8).collect();
    png(side, side, [8, 2], &row)
}

/// A page that shows images of 16 million pixels, each of which takes about 190 MB to decode.
fn site_of_large_images(count: u32) -> Site {
    let tags: String = (0..count).map(|image| format!("<p><img src=\"{image}.png\"></p>")).collect();
    let site = Site::new().with("page.html", format!("<body>{PARAGRAPH}{tags}{PARAGRAPH}</body>"));
    let png = large_png(4000);
    // Each with bytes of its own behind its end, so that no two are one image.
    (0..count).fold(site, |site, image| site.with(&format!("{image}.png"), [&png[..], &[image as u8]].concat()))
}

fn peak_memory(out: &Path) -> u64 {
    let mut peak = 0;
    for stage in ["documents", "images", "sequences", "shards"] {
        for commit in fs::read_dir(out.join("commits").join(stage)).unwrap() {
            let commit: serde_json::Value = serde_json::from_slice(&fs::read(commit.unwrap().path()).unwrap()).unwrap();
            peak = peak.max(commit["peak_memory_bytes"].as_u64().unwrap());
        }
    }
    peak
}

fn limited(job: &Path, out: &Path, limit: u64, options: &[&str]) -> Said {
    let limit = format!("units.memory_limit={limit}");
    pageloom(&[&["run", &text(job), "--out", &text(out), "--set", &limit][..], options].concat())
}

#[test]
fn large_images_wait_for_each_other_where_memory_is_short_and_give_the_same_bytes() {
    const LIMIT: u64 = 800_000_000;
    let site = site_of_large_images(6);
    let said = limited(&site.job(), &site.path("limited"), LIMIT, &["--parallel", "4"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let peak = peak_memory(&site.path("limited"));
    assert!(peak < LIMIT, "{peak}");
    let free = run(&site.job(), &site.path("free"), &["--parallel", "4"]);
    assert_eq!((Finished::at(&site.path("limited")).data(), free.count("images")), (free.data(), 6));
}

#[test]
fn an_image_that_never_fits_fails_its_unit_by_name_and_with_a_remedy() {
    let site = site_of_large_images(1);
    let said = limited(&site.job(), &site.path("out"), 400_000_000, &["--set", "units.attempts=1"]);
    assert_eq!(said.code, 2, "{said:#?}");
    for word in ["images unit 0", "to decode file:///0.png", "about 192 MB are needed", "units.memory_limit"] {
        assert!(said.stderr.contains(word), "no {word:?} in:\n{}", said.stderr);
    }
    let said = limited(&site.job(), &site.path("out"), 800_000_000, &[]);
    assert_eq!(said.code, 0, "{said:#?}");
}

#[test]
fn large_pages_stay_within_the_limit_and_give_the_same_bytes() {
    const LIMIT: u64 = 700_000_000;
    // 6 MB each: many small elements, which as a tree are much larger than as text.
    let page = |name: &str| format!("<title>{name}</title>{}{PARAGRAPH}", "<p>a<b>b</b> <i>c</i>".repeat(300_000));
    let site = (0..6).fold(Site::new(), |site, number| site.with(&format!("{number}.html"), page(&number.to_string())));
    let said = limited(&site.job(), &site.path("limited"), LIMIT, &["--parallel", "4"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let peak = peak_memory(&site.path("limited"));
    assert!(peak < LIMIT, "{peak}");
    assert_eq!(Finished::at(&site.path("limited")).data(), run(&site.job(), &site.path("free"), &[]).data());
}

#[test]
fn a_limit_that_holds_no_unit_is_refused_with_what_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let said = limited(&demo_job(), &folder.path().join("out"), 50_000_000, &[]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("units.memory_limit: 50 MB are too few"), "{}", said.stderr);
    assert!(said.stderr.contains("it takes"), "{}", said.stderr);
}

#[test]
fn fewer_units_run_and_fewer_images_are_encoded_at_once_where_memory_is_short_and_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let small = [SMALL, &["--parallel", "16"]].concat();
    let out = folder.path().join("limited");
    let said = limited(&demo_job(), &out, 400_000_000, &small);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stderr.contains("of 16 units run at once"), "{}", said.stderr);
    assert!(said.stderr.contains("of 16 threads encode images at once"), "{}", said.stderr);
    assert!(peak_memory(&out) < 400_000_000, "{}", peak_memory(&out));
    assert_eq!(Finished::at(&out).data(), run(&demo_job(), &folder.path().join("free"), &small).data());
}

/// An archive of half a megabyte whose 24 images have 20 MB each, and are read side by side.
fn unfolding_archive() -> Vec<u8> {
    let names: Vec<String> = (0..24).map(|image| format!("https://site.example/{image}.png")).collect();
    let tags: String = names.iter().map(|name| format!("<p><img src=\"{name}\"></p>")).collect();
    let page = format!("<body>{PARAGRAPH}{tags}{PARAGRAPH}</body>");
    let image = |number: u8| [large_png(64), vec![number; 20_000_000]].concat();
    let images = (0..).zip(&names).map(|(number, name)| gzipped(&response(name, "image/png", &image(number))));
    let page = gzipped(&response("https://site.example/", "text/html", page.as_bytes()));
    std::iter::once(page).chain(images).flatten().collect()
}

#[test]
fn a_process_that_outgrows_its_limit_ends_with_a_word_and_goes_on_with_more() {
    let site = Site::of_warc(&unfolding_archive());
    let refused = limited(&site.job(), &site.path("out"), 50_000_000, &[]).stderr;
    let words: Vec<&str> = refused.split_whitespace().collect();
    let least: u64 = words[words.iter().position(|word| *word == "takes").unwrap() + 1].parse().unwrap();
    // Enough to begin with, and not for so many bytes at once.
    let said = limited(&site.job(), &site.path("out"), (least + 2) * 1_000_000, &[]);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("error: out of memory: ") && said.stderr.contains("at work:\n  "), "{}", said.stderr);
    assert!(said.stderr.contains("hint: raise `units.memory_limit`, or lower `--parallel`"), "{}", said.stderr);
    let (_, figures) = said.stderr.split_once("out of memory: ").unwrap();
    let held: u64 = figures.split(' ').next().unwrap().parse().unwrap();
    assert!(held <= least + 2, "{}", said.stderr);
    let undisturbed = run(&site.job(), &site.path("undisturbed"), &[]);
    assert_eq!(undisturbed.count("images"), 24);
    assert_eq!(run(&site.job(), &site.path("out"), &[]).data(), undisturbed.data());
}

#[test]
fn rejects_take_no_more_memory_however_many_there_are() {
    const LINES: usize = 1_500_000;
    let site = Site::new();
    fs::write(site.path("lines.jsonl"), "{}\n".repeat(LINES)).unwrap();
    site.job_with_source("jsonl = { path = \"lines.jsonl\" }");
    // Of this some 150 MB are left, and as structures so many rejects are twice that.
    let said = limited(&site.job(), &site.path("out"), 300_000_000, &["--parallel", "1"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let verified = done(&["verify", &text(&site.path("out"))]).stdout;
    assert!(verified.contains(&format!("balanced: {LINES} records, 0 pages")), "{verified}");
    let manifest = Finished::at(&site.path("out")).manifest();
    let rejects: u64 = manifest["rejects"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(rejects, LINES as u64);
}

#[test]
fn the_work_done_of_a_packed_archive_is_counted_as_it_lies_there() {
    let page = format!("<body>{}</body>", PARAGRAPH.repeat(10_000));
    let archive = gzipped(&response("https://site.example/", "text/html", page.as_bytes()));
    assert!(page.len() > 2_000_000 && archive.len() < 50_000);
    let site = Site::of_warc(&archive);
    let said = done(&["run", &text(&site.job()), "--out", &text(&site.path("out"))]).stderr;
    assert!(said.contains("documents    1/1 units, 0.0 MB, "), "{said}");
}

#[test]
fn a_slow_record_is_named_while_it_is_worked_on_and_no_unit_is_silent() {
    let site = Site::new().with("page.html", format!("<body>{PARAGRAPH}<img src=\"large.png\">{PARAGRAPH}</body>"));
    let site = site.with("large.png", large_png(9000));
    // A table of images has each image's hash, for which a large one is resized.
    let sets = ["--set", "units.heartbeat_seconds=1", "--set", "image_shards.rows_per_shard=1"];
    let said = done(&[&["run", &text(&site.job()), "--out", &text(&site.path("out"))][..], &sets].concat());
    let slow = said.stderr.lines().find(|line| line.starts_with("slow: images unit 0: `prepare_image` has"));
    assert!(slow.is_some_and(|line| line.contains("file:///large.png (key ")), "{}", said.stderr);
    assert!(said.stderr.contains("images unit 0: `prepare_image` is done with file:///large.png"), "{}", said.stderr);
}

const SMALL: &[&str] = &["--set", "units.bytes=65536", "--set", "shards.rows_per_shard=1"];

/// A disk of its own, which is gone at the end of the test. `None` where this user may not mount one.
struct Disk(PathBuf);

impl Disk {
    fn of_kilobytes(folder: &Path, size: u32) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let options = format!("size={size}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|said| said.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("left out: a disk of a size can't be mounted here");
        None
    }

    fn grow(&self, size: u32) {
        let options = format!("remount,size={size}k");
        let grown = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_run_with_what_it_takes_and_it_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    // Without encoding any image, for the run is repeated often.
    let small = [SMALL, &["--set", "images.0.fetch_image.max_bytes=1"]].concat();
    let reference = run(&demo_job(), &folder.path().join("free"), &small);
    let mut stages = std::collections::BTreeSet::new();
    // From a disk that holds not even the first record on, until all of the run fits.
    for size in (4..8192).step_by(64) {
        let Some(disk) = Disk::of_kilobytes(&folder.path().join("disk"), size) else { return };
        let out = disk.0.join("out");
        let (job, out_text) = (text(&demo_job()), text(&out));
        let arguments = [&["run", &job, "--out", &out_text][..], &small].concat();
        let said = pageloom(&arguments);
        if said.code == 0 {
            // `writing` the run's own records is one of these.
            assert!(stages.len() > 2 && stages.contains("writing"), "the disk was full in no stage but {stages:?}");
            // It is left as it is where nothing more can be written, too.
            let _ = fs::write(disk.0.join("filler"), vec![0; 64 << 20]);
            assert_eq!(run(&demo_job(), &out, &small).data(), reference.data());
            return;
        }
        assert_eq!(said.code, 2, "{said:#?}");
        assert!(said.stderr.contains("No space left on device"), "{}", said.stderr);
        let line = said.stderr.lines().find(|line| line.starts_with("error: no room is left in")).unwrap();
        assert!(line.contains(&text(&out)), "{line}");
        assert!(said.stderr.contains("hint: make room, ") && said.stderr.contains("goes on from here"), "{said:#?}");
        stages.insert(line.split(": ").nth(2).unwrap().split(' ').next().unwrap().to_owned());
        disk.grow(16 << 10);
        assert_eq!(run(&demo_job(), &out, &small).data(), reference.data(), "{size} KB");
        done(&["clean", &text(&out), "--remove"]);
    }
    panic!("the run never fitted");
}

/// The library that lies about the time, where it is installed.
fn false_clock() -> Option<PathBuf> {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|machine| format!("/usr/lib/{machine}/faketime"));
    let library = places.iter().map(|place| Path::new(place).join("libfaketimeMT.so.1")).find(|path| path.exists());
    if library.is_none() {
        eprintln!("left out: libfaketime is not installed here");
    }
    library
}

/// A run whose wall clock is moved while it works. No other clock is: time that has a rate of its own would break the
/// timeouts of every program, and is no jump.
struct FalseClock {
    run: Child,
    says: PathBuf,
}

impl FalseClock {
    fn start(library: &Path, out: &Path, says: PathBuf, offset: &str) -> Self {
        fs::write(&says, offset).unwrap();
        let mut run = command(&[&["run", &text(&demo_job()), "--out", &text(out)][..], SMALL].concat());
        run.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &says).env("FAKETIME_NO_CACHE", "1");
        run.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").stdout(Stdio::null()).stderr(Stdio::null());
        Self { run: run.spawn().unwrap(), says }
    }

    /// The clock is so far from the true one, from now on.
    fn jump(&self, offset: &str) {
        let next = self.says.with_extension("next");
        fs::write(&next, offset).unwrap();
        fs::rename(next, &self.says).unwrap();
    }

    /// Waits until something holds or the run is over; a run that does neither for five minutes hangs.
    fn until(&mut self, holds: impl Fn() -> bool) -> Option<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(300);
        while Instant::now() < deadline {
            let ended = self.run.try_wait().unwrap();
            if ended.is_some() || holds() {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.run.kill().unwrap();
        panic!("the run hangs");
    }
}

#[test]
fn a_clock_that_jumps_changes_no_byte() {
    let Some(library) = false_clock() else { return };
    let folder = tempfile::tempdir().unwrap();
    let reference = run(&demo_job(), &folder.path().join("true"), SMALL);
    let (out, clock) = (folder.path().join("false"), folder.path().join("clock"));
    let begun = |stage: &str| out.join("commits").join(stage).exists();
    // Back by thirty years in the first stage, and killed in the second.
    let mut first = FalseClock::start(&library, &out, clock.clone(), "+0");
    first.until(|| begun("documents"));
    first.jump("-30y");
    first.until(|| begun("images"));
    first.run.kill().unwrap();
    first.run.wait().unwrap();
    // From the seventies to the next century.
    let mut second = FalseClock::start(&library, &out, clock, "-50y");
    second.until(|| begun("sequences"));
    second.jump("+80y");
    let ended = second.until(|| false).unwrap();
    assert!(ended.success(), "{ended}");
    done(&["verify", &text(&out)]);
    assert_eq!(Finished::at(&out).data(), reference.data());
}
