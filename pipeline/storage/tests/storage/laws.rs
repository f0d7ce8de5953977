//! What a folder and a bucket both promise.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart,
};
use pageloom_storage::probe;

use super::clouds;
use super::server::{Server, noise};

/// Empty objects that a console makes to show a folder.
pub const MARKERS: [&str; 2] = ["marked/", "marked/below/"];

/// A store and what it lives in.
struct Place {
    store: Arc<dyn ObjectStore>,
    _keep: Box<dyn Any>,
}

async fn folder() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    Place { store: Arc::new(store), _keep: Box::new(folder) }
}

async fn bucket() -> Place {
    let server = Server::start().await;
    server.mark(&MARKERS);
    Place { store: Arc::new(server.store()), _keep: Box::new(server) }
}

/// A folder of its own for each law, in the container of the server that the environment names.
fn container(law: &str) -> Option<Place> {
    Some(Place { store: Arc::new(PrefixStore::new(clouds::azure()?, law)), _keep: Box::new(()) })
}

/// A server that is spoken to as Google's, where the environment has the account of the tests.
async fn google() -> Option<Place> {
    let (server, store) = clouds::google().await?;
    server.mark(&MARKERS);
    Some(Place { store, _keep: Box::new(server) })
}

macro_rules! laws {
    ($($law:ident)*) => {
        pub mod azure {
            $(#[tokio::test] async fn $law() {
                let Some(place) = super::container(stringify!($law)) else { return };
                super::$law(place.store.clone()).await;
            })*
        }
        pub mod google {
            $(#[tokio::test] async fn $law() {
                let Some(place) = super::google().await else { return };
                super::$law(place.store.clone()).await;
            })*
        }
        mod in_a_folder { $(#[tokio::test] async fn $law() { super::$law(super::folder().await.store).await })* }
        mod in_a_bucket {
            $(#[tokio::test] async fn $law() {
                let place = super::bucket().await;
                super::$law(place.store.clone()).await;
            })*
        }
    };
}

laws! {
    what_is_put_is_got
    what_is_not_there_is_not_found
    ranges_are_those_asked_for
    conditions_on_reading_hold
    a_listing_is_of_whole_folders_in_order
    a_listing_of_many_pages_misses_nothing
    a_folder_that_a_console_marked_is_no_object
    of_many_creators_one_wins
    parts_become_one_object
    an_upload_given_up_leaves_nothing
    deleting_deletes_what_is_named
    a_copy_has_the_same_bytes
    a_probe_leaves_nothing
}

async fn put(store: &dyn ObjectStore, path: &str, bytes: impl Into<Bytes>) {
    store.put(&Path::from(path), PutPayload::from_bytes(bytes.into())).await.unwrap();
}

async fn read(store: &dyn ObjectStore, path: &str) -> Bytes {
    store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap()
}

async fn names(store: &dyn ObjectStore, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> =
        store.list(Some(&Path::from(prefix))).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    names.sort();
    names
}

async fn what_is_put_is_got(store: Arc<dyn ObjectStore>) {
    for (path, bytes) in [("a/ä ?#%+&=*.bin", noise(70_000)), ("a/empty", Bytes::new())] {
        put(&store, path, bytes.clone()).await;
        put(&store, path, bytes.clone()).await;
        assert_eq!(read(&store, path).await, bytes);
        assert_eq!(store.head(&Path::from(path)).await.unwrap().size, bytes.len() as u64);
    }
}

async fn what_is_not_there_is_not_found(store: Arc<dyn ObjectStore>) {
    let nowhere = Path::from("nowhere");
    assert!(matches!(store.get(&nowhere).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.head(&nowhere).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.copy(&nowhere, &Path::from("to")).await, Err(Error::NotFound { .. })));
}

async fn ranges_are_those_asked_for(store: Arc<dyn ObjectStore>) {
    let bytes = noise(3_000_000);
    put(&store, "object", bytes.clone()).await;
    let cases = [
        (GetRange::Bounded(10..20), 10..20),
        (GetRange::Bounded(2_999_990..9_000_000), 2_999_990..3_000_000),
        (GetRange::Offset(2_999_000), 2_999_000..3_000_000),
        (GetRange::Suffix(7), 2_999_993..3_000_000),
    ];
    let object = Path::from("object");
    for (range, expected) in cases {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let got = store.get_opts(&object, options).await.unwrap();
        assert_eq!((got.range.clone(), got.meta.size), (expected.start as u64..expected.end as u64, 3_000_000));
        assert_eq!(got.bytes().await.unwrap(), bytes[expected]);
    }
    let many = store.get_ranges(&object, &[0..5, 2_500_000..2_500_005, 3..9]).await.unwrap();
    assert_eq!(many, [&bytes[0..5], &bytes[2_500_000..2_500_005], &bytes[3..9]]);
    assert!(store.get_range(&object, 3_000_000..3_000_001).await.is_err());
}

async fn conditions_on_reading_hold(store: Arc<dyn ObjectStore>) {
    put(&store, "object", "bytes").await;
    let object = Path::from("object");
    let e_tag = store.head(&object).await.unwrap().e_tag;
    let got = |options: GetOptions| store.get_opts(&object, options);
    assert!(got(GetOptions { if_match: e_tag.clone(), ..GetOptions::default() }).await.is_ok());
    let other = Some("\"0123456789abcdef0123456789abcdef\"".to_owned());
    let refused = got(GetOptions { if_match: other, ..GetOptions::default() }).await;
    assert!(matches!(refused, Err(Error::Precondition { .. })));
    let unchanged = got(GetOptions { if_none_match: e_tag, ..GetOptions::default() }).await;
    assert!(matches!(unchanged, Err(Error::NotModified { .. })));
}

async fn a_listing_is_of_whole_folders_in_order(store: Arc<dyn ObjectStore>) {
    for path in ["a/2", "a/1/x", "ab/3", "b"] {
        put(&store, path, "bytes").await;
    }
    assert_eq!(names(&store, "a").await, ["a/1/x", "a/2"]);
    assert_eq!(names(&store, "nowhere").await, Vec::<String>::new());
    let found = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
    assert_eq!(found.common_prefixes, [Path::from("a/1")]);
    assert_eq!(found.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["a/2"]);
    let after: Vec<_> = store.list_with_offset(None, &Path::from("a/2")).try_collect().await.unwrap();
    let mut after: Vec<_> = after.iter().map(|meta| meta.location.as_ref()).collect();
    after.sort_unstable();
    assert_eq!(after, ["ab/3", "b"]);
}

async fn a_listing_of_many_pages_misses_nothing(store: Arc<dyn ObjectStore>) {
    let expected: Vec<String> = (0..1100).map(|number| format!("many/{number:04}")).collect();
    stream::iter(&expected).for_each_concurrent(8, |path| put(&store, path, "x")).await;
    assert_eq!(names(&store, "many").await, expected);
    assert_eq!(store.list_with_delimiter(Some(&Path::from("many"))).await.unwrap().objects.len(), 1100);
    let locations = stream::iter(expected).map(|path| Ok(Path::from(path))).boxed();
    assert_eq!(store.delete_stream(locations).try_collect::<Vec<_>>().await.unwrap().len(), 1100);
    assert_eq!(names(&store, "many").await, Vec::<String>::new());
}

async fn a_folder_that_a_console_marked_is_no_object(store: Arc<dyn ObjectStore>) {
    for (path, bytes) in [("marked/empty", ""), ("marked/page", "bytes"), ("marked/short", "short bytes")] {
        put(&store, path, bytes).await;
    }
    assert_eq!(names(&store, "").await, ["marked/empty", "marked/page", "marked/short"]);
    assert_eq!(names(&store, "marked").await, ["marked/empty", "marked/page", "marked/short"]);
    let found = store.list_with_delimiter(Some(&Path::from("marked"))).await.unwrap();
    let mut found: Vec<_> = found.objects.iter().map(|meta| meta.location.as_ref()).collect();
    found.sort_unstable();
    assert_eq!(found, ["marked/empty", "marked/page", "marked/short"]);
}

async fn of_many_creators_one_wins(store: Arc<dyn ObjectStore>) {
    let object = Path::from("commits/unit.json");
    let create = |number: u32| {
        let (store, object) = (store.clone(), object.clone());
        async move {
            let payload = PutPayload::from(number.to_string().into_bytes());
            (number, store.put_opts(&object, payload, PutOptions::from(PutMode::Create)).await)
        }
    };
    let outcomes: Vec<_> = stream::iter(0..16).map(create).buffer_unordered(16).collect().await;
    let won: Vec<u32> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(number, _)| *number).collect();
    let refused = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Err(Error::AlreadyExists { .. }))).count();
    assert_eq!((won.len(), refused), (1, 15));
    assert_eq!(read(&store, "commits/unit.json").await, won[0].to_string());
}

async fn parts_become_one_object(store: Arc<dyn ObjectStore>) {
    let bytes = noise(20 << 20);
    let upload = store.put_multipart(&Path::from("big/object")).await.unwrap();
    let mut upload = WriteMultipart::new_with_chunk_size(upload, 3 << 20);
    for chunk in bytes.chunks(1_000_003) {
        upload.wait_for_capacity(4).await.unwrap();
        upload.write(chunk);
    }
    upload.finish().await.unwrap();
    assert!(read(&store, "big/object").await == bytes);
    let mut empty = store.put_multipart(&Path::from("big/empty")).await.unwrap();
    empty.complete().await.unwrap();
    assert_eq!(store.head(&Path::from("big/empty")).await.unwrap().size, 0);
}

async fn an_upload_given_up_leaves_nothing(store: Arc<dyn ObjectStore>) {
    let mut upload = store.put_multipart(&Path::from("object")).await.unwrap();
    upload.put_part(PutPayload::from_bytes(noise(6 << 20))).await.unwrap();
    upload.abort().await.unwrap();
    assert!(matches!(store.head(&Path::from("object")).await, Err(Error::NotFound { .. })));
}

async fn deleting_deletes_what_is_named(store: Arc<dyn ObjectStore>) {
    for path in ["a", "b", "c"] {
        put(&store, path, "bytes").await;
    }
    store.delete(&Path::from("a")).await.unwrap();
    let locations = stream::iter(["b"]).map(|path| Ok(Path::from(path))).boxed();
    assert_eq!(store.delete_stream(locations).try_collect::<Vec<_>>().await.unwrap(), [Path::from("b")]);
    assert_eq!(names(&store, "").await, ["c"]);
}

async fn a_copy_has_the_same_bytes(store: Arc<dyn ObjectStore>) {
    let (from, to) = (Path::from("from ü?"), Path::from("to"));
    put(&store, "from ü?", "bytes").await;
    store.copy(&from, &to).await.unwrap();
    assert_eq!(read(&store, "to").await, "bytes");
    let refused = store.copy_if_not_exists(&from, &to).await.unwrap_err();
    assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused}");
    store.copy_if_not_exists(&from, &Path::from("new")).await.unwrap();
    store.rename(&from, &Path::from("renamed")).await.unwrap();
    assert_eq!(names(&store, "").await, ["new", "renamed", "to"]);
}

async fn a_probe_leaves_nothing(store: Arc<dyn ObjectStore>) {
    probe(&store, &Path::from("run")).await.unwrap();
    assert_eq!(names(&store, "").await, Vec::<String>::new());
}
