//! Google's and Azure's stores. Their credentials are the environment's, so what needs them runs in a process of its own.

use std::process::Command;
use std::sync::Arc;

use object_store::ObjectStore;
use pageloom_storage::{Settings, open};
use url::Url;

use super::azurite::{Azurite, CONTAINER};
use super::laws;
use super::server::{BUCKET, GOOGLE, Server};

/// Runs the tests whose names have this in them with an environment of their own.
fn holds_with(names: &str, environment: &[(&str, &str)]) {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    let ended = tests.arg(names).envs(environment.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && !said.contains("running 0 tests"), "{said}");
}

#[test]
fn all_laws_hold_in_a_container_of_azure() {
    let Some(azurite) = marked() else { return };
    let endpoint = [("AZURE_TEST_ENDPOINT", azurite.endpoint.as_str())];
    holds_with("::azure::", &[&Azurite::KEYS[..], &endpoint].concat());
}

#[test]
fn all_laws_hold_for_who_has_a_token_for_a_container() {
    let Some(azurite) = marked() else { return };
    let endpoint = [("AZURE_TEST_ENDPOINT", azurite.endpoint.as_str())];
    holds_with("::azure::", &[&azurite.token()[..], &endpoint].concat());
}

/// A server with the marks of folders, in the folder of the law on them.
fn marked() -> Option<Azurite> {
    let folder = tempfile::tempdir().unwrap();
    for marker in laws::MARKERS {
        std::fs::create_dir_all(folder.path().join("a_folder_that_a_console_marked_is_no_object").join(marker))
            .unwrap();
    }
    Azurite::start(Some(folder.path()))
}

#[test]
fn all_laws_hold_and_faults_do_no_harm_in_a_bucket_of_google() {
    holds_with("::google::", &[GOOGLE]);
}

/// The container that the environment names.
pub fn azure() -> Option<Arc<dyn ObjectStore>> {
    let endpoint = std::env::var("AZURE_TEST_ENDPOINT").ok()?;
    let settings = Settings { endpoint: Some(endpoint), ..Settings::default() };
    let (store, _) = open(&Url::parse(&format!("az://{CONTAINER}")).unwrap(), &settings).unwrap();
    Some(store)
}

/// A server that is spoken to as Google's, where the environment has the account of the tests.
pub async fn google() -> Option<(Server, Arc<dyn ObjectStore>)> {
    google_with(|_| ()).await
}

async fn google_with(change: fn(&mut Settings)) -> Option<(Server, Arc<dyn ObjectStore>)> {
    std::env::var(GOOGLE.0).ok().filter(|account| account == GOOGLE.1)?;
    let server = Server::start_as_google().await;
    let mut settings = server.settings();
    change(&mut settings);
    let (store, _) = open(&Url::parse(&format!("gs://{BUCKET}")).unwrap(), &settings).unwrap();
    Some((server, store))
}

mod google {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use futures::{StreamExt, TryStreamExt};
    use hyper::Method;
    use object_store::path::Path;
    use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
    use pageloom_storage::{StorageError, probe};

    use super::super::server::{Fault, noise};

    async fn create(store: &dyn ObjectStore, bytes: &'static [u8]) -> Result<(), Error> {
        let options = PutOptions::from(PutMode::Create);
        store.put_opts(&Path::from("commit"), PutPayload::from_static(bytes), options).await.map(drop)
    }

    #[tokio::test]
    async fn a_creation_whose_answer_is_lost_is_ours() {
        let Some((server, store)) = super::google().await else { return };
        server.fail(Method::PUT, &[Fault::LoseAnswer]);
        create(&store, b"ours").await.unwrap();
        assert_eq!(store.get(&Path::from("commit")).await.unwrap().bytes().await.unwrap(), "ours");
    }

    #[tokio::test]
    async fn an_object_of_the_same_bytes_is_still_somebody_elses() {
        let Some((server, store)) = super::google().await else { return };
        create(&store, b"same").await.unwrap();
        server.fail(Method::PUT, &[Fault::LoseAnswer]);
        let refused = create(&store, b"same").await.unwrap_err();
        assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_creation_that_never_got_there_is_an_error() {
        let Some((server, store)) = super::google().await else { return };
        server.fail(Method::PUT, &[Fault::Refuse(503, "SlowDown"); 16]);
        let refused = create(&store, b"ours").await.unwrap_err();
        assert!(matches!(refused, Error::Generic { .. }), "{refused}");
        assert!(matches!(store.head(&Path::from("commit")).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn a_store_that_overwrites_is_found_out_and_refused_with_a_remedy() {
        let Some((server, store)) = super::google().await else { return };
        server.overwrite();
        let refused = probe(&store, &Path::from("run")).await.unwrap_err();
        assert!(matches!(refused, StorageError::Overwrites { .. }), "{refused}");
        assert!(refused.to_string().starts_with("gs://bucket ignores"), "{refused}");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_read_on_as_often_as_it_got_further() {
        let Some((server, store)) = super::google().await else { return };
        let (object, bytes) = (Path::from("object"), noise(300_000));
        store.put(&object, bytes.clone().into()).await.unwrap();
        server.fail(Method::GET, &[Fault::Break(20_000); 10]);
        assert!(store.get(&object).await.unwrap().bytes().await.unwrap() == bytes);
        assert_eq!(server.requests(&Method::GET), 11);
    }

    #[tokio::test]
    async fn a_body_is_of_one_version() {
        let Some((server, store)) = super::google().await else { return };
        let object = Path::from("object");
        store.put(&object, noise(300_000).into()).await.unwrap();
        server.fail(Method::GET, &[Fault::Break(20_000); 4]);
        let got = store.get(&object).await.unwrap();
        store.put(&object, noise(200_000).into()).await.unwrap();
        assert!(got.bytes().await.is_err());
    }

    #[tokio::test]
    async fn a_listing_that_breaks_is_read_again() {
        let Some((server, store)) = super::google().await else { return };
        store.put(&Path::from("object"), "bytes".into()).await.unwrap();
        server.fail(Method::GET, &[Fault::Break(100), Fault::Refuse(503, "SlowDown"), Fault::LoseAnswer]);
        let found: Vec<_> = store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
        assert_eq!(found, ["object"]);
    }

    #[tokio::test]
    async fn a_key_that_is_no_path_is_named_with_a_remedy() {
        let Some((server, store)) = super::google().await else { return };
        server.mark(&["odd//page.html"]);
        let refused = store.list(None).try_collect::<Vec<_>>().await.unwrap_err().to_string();
        assert!(refused.contains("odd//page.html") && refused.contains("rename the object"), "{refused}");
    }

    #[tokio::test]
    async fn a_body_is_of_the_range_and_the_length_that_were_asked_for() {
        let Some((server, store)) = super::google().await else { return };
        let (object, bytes) = (Path::from("object"), noise(1000));
        store.put(&object, bytes.clone().into()).await.unwrap();
        server.fail(Method::GET, &[Fault::Break(7), Fault::Whole]);
        assert_eq!(store.get(&object).await.unwrap().bytes().await.unwrap(), bytes);
        for length in [7, 13] {
            server.fail(Method::GET, &[Fault::Length(length)]);
            assert_eq!(store.get_range(&object, 10..20).await.unwrap(), bytes[10..20]);
        }
    }

    #[tokio::test]
    async fn a_body_under_way_counts_as_a_request() {
        let Some((server, store)) = super::google_with(|settings| settings.max_concurrency = NonZeroUsize::MIN).await
        else {
            return;
        };
        let object = Path::from("object");
        store.put(&object, noise(1000).into()).await.unwrap();
        server.fail(Method::GET, &[Fault::Stall(100)]);
        let mut body = store.get(&object).await.unwrap().into_stream();
        body.next().await.unwrap().unwrap();
        let mut stalled = body.next();
        assert!(futures::poll!(&mut stalled).is_pending());
        let soon = Duration::from_millis(300);
        assert!(tokio::time::timeout(soon, store.head(&object)).await.is_err());
    }

    #[tokio::test]
    async fn a_request_is_sent_as_often_as_the_settings_say() {
        let Some((server, store)) = super::google().await else { return };
        server.fail(Method::PUT, &[Fault::Refuse(503, "SlowDown"); 16]);
        create(&store, b"ours").await.unwrap_err();
        assert_eq!(server.requests(&Method::PUT), 4);
        server.fail(Method::DELETE, &[Fault::Refuse(503, "SlowDown"); 16]);
        store.delete(&Path::from("commit")).await.unwrap_err();
        assert_eq!(server.requests(&Method::DELETE), 4);
    }

    #[tokio::test]
    async fn a_refusal_that_passes_is_survived_and_one_that_stays_is_an_error_with_a_remedy() {
        let Some((server, store)) = super::google().await else { return };
        let object = Path::from("object");
        store.put(&object, "bytes".into()).await.unwrap();
        for status in [401, 403] {
            server.fail(Method::GET, &[Fault::Refuse(status, "AccessDenied")]);
            assert_eq!(store.get(&object).await.unwrap().bytes().await.unwrap(), "bytes");
        }
        server.fail(Method::GET, &[Fault::Refuse(403, "AccessDenied"); 2]);
        let refused = store.get(&object).await.unwrap_err();
        assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused}");
        assert!(refused.to_string().contains("Storage Object User"), "{refused}");
    }

    #[tokio::test]
    async fn an_upload_whose_completion_got_lost_is_complete() {
        let Some((server, store)) = super::google().await else { return };
        let (object, bytes) = (Path::from("object"), noise(6 << 20));
        let mut upload = store.put_multipart(&object).await.unwrap();
        upload.put_part(bytes.clone().into()).await.unwrap();
        server.fail(Method::POST, &[Fault::LoseAnswer]);
        upload.complete().await.unwrap();
        assert!(store.get(&object).await.unwrap().bytes().await.unwrap() == bytes);
    }

    #[tokio::test]
    async fn an_upload_that_nobody_ends_leaves_no_parts() {
        let Some((server, store)) = super::google().await else { return };
        let mut upload = store.put_multipart(&Path::from("object")).await.unwrap();
        upload.put_part(noise(6 << 20).into()).await.unwrap();
        assert_ne!(server.parts(), 0);
        drop(upload);
        while server.requests(&Method::DELETE) == 0 || server.parts() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
