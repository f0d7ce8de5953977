//! Input, state and output in a bucket: the shards are those of a local run, whatever happens to requests on their way.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper::Method;
use tokio::runtime::Runtime;

use super::s3_server::{BUCKET, End, Fault, KEY, SECRET, Server};
use super::site::{Finished, Said, command, demo_job, repository, run, text};

const UNITS: [&str; 6] =
    ["--set", "units.bytes=65536", "--set", "shards.rows_per_shard=1", "--set", "shards.rows_per_row_group=1"];
const OUT: &str = "s3://bucket/runs/demo";

/// A bucket that holds the pages and the archive of the demo.
struct Bucket {
    server: Server,
    _runtime: Runtime,
}

impl Bucket {
    fn start() -> Self {
        Self::start_with(End::Closed)
    }

    fn start_with(end: End) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start_with(end));
        let bucket = Self { server, _runtime: runtime };
        let source = repository().join("jobs/demo");
        let copied = Command::new("cp").arg("-r").arg(source).arg(bucket.folder("input")).status().unwrap();
        assert!(copied.success());
        bucket
    }

    /// Where the server keeps its objects, as plain files.
    fn folder(&self, prefix: &str) -> PathBuf {
        self.server.folder.path().join(BUCKET).join(prefix)
    }

    fn output(&self) -> Finished {
        Finished::at(&self.folder("runs/demo"))
    }

    fn endpoint(&self) -> String {
        format!("endpoint=http://{}", self.server.address)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run_command(&self, sources: &[&str]) -> Command {
        let mut run = self.command(&["run", &text(&demo_job()), "--out", OUT, "--parallel", "2"]);
        run.args(UNITS).args(sources.iter().flat_map(|source| ["--set", source]));
        run.args(["--set", &format!("storage.{}", self.endpoint()), "--set", "storage.pause_milliseconds=1"]);
        run
    }

    fn start_run(&self) -> Child {
        self.run_command(&IN_BUCKET).spawn().unwrap()
    }

    /// Begins a run, and kills it once a unit is committed.
    fn kill_in_the_middle(&self) {
        let mut child = self.start_run();
        while self.commits("documents") == 0 && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn run(&self, sources: &[&str]) -> Finished {
        let said = Said::from(self.run_command(sources).output().unwrap());
        assert_eq!(said.code, 0, "{said:#?}");
        self.output()
    }

    fn look(&self, arguments: &[&str]) -> Said {
        let said = Said::from(self.command(arguments).args(["--storage", &self.endpoint()]).output().unwrap());
        assert_eq!(said.code, 0, "{said:#?}");
        said
    }

    fn commits(&self, stage: &str) -> usize {
        std::fs::read_dir(self.folder("runs/demo/commits").join(stage)).map_or(0, |files| files.count())
    }
}

/// The demo's sources, in the bucket.
const IN_BUCKET: [&str; 2] =
    ["sources.0.html_files.path=s3://bucket/input/site", "sources.1.warc.path=s3://bucket/input/*.warc.gz"];

#[test]
fn state_and_output_in_a_bucket_give_the_bytes_of_a_local_run() {
    let (bucket, folder) = (Bucket::start(), tempfile::tempdir().unwrap());
    let local = run(&demo_job(), &folder.path().join("local"), &UNITS);
    assert_eq!(bucket.run(&[]).data(), local.data());
}

#[test]
fn input_in_a_bucket_gives_the_rows_of_a_local_run_and_every_look_at_it_works() {
    let (bucket, folder) = (Bucket::start(), tempfile::tempdir().unwrap());
    let local = run(&demo_job(), &folder.path().join("local"), &UNITS);
    let all_in_bucket = bucket.run(&IN_BUCKET);
    // Shards name the digest of their job, and so where its input lay; their rows don't.
    assert_eq!(all_in_bucket.shown(), local.shown());
    assert_eq!(all_in_bucket.rejects(), local.rejects());
    assert!(bucket.look(&["verify", OUT]).stdout.contains("balanced"));
    assert!(bucket.look(&["status", OUT]).stdout.contains("finished"));
    assert!(bucket.look(&["rejects", OUT]).stdout.contains("image_too_small"));
    assert!(bucket.look(&["clean", OUT, "--remove"]).stdout.starts_with("0 orphans"));
    let shown = bucket.look(&["show", OUT, "--row", "0"]).stdout;
    assert!(local.shown().starts_with(&shown));
    let copy_of_the_job = std::fs::read_to_string(bucket.folder("runs/demo/job.json")).unwrap();
    assert!(!copy_of_the_job.contains(SECRET) && !copy_of_the_job.contains(KEY), "{copy_of_the_job}");
}

#[test]
fn killed_in_the_middle_it_goes_on_to_the_same_bytes_in_a_bucket() {
    let (reference, bucket) = (Bucket::start(), Bucket::start());
    let undisturbed = reference.run(&IN_BUCKET);
    bucket.kill_in_the_middle();
    assert!(bucket.commits("documents") > 0 && !bucket.folder("runs/demo/manifest.json").exists());
    assert_eq!(bucket.run(&IN_BUCKET).data(), undisturbed.data());
}

#[test]
fn two_runs_in_one_bucket_do_each_other_no_harm_while_requests_fail() {
    let (reference, bucket) = (Bucket::start(), Bucket::start_with(End::Reset));
    let undisturbed = reference.run(&IN_BUCKET);
    // Once, for credentials that were looked up just now and are refused again are taken for wrong.
    bucket.server.fail(Method::GET, &[Fault::Refuse(403, "ExpiredToken")]);
    let mut children = [bucket.start_run(), bucket.start_run()];
    let mut faults = 0;
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        // Spread over the run: one request that meets more than its attempts fails, and should.
        if bucket.server.requests(&Method::PUT) >= 12 * faults {
            let refused = [Fault::Refuse(503, "SlowDown"), Fault::Refuse(500, "InternalError")];
            bucket.server.fail(Method::PUT, &[refused[faults % 2], Fault::LoseAnswer]);
            bucket.server.fail(Method::GET, &[refused[faults % 2], Fault::Break(100)]);
            faults += 1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for child in children {
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!(said.code, 0, "{said:#?}");
    }
    assert!(faults > 2, "{faults}");
    assert_eq!(bucket.output().data(), undisturbed.data());
}

#[test]
fn a_listing_that_lags_behind_costs_no_file() {
    let (reference, bucket) = (Bucket::start(), Bucket::start());
    let undisturbed = reference.run(&IN_BUCKET);
    bucket.kill_in_the_middle();
    // What was committed is not made again, for units are asked for by name.
    bucket.server.leave_unlisted("runs/demo/");
    assert_eq!(bucket.run(&IN_BUCKET).data(), undisturbed.data());
    // Files whose commits are not listed yet are no orphans.
    bucket.server.leave_unlisted("runs/demo/commits/");
    let cleaned = bucket.look(&["clean", OUT, "--remove"]).stdout;
    assert!(!cleaned.contains("data/train-"), "{cleaned}");
    bucket.server.leave_unlisted("nothing");
    assert!(bucket.look(&["verify", OUT]).stdout.contains("balanced"));
    assert_eq!(bucket.output().data(), undisturbed.data());
}

#[test]
fn a_store_that_overwrites_what_is_there_is_refused_with_a_remedy() {
    let bucket = Bucket::start();
    bucket.server.overwrite();
    let said = Said::from(bucket.run_command(&[]).output().unwrap());
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("ignores `If-None-Match: *`") && said.stderr.contains("MinIO"), "{}", said.stderr);
    assert!(!bucket.folder("runs/demo/job.json").exists());
}
