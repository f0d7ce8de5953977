//! Credentials: found where AWS tools find them, looked up again when refused, and never shown.

use std::process::Command;

use hyper::Method;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutPayload};
use pageloom_storage::{Credentials, S3Store, SharedCredentialsProvider, open};
use url::Url;

use super::server::{BUCKET, Fault, KEY, SECRET, Server};

/// What the test that runs in another process is told its server's address by.
const ENDPOINT: &str = "PAGELOOM_TEST_ENDPOINT";

#[tokio::test]
async fn a_refusal_that_passes_is_survived() {
    let server = Server::start().await;
    let (store, object) = (server.store(), Path::from("object"));
    store.put(&object, PutPayload::from_static(b"bytes")).await.unwrap();
    for fault in [Fault::Refuse(403, "ExpiredToken"), Fault::Refuse(400, "ExpiredToken"), Fault::Refuse(403, "")] {
        server.fail(Method::GET, &[fault]);
        assert_eq!(store.get(&object).await.unwrap().bytes().await.unwrap(), "bytes", "{fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_stays_is_an_error_with_a_remedy() {
    let server = Server::start().await;
    server.fail(Method::GET, &[Fault::Refuse(403, "AccessDenied"); 2]);
    let refused = server.store().get(&Path::from("object")).await.unwrap_err();
    assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused}");
    assert!(refused.to_string().contains("allow s3:GetObject"), "{refused}");
}

#[tokio::test]
async fn secrets_are_in_no_message() {
    let server = Server::start().await;
    let credentials = Credentials::new(KEY, "a-wrong-secret", None, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    let store = S3Store::with_credentials(BUCKET, &server.settings(), credentials).unwrap();
    let refused = store.get(&Path::from("object")).await.unwrap_err();
    assert!(matches!(refused, Error::Unauthenticated { .. }), "{refused}");
    let shown = format!("{refused} {refused:?} {store} {store:?} {:?}", server.settings());
    assert!(!shown.contains("a-wrong-secret") && !shown.contains(SECRET) && !shown.contains("Signature="), "{shown}");
}

/// Runs one test of this binary in a process of its own, whose environment can be set without danger to others.
fn rerun(test: &str, server: &Server, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ENDPOINT, format!("http://{}", server.address));
    let ended = command.envs(variables.iter().copied()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn credentials_are_found_in_variables_and_profiles() {
    let server = Server::start().await;
    let test = "credentials::what_the_environment_names_is_used";
    rerun(test, &server, &[("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)]);
    let file = server.folder.path().join("credentials");
    let profile = format!("[work]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    std::fs::write(&file, profile).unwrap();
    rerun(test, &server, &[("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()), ("AWS_PROFILE", "work")]);
    assert_eq!(server.requests(&Method::PUT), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn credentials_that_were_rotated_are_looked_up_again() {
    let server = Server::start().await;
    let (config, script) = (server.folder.path().join("config"), server.folder.path().join("script"));
    // Gives credentials that the server does not know, and after that those that it knows.
    let answer =
        |key: &str| format!(r#"echo '{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "{SECRET}"}}'"#);
    let marker = server.folder.path().join("marker").display().to_string();
    let choice = format!("if [ -e {marker} ]; then {}; else touch {marker}; {}; fi", answer(KEY), answer("revoked"));
    std::fs::write(&script, choice).unwrap();
    std::fs::write(&config, format!("[profile work]\ncredential_process = sh {}\n", script.display())).unwrap();
    let variables = [("AWS_CONFIG_FILE", config.to_str().unwrap()), ("AWS_PROFILE", "work")];
    rerun("credentials::what_the_environment_names_is_used", &server, &variables);
    assert_eq!(server.requests(&Method::PUT), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_go_through_the_proxy_that_the_environment_names() {
    let server = Server::start().await;
    let proxy = format!("http://{}", server.address);
    let variables = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("HTTP_PROXY", proxy.as_str()),
        (ENDPOINT, "http://store.invalid"),
    ];
    rerun("credentials::what_the_environment_names_is_used", &server, &variables);
    assert_eq!(server.requests(&Method::PUT), 1);
}

#[tokio::test]
async fn what_the_environment_names_is_used() {
    // Without a server it is the other test's turn.
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let settings = pageloom_storage::Settings { endpoint: Some(endpoint), ..Default::default() };
    let (store, prefix) = open(&Url::parse("s3://bucket/run").unwrap(), &settings).unwrap();
    store.put(&prefix.join("object"), PutPayload::from_static(b"bytes")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_credentials_the_remedy_is_named() {
    let server = Server::start().await;
    let nowhere = server.folder.path().join("nowhere").display().to_string();
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", nowhere.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", nowhere.as_str()),
    ];
    rerun("credentials::an_environment_without_credentials", &server, &variables);
    assert_eq!(server.requests(&Method::PUT), 0);
}

#[tokio::test]
async fn an_environment_without_credentials() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let settings = pageloom_storage::Settings { endpoint: Some(endpoint), ..Default::default() };
    let (store, prefix) = open(&Url::parse("s3://bucket/run").unwrap(), &settings).unwrap();
    let refused = store.put(&prefix.join("object"), PutPayload::from_static(b"bytes")).await.unwrap_err();
    assert!(matches!(refused, Error::Unauthenticated { .. }), "{refused}");
    assert!(refused.to_string().contains("renew the credentials"), "{refused}");
}
