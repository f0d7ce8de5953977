//! Faults while an object is read: its bytes come right, or an error says what happened.

use std::io::Read;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Instant;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutPayload};
use pageloom_storage::{S3Store, Settings, open_object, read_range};

use super::server::{End, Fault, Server, noise};

/// Longer than what is checked before it is handed on.
const LONG: usize = 9 << 20;

async fn stored(length: usize) -> (Server, S3Store, Bytes) {
    stored_with(End::Closed, length).await
}

async fn stored_with(end: End, length: usize) -> (Server, S3Store, Bytes) {
    let (server, bytes) = (Server::start_with(end).await, noise(length));
    let store = server.store();
    store.put(&Path::from("object"), PutPayload::from_bytes(bytes.clone())).await.unwrap();
    (server, store, bytes)
}

async fn read(store: &S3Store) -> Result<Bytes, Error> {
    store.get(&Path::from("object")).await?.bytes().await
}

/// Whether an object is read right although its first readings meet these faults.
async fn survives(length: usize, faults: &[Fault]) {
    let (server, store, bytes) = stored(length).await;
    server.fail(Method::GET, faults);
    assert!(read(&store).await.unwrap() == bytes, "{faults:?}");
    assert_eq!(server.requests(&Method::GET), faults.len() + 1, "{faults:?}");
}

#[tokio::test]
async fn an_ill_or_busy_server_is_asked_again() {
    survives(1000, &[Fault::Refuse(500, "InternalError"), Fault::Refuse(503, "SlowDown")]).await;
}

#[tokio::test]
async fn a_short_body_that_breaks_is_read_on() {
    survives(100_000, &[Fault::Break(0), Fault::Break(30_000), Fault::Break(69_999)]).await;
}

#[tokio::test]
async fn a_long_body_that_breaks_is_read_on() {
    survives(LONG, &[Fault::Break(5 << 20), Fault::Break(100), Fault::Break(1)]).await;
}

#[tokio::test]
async fn a_connection_that_is_reset_in_mid_body_is_read_on() {
    let (server, store, bytes) = stored_with(End::Reset, LONG).await;
    server.fail(Method::GET, &[Fault::Break(5 << 20), Fault::LoseAnswer, Fault::Break(0), Fault::Break(100)]);
    assert!(read(&store).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_listing_that_breaks_is_read_again() {
    let (server, store, _) = stored(10).await;
    server.fail(Method::GET, &[Fault::Break(100), Fault::Refuse(503, "SlowDown"), Fault::LoseAnswer]);
    let found: Vec<_> = store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    assert_eq!(found, ["object"]);
}

#[tokio::test]
async fn a_key_that_is_no_path_is_named_with_a_remedy() {
    let (server, store, _) = stored(10).await;
    server.mark(&["odd//page.html"]);
    let refused = store.list(None).try_collect::<Vec<_>>().await.unwrap_err().to_string();
    assert!(refused.contains("odd//page.html") && refused.contains("rename the object"), "{refused}");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    survives(1000, &[Fault::LoseAnswer]).await;
}

#[tokio::test]
async fn a_body_that_stalls_is_read_on() {
    survives(100_000, &[Fault::Stall(50_000)]).await;
}

#[tokio::test]
async fn a_body_that_trickles_is_read_on() {
    survives(100_000, &[Fault::Trickle]).await;
}

#[tokio::test]
async fn a_short_body_that_is_corrupted_is_read_again() {
    survives(100_000, &[Fault::Flip(50_000), Fault::Flip(99_999)]).await;
}

#[tokio::test]
async fn a_body_corrupted_before_it_breaks_is_read_again() {
    let (server, store, bytes) = stored(100_000).await;
    // The first 60,000 bytes come, one of them wrong, and the rest over a second connection.
    server.fail(Method::GET, &[Fault::FlipAndBreak(10, 60_000)]);
    assert!(read(&store).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_long_body_that_is_corrupted_ends_in_an_error() {
    let (server, store, _) = stored(LONG).await;
    server.fail(Method::GET, &[Fault::Flip(5_000_000)]);
    let refused = read(&store).await.unwrap_err().to_string();
    assert!(refused.contains("s3://bucket/object came corrupted"), "{refused}");
}

#[tokio::test]
async fn a_body_that_is_always_corrupted_is_an_error() {
    let (server, store, _) = stored(1000).await;
    server.fail(Method::GET, &[Fault::Flip(5); 4]);
    let refused = read(&store).await.unwrap_err().to_string();
    assert!(refused.contains("corrupted") && refused.contains("4 times"), "{refused}");
}

#[tokio::test]
async fn a_body_that_always_breaks_is_an_error_that_says_where() {
    let (server, store, _) = stored(1000).await;
    server.fail(Method::GET, &[Fault::Break(100); 4]);
    let refused = read(&store).await.unwrap_err().to_string();
    assert!(refused.contains("can't read s3://bucket/object: after 4 attempts at byte 400"), "{refused}");
}

#[tokio::test]
async fn two_versions_of_an_object_are_not_mixed() {
    let (server, store, _) = stored(LONG).await;
    server.fail(Method::GET, &[Fault::Break(1 << 20)]);
    let mut body = store.get(&Path::from("object")).await.unwrap().into_stream();
    body.next().await.unwrap().unwrap();
    store.put(&Path::from("object"), PutPayload::from_bytes(Bytes::from(vec![0; LONG]))).await.unwrap();
    let refused = body.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(refused, Error::Precondition { .. }), "{refused}");
    assert!(refused.to_string().contains("s3://bucket/object: 412 the object changed while it was read"), "{refused}");
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_found_out() {
    let (server, store, _) = stored(1000).await;
    server.fail(Method::GET, &[Fault::Whole]);
    let refused = store.get_range(&Path::from("object"), 10..20).await.unwrap_err().to_string();
    assert!(refused.contains("does not say what it holds"), "{refused}");
}

#[tokio::test]
async fn an_ill_server_is_named_with_a_remedy_when_attempts_run_out() {
    let (server, store, _) = stored(1000).await;
    server.fail(Method::GET, &[Fault::Refuse(503, "SlowDown"); 4]);
    let refused = read(&store).await.unwrap_err().to_string();
    assert!(refused.contains("503 SlowDown") && refused.contains("lower `max_concurrency`"), "{refused}");
    assert_eq!(server.requests(&Method::GET), 4);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_a_remedy() {
    let endpoint = Some("http://127.0.0.1:1".to_owned());
    let store = Server::start().await.store_with(&Settings {
        endpoint,
        attempts: 1.try_into().unwrap(),
        ..Settings::default()
    });
    let refused = read(&store).await.unwrap_err().to_string();
    let told = "can't read s3://bucket/object: at http://127.0.0.1:1: tcp connect error: Connection refused (os error 111); \
                check `endpoint`";
    assert!(refused.contains(told), "{refused}");
}

#[tokio::test]
async fn a_storm_of_refusals_fails_nobody() {
    let (server, store, bytes) = stored(1000).await;
    server.fail(Method::GET, &[Fault::Refuse(503, "SlowDown"); 180]);
    let settings = Settings { attempts: 200.try_into().unwrap(), ..server.settings() };
    let patient = server.store_with(&settings);
    drop(store);
    let readers = (0..60).map(|_| read(&patient));
    assert!(futures::future::try_join_all(readers).await.unwrap().iter().all(|read| *read == bytes));
}

#[tokio::test]
async fn a_server_that_does_not_speak_https_is_an_error() {
    let server = Server::start().await;
    let endpoint = Some(format!("https://{}", server.address));
    let store = server.store_with(&Settings { endpoint, attempts: 1.try_into().unwrap(), ..Settings::default() });
    let refused = read(&store).await.unwrap_err().to_string();
    assert!(refused.contains("InvalidContentType") && refused.contains("check `endpoint`"), "{refused}");
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    let (server, ..) = stored(1000).await;
    let store = server.store_with(&Settings { max_concurrency: NonZeroUsize::new(3).unwrap(), ..server.settings() });
    stream::iter(0..40).for_each_concurrent(40, |_| async { drop(read(&store).await.unwrap()) }).await;
    assert!(server.most_under_way() <= 3, "{}", server.most_under_way());
}

#[tokio::test]
async fn bodies_stay_below_the_bandwidth() {
    let (server, ..) = stored(100_000).await;
    let limit = NonZeroU64::new(500_000);
    let store = server.store_with(&Settings { bandwidth_bytes_per_second: limit, ..server.settings() });
    let started = Instant::now();
    for _ in 0..5 {
        read(&store).await.unwrap();
    }
    // The last chunk may pass as soon as those before it are through.
    assert!(started.elapsed().as_secs_f64() > 0.8, "{:?}", started.elapsed());
}

#[test]
fn blocking_threads_read_objects_and_ranges() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, store, bytes) = runtime.block_on(stored(LONG));
    server.fail(Method::GET, &[Fault::Break(2 << 20)]);
    let object = Path::from("object");
    let mut read = Vec::new();
    open_object(runtime.handle(), &store, &object).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == bytes);
    assert_eq!(read_range(runtime.handle(), &store, &object, 10, 20).unwrap(), bytes[10..30]);
    let beyond = read_range(runtime.handle(), &store, &object, LONG as u64 - 1, 2).unwrap_err().to_string();
    assert!(beyond.contains("before"), "{beyond}");
}
