//! Input, state and output in a container of Azure and a bucket of Google: the rows are those of a local run.

use tokio::runtime::Runtime;

use super::azurite::{Azurite, KEY};
use super::s3_server::{BUCKET, GOOGLE, SECRET, Server};
use super::secrets::holds;
use super::site::{Finished, Said, command, demo_job, repository, run, text};

const SHARDS: [&str; 4] = ["--set", "shards.rows_per_shard=1", "--set", "shards.rows_per_row_group=1"];

fn look(arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let said = look_at_failure(arguments, environment);
    assert_eq!(said.code, 0, "{said:#?}");
    said
}

fn look_at_failure(arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    Said::from(command(arguments).envs(environment.iter().copied()).output().unwrap())
}

#[test]
fn all_of_a_run_in_a_container_of_azure_gives_the_rows_of_a_local_run() {
    let Some(azurite) = Azurite::start(Some(&repository().join("jobs/demo"))) else { return };
    let folder = tempfile::tempdir().unwrap();
    let local = run(&demo_job(), &folder.path().join("local"), &SHARDS);
    let (job, out, storage) = (text(&demo_job()), "az://bucket/runs/demo", format!("endpoint={}", azurite.endpoint));
    let set = format!("storage.{storage}");
    let mut all = vec!["run", &job, "--out", out, "--parallel", "2", "--set", &set];
    all.extend(["--set", "sources.0.html_files.path=az://bucket/site"]);
    all.extend(["--set", "sources.1.warc.path=az://bucket/*.warc.gz"]);
    all.extend(SHARDS);
    let mut said = vec![look(&all, &Azurite::KEYS)];
    // A token for the container opens what the account's key wrote.
    let mut of_run = |arguments: &[&str]| {
        let shown = look(&[arguments, &["--storage", &storage]].concat(), &azurite.token());
        said.push(shown);
        said.last().unwrap().stdout.clone()
    };
    let rows: String = (0..local.count("rows")).map(|row| of_run(&["show", out, "--row", &row.to_string()])).collect();
    assert_eq!(rows, local.shown());
    assert!(of_run(&["verify", out, "--deep"]).contains("balanced"));
    assert!(of_run(&["status", out]).contains("finished"));
    assert!(of_run(&["clean", out, "--remove"]).starts_with("0 orphans"));
    let signature = azurite.sas.rsplit_once("sig=").unwrap().1;
    for secret in [KEY, signature] {
        assert!(said.iter().all(|said| !said.stdout.contains(secret) && !said.stderr.contains(secret)), "{said:#?}");
        assert_eq!(holds(azurite.state.path(), secret), None);
    }
}

#[test]
fn a_way_to_azure_that_overwrites_what_is_there_is_refused_with_a_remedy() {
    let Some(azurite) = Azurite::start(None) else { return };
    let set = format!("storage.endpoint={}", azurite.endpoint_that_overwrites());
    let job = text(&demo_job());
    let said = look_at_failure(&["run", &job, "--out", "az://bucket/runs/demo", "--set", &set], &azurite.token());
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("ignores `If-None-Match: *`") && said.stderr.contains("Azure"), "{}", said.stderr);
}

#[test]
fn state_and_output_in_a_bucket_of_google_give_the_bytes_of_a_local_run() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start_as_google());
    let folder = tempfile::tempdir().unwrap();
    let local = run(&demo_job(), &folder.path().join("local"), &SHARDS);
    let (job, set) = (text(&demo_job()), format!("storage.endpoint=http://{}", server.address));
    let mut all = vec!["run", &job, "--out", "gs://bucket/runs/demo", "--set", &set];
    all.extend(SHARDS);
    look(&all, &[GOOGLE]);
    assert_eq!(Finished::at(&server.folder.path().join(BUCKET).join("runs/demo")).data(), local.data());
    assert_eq!(holds(server.folder.path(), SECRET), None);
}

#[test]
fn an_address_of_no_account_or_no_known_scheme_is_refused_by_check_with_a_remedy() {
    let job = text(&demo_job());
    for (path, remedy) in [
        ("az://bucket/site", "set `AZURE_STORAGE_ACCOUNT_NAME`"),
        ("abfss://bucket@account.dfs.core.windows.net/site", "use `s3://bucket/prefix`, `gs://bucket/prefix`"),
    ] {
        let said = look_at_failure(&["check", &job, "--set", &format!("sources.0.html_files.path={path}")], &[]);
        assert!(said.code == 1 && said.stderr.contains(remedy), "{said:#?}");
    }
}
