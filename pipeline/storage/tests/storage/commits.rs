//! Creating an object only if nothing is there, whatever happens to the answer.

use hyper::Method;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use pageloom_storage::{S3Store, StorageError, probe};

use super::server::{End, Fault, Server};

async fn create(store: &S3Store, bytes: &'static [u8]) -> Result<(), Error> {
    let options = PutOptions::from(PutMode::Create);
    store.put_opts(&Path::from("commit"), PutPayload::from_static(bytes), options).await.map(drop)
}

async fn stands(server: &Server) -> bytes::Bytes {
    server.store().get(&Path::from("commit")).await.unwrap().bytes().await.unwrap()
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_ours() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::LoseAnswer]);
    create(&server.store(), b"ours").await.unwrap();
    assert_eq!(server.requests(&Method::PUT), 2);
    assert_eq!(stands(&server).await, "ours");
}

#[tokio::test]
async fn a_creation_whose_connection_is_reset_is_ours() {
    let server = Server::start_with(End::Reset).await;
    server.fail(Method::PUT, &[Fault::LoseAnswer, Fault::LoseAnswer]);
    create(&server.store(), b"ours").await.unwrap();
    assert_eq!(stands(&server).await, "ours");
}

#[tokio::test]
async fn a_creation_whose_every_answer_is_lost_is_ours() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::LoseAnswer; 4]);
    create(&server.store(), b"ours").await.unwrap();
}

#[tokio::test]
async fn an_object_of_the_same_bytes_is_still_somebody_elses() {
    let server = Server::start().await;
    create(&server.store(), b"same").await.unwrap();
    server.fail(Method::PUT, &[Fault::LoseAnswer]);
    let refused = create(&server.store(), b"same").await.unwrap_err();
    assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused}");
}

#[tokio::test]
async fn a_creation_that_another_is_in_the_way_of_is_tried_again() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::Refuse(409, "ConditionalRequestConflict"), Fault::Refuse(503, "SlowDown")]);
    create(&server.store(), b"ours").await.unwrap();
    assert_eq!(stands(&server).await, "ours");
}

#[tokio::test]
async fn a_creation_that_never_got_there_is_an_error() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::Refuse(500, "InternalError"); 4]);
    let refused = create(&server.store(), b"ours").await.unwrap_err();
    assert!(matches!(refused, Error::Generic { .. }), "{refused}");
    assert!(matches!(server.store().head(&Path::from("commit")).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_version_is_replaced_only_by_who_knows_it() {
    let server = Server::start().await;
    let (store, object) = (server.store(), Path::from("object"));
    let first = store.put(&object, PutPayload::from_static(b"first")).await.unwrap();
    store.put(&object, PutPayload::from_static(b"second")).await.unwrap();
    let options = PutOptions::from(PutMode::Update(first.into()));
    let refused = store.put_opts(&object, PutPayload::from_static(b"third"), options).await.unwrap_err();
    assert!(matches!(refused, Error::Precondition { .. }), "{refused}");
}

#[tokio::test]
async fn a_store_that_overwrites_is_found_out_and_refused_with_a_remedy() {
    let server = Server::start().await;
    server.overwrite();
    let refused = probe(&server.store(), &Path::from("run")).await.unwrap_err();
    assert!(matches!(refused, StorageError::Overwrites { .. }), "{refused}");
    assert!(refused.to_string().starts_with("s3://bucket ignores `If-None-Match: *`"), "{refused}");
    assert_eq!(std::fs::read_dir(server.folder.path().join("bucket/run")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_store_that_has_no_conditions_is_refused_with_a_remedy() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::Refuse(501, "NotImplemented")]);
    let refused = probe(&server.store(), &Path::from("run")).await.unwrap_err();
    assert!(matches!(refused, StorageError::Unconditional { .. }), "{refused}");
    assert!(refused.to_string().starts_with("s3://bucket does not take `If-None-Match: *`"), "{refused}");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_asked_for_once() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::Refuse(404, "NoSuchBucket")]);
    let refused = create(&server.store(), b"ours").await.unwrap_err();
    assert!(refused.to_string().contains("create the bucket"), "{refused}");
    assert_eq!(server.requests(&Method::PUT), 1);
}

#[tokio::test]
async fn a_probe_survives_faults() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::LoseAnswer, Fault::Refuse(503, "SlowDown"), Fault::LoseAnswer]);
    probe(&server.store(), &Path::default()).await.unwrap();
}
