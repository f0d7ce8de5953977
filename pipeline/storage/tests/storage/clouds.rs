//! Google's and Azure's stores. Their credentials are the environment's, so what needs them runs in a process of its own.

use std::process::Command;
use std::sync::Arc;

use object_store::ObjectStore;
use pageloom_storage::{Settings, open};
use url::Url;

use super::azurite::{Azurite, CONTAINER};
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
    let Some(azurite) = Azurite::start(None) else { return };
    let endpoint = [("AZURE_TEST_ENDPOINT", azurite.endpoint.as_str())];
    holds_with("::azure::", &[&Azurite::KEYS[..], &endpoint].concat());
}

#[test]
fn all_laws_hold_for_who_has_a_token_for_a_container() {
    let Some(azurite) = Azurite::start(None) else { return };
    let endpoint = [("AZURE_TEST_ENDPOINT", azurite.endpoint.as_str())];
    holds_with("::azure::", &[&azurite.token()[..], &endpoint].concat());
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
    std::env::var(GOOGLE.0).ok().filter(|account| account == GOOGLE.1)?;
    let server = Server::start_as_google().await;
    let (store, _) = open(&Url::parse(&format!("gs://{BUCKET}")).unwrap(), &server.settings()).unwrap();
    Some((server, store))
}

mod google {
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
}
