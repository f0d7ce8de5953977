//! Faults while an object is written: it is there whole, or an error says that it is not.

use futures::StreamExt;
use hyper::Method;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutPayload};

use super::server::{BUCKET, Fault, Server, noise};

const LENGTH: usize = 12 << 20;

async fn read(server: &Server) -> Result<bytes::Bytes, Error> {
    server.store().get(&Path::from("object")).await?.bytes().await
}

#[tokio::test]
async fn an_object_is_written_past_an_ill_server_and_lost_answers() {
    let (server, bytes) = (Server::start().await, noise(100_000));
    server.fail(Method::PUT, &[Fault::Refuse(503, "SlowDown"), Fault::LoseAnswer, Fault::Refuse(500, "InternalError")]);
    server.store().put(&Path::from("object"), PutPayload::from_bytes(bytes.clone())).await.unwrap();
    assert_eq!(read(&server).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_arrives_damaged_is_sent_again() {
    let (server, bytes) = (Server::start().await, noise(100_000));
    server.fail(Method::PUT, &[Fault::FlipSent(99_999), Fault::FlipSent(0), Fault::Refuse(400, "BadDigest")]);
    server.store().put(&Path::from("object"), PutPayload::from_bytes(bytes.clone())).await.unwrap();
    assert_eq!(read(&server).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_always_arrives_damaged_is_an_error() {
    let server = Server::start().await;
    server.fail(Method::PUT, &[Fault::FlipSent(5); 4]);
    let refused = server.store().put(&Path::from("object"), PutPayload::from_static(b"bytes!")).await.unwrap_err();
    assert!(refused.to_string().contains("can't write s3://bucket/object: 500 InternalError"), "{refused}");
    assert!(matches!(read(&server).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn parts_carry_the_checksums_that_their_upload_announced() {
    let server = Server::start().await;
    let mut upload = server.store().put_multipart(&Path::from("object")).await.unwrap();
    upload.put_part(PutPayload::from_bytes(noise(LENGTH))).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(server.sent(&Method::POST, "x-amz-checksum-algorithm"), ["CRC32"]);
    assert_eq!(server.sent(&Method::PUT, "x-amz-checksum-crc32").len(), 3);
}

#[tokio::test]
async fn parts_are_sent_again_and_the_object_is_whole() {
    let (server, bytes) = (Server::start().await, noise(LENGTH));
    server.fail(Method::PUT, &[Fault::LoseAnswer, Fault::Refuse(500, "InternalError"), Fault::Refuse(503, "SlowDown")]);
    let mut upload = server.store().put_multipart(&Path::from("object")).await.unwrap();
    upload.put_part(PutPayload::from_bytes(bytes.clone())).await.unwrap();
    upload.complete().await.unwrap();
    assert!(read(&server).await.unwrap() == bytes);
}

#[tokio::test]
async fn an_upload_whose_completion_got_lost_is_complete() {
    let (server, bytes) = (Server::start().await, noise(LENGTH));
    let mut upload = server.store().put_multipart(&Path::from("object")).await.unwrap();
    upload.put_part(PutPayload::from_bytes(bytes.clone())).await.unwrap();
    server.fail(Method::POST, &[Fault::LoseAnswer]);
    upload.complete().await.unwrap();
    assert!(read(&server).await.unwrap() == bytes);
}

#[tokio::test]
async fn an_upload_without_one_of_its_parts_is_not_completed() {
    let server = Server::start().await;
    let mut upload = server.store().put_multipart(&Path::from("object")).await.unwrap();
    server.fail(Method::PUT, &[Fault::Refuse(500, "InternalError"); 4]);
    let bytes = noise(LENGTH / 2);
    assert!(upload.put_part(PutPayload::from_bytes(bytes.clone())).await.is_err());
    let refused = upload.complete().await.unwrap_err().to_string();
    assert!(refused.contains("only 1 of 2 parts were sent"), "{refused}");
    assert!(matches!(read(&server).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn an_upload_that_nobody_ends_leaves_no_parts() {
    let server = Server::start().await;
    let mut upload = server.store().put_multipart(&Path::from("object")).await.unwrap();
    upload.put_part(PutPayload::from_bytes(noise(LENGTH / 2))).await.unwrap();
    assert_ne!(server.parts(), 0);
    drop(upload);
    while server.requests(&Method::DELETE) == 0 || server.parts() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_error_under_the_status_of_a_success_is_an_error() {
    let server = Server::start().await;
    let mut upload = server.store().put_multipart(&Path::from("object")).await.unwrap();
    upload.put_part(PutPayload::from_bytes(noise(10))).await.unwrap();
    server.fail(Method::POST, &[Fault::Refuse(200, "InternalError"); 4]);
    let refused = upload.complete().await.unwrap_err().to_string();
    assert!(refused.contains("InternalError"), "{refused}");
    assert!(matches!(read(&server).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named_with_a_remedy() {
    let server = Server::start().await;
    std::fs::remove_dir(server.folder.path().join(BUCKET)).unwrap();
    let refused = server.store().list(None).next().await.unwrap().unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
    assert!(refused.to_string().contains("create the bucket"), "{refused}");
}
