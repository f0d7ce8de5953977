//! A real S3 server on a loopback port, behind a front that does to requests and answers what a test asks for. It can be
//! spoken to as Google's XML interface, which is S3's with other names of headers.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderName;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use object_store::path::Path;
use pageloom_storage::{Credentials, S3Store, Settings, SharedCredentialsProvider};
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

pub const BUCKET: &str = "bucket";
pub const KEY: &str = "test-key";
pub const SECRET: &str = "test-secret-that-nobody-may-see";

/// A service account of Google's, in the environment, that asks for no token.
pub const GOOGLE: (&str, &str) = (
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    r#"{"disable_oauth":true,"private_key":"test-secret-that-nobody-may-see","private_key_id":"1","client_email":"a@b"}"#,
);

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Answered with this status and code, without doing anything.
    Refuse(u16, &'static str),
    /// The connection ends after so many bytes of the body.
    Break(usize),
    /// One bit of this byte of the body is another.
    Flip(usize),
    /// One bit of the first byte number is another, and the connection ends after so many bytes.
    FlipAndBreak(usize, usize),
    /// One bit of this byte of what is sent to the server is another.
    FlipSent(usize),
    /// No byte comes after so many.
    Stall(usize),
    /// The body comes one byte at a time, twenty a second.
    Trickle,
    /// Carried out, but the connection ends without an answer.
    LoseAnswer,
    /// The range that is asked for is ignored.
    Whole,
    /// The body has so many bytes, whatever is said of it.
    Length(usize),
}

/// How a connection that breaks ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
}

/// One server with one bucket.
pub struct Server {
    pub address: SocketAddr,
    pub folder: TempDir,
    front: Arc<Front>,
}

struct Front {
    service: S3Service,
    bucket: PathBuf,
    faults: Mutex<VecDeque<(Method, Fault)>>,
    requests: Mutex<Vec<(Method, HeaderMap)>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    overwrites: AtomicBool,
    unlisted: Mutex<Option<String>>,
    markers: Mutex<Vec<String>>,
    /// Whether headers have Google's names.
    google: bool,
    /// The server underneath looks whether a file is there and then writes it; S3 does both at once.
    writing: tokio::sync::Mutex<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(End::Closed).await
    }

    pub async fn start_with(end: End) -> Self {
        Self::start_as(end, false).await
    }

    /// A server that takes Google's names of headers, and asks for no signature.
    pub async fn start_as_google() -> Self {
        Self::start_as(End::Closed, true).await
    }

    async fn start_as(end: End, google: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bucket = folder.path().join(BUCKET);
        std::fs::create_dir(&bucket).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        if !google {
            builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        }
        let front = Arc::new(Front {
            service: builder.build(),
            bucket,
            faults: Mutex::default(),
            requests: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            overwrites: AtomicBool::new(false),
            unlisted: Mutex::default(),
            markers: Mutex::default(),
            google,
            writing: tokio::sync::Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, front.clone(), end));
        Self { address, folder, front }
    }

    /// The next requests of this method meet these faults, one each.
    pub fn fail(&self, method: Method, faults: &[Fault]) {
        self.front.faults.lock().unwrap().extend(faults.iter().map(|fault| (method.clone(), *fault)));
    }

    /// From now on, `If-None-Match` or Google's condition is ignored, as Garage does.
    pub fn overwrite(&self) {
        self.front.overwrites.store(true, Ordering::Relaxed);
    }

    /// From now on, what was written under a prefix is there and is not listed: listings lag behind.
    pub fn leave_unlisted(&self, prefix: &str) {
        *self.front.unlisted.lock().unwrap() = Some(prefix.to_owned());
    }

    /// From now on, listings name these keys, each of an empty object; the server underneath takes none that ends in a slash.
    pub fn mark(&self, keys: &[&str]) {
        *self.front.markers.lock().unwrap() = keys.iter().map(ToString::to_string).collect();
    }

    /// How many files there are of uploads that are not complete.
    pub fn parts(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name() != BUCKET).count()
    }

    pub fn requests(&self, method: &Method) -> usize {
        self.front.requests.lock().unwrap().iter().filter(|(found, _)| found == method).count()
    }

    /// The values of a header in all requests of a method that have it.
    pub fn sent(&self, method: &Method, header: &str) -> Vec<String> {
        let requests = self.front.requests.lock().unwrap();
        let headers = requests.iter().filter(|(found, _)| found == method).filter_map(|(_, all)| all.get(header));
        headers.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    pub fn most_under_way(&self) -> usize {
        self.front.most_under_way.load(Ordering::Relaxed)
    }

    pub fn settings(&self) -> Settings {
        let text = format!("endpoint = 'http://{}'\npause_milliseconds = 1\nattempts = 4", self.address);
        let text = format!("{text}\nstall_timeout_seconds = 3\npart_size = 5_242_880");
        toml::from_str(&text).unwrap()
    }

    pub fn store(&self) -> S3Store {
        self.store_with(&self.settings())
    }

    pub fn store_with(&self, settings: &Settings) -> S3Store {
        let credentials = Credentials::new(KEY, SECRET, None, None, "test");
        S3Store::with_credentials(BUCKET, settings, SharedCredentialsProvider::new(credentials)).unwrap()
    }
}

async fn accept(listener: TcpListener, front: Arc<Front>, end: End) {
    while let Ok((socket, _)) = listener.accept().await {
        if end == End::Reset {
            socket.set_zero_linger().unwrap();
        }
        tokio::spawn(serve(socket, front.clone()));
    }
}

async fn serve(socket: TcpStream, front: Arc<Front>) {
    let service = service_fn(move |request| front.clone().answer(request));
    // A connection that ends early is what some faults are for.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

impl Front {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, &'static str> {
        self.requests.lock().unwrap().push((request.method().clone(), request.headers().clone()));
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::Relaxed);
        let answer = self.with_fault(request).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        answer
    }

    async fn with_fault(&self, request: Request<Incoming>) -> Result<Response<Body>, &'static str> {
        let fault = self.next_fault(request.method());
        if let Some(Fault::Refuse(status, code)) = fault {
            return Ok(refusal(status, code));
        }
        let file = self.file(&request);
        let request = match fault {
            Some(Fault::FlipSent(at)) => with_flipped(request, at).await,
            _ => request.map(Body::from),
        };
        let listing = request.uri().query().filter(|query| query.contains("list-type=2")).map(str::to_owned);
        let mut response = self.served(request).await;
        let unlisted = self.unlisted.lock().unwrap().clone().filter(|_| listing.is_some());
        if let Some(prefix) = unlisted {
            response = without(response, &prefix).await;
        }
        let markers = self.markers.lock().unwrap().clone();
        if let Some(query) = listing {
            response = with_markers(response, &query, &markers).await;
        }
        match fault {
            Some(Fault::LoseAnswer) => Err("the answer is lost"),
            Some(Fault::Whole) => Ok(whole(response, std::fs::read(file).unwrap())),
            Some(fault) => Ok(spoilt(response, fault).await),
            None => Ok(response),
        }
    }

    fn next_fault(&self, method: &Method) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let next = faults.iter().position(|(of, _)| of == method)?;
        faults.remove(next).map(|(_, fault)| fault)
    }

    fn file<B>(&self, request: &Request<B>) -> PathBuf {
        let path = Path::from_url_path(request.uri().path()).unwrap();
        self.bucket.join(path.as_ref().trim_start_matches(&format!("{BUCKET}/")))
    }

    async fn served(&self, request: Request<Body>) -> Response<Body> {
        let _alone = if request.method() == Method::PUT { Some(self.writing.lock().await) } else { None };
        // The server underneath takes a folder for an ill object.
        if request.method() == Method::HEAD && self.file(&request).is_dir() {
            return refusal(404, "NoSuchKey");
        }
        if self.google {
            return self.served_as_google(request).await;
        }
        if self.overwrites.load(Ordering::Relaxed) && request.headers().contains_key("if-none-match") {
            let _ = std::fs::remove_file(self.file(&request));
        }
        self.service.call(request).await.unwrap()
    }

    async fn served_as_google(&self, mut request: Request<Body>) -> Response<Body> {
        request.headers_mut().remove("authorization");
        let creates = request.headers_mut().remove("x-goog-if-generation-match").is_some();
        if creates && !self.overwrites.load(Ordering::Relaxed) && self.file(&request).exists() {
            return refusal(412, "PreconditionFailed");
        }
        rename(request.headers_mut(), "x-goog-", "x-amz-");
        let mut response = self.service.call(request).await.unwrap();
        rename(response.headers_mut(), "x-amz-", "x-goog-");
        response
    }
}

/// Gives headers that begin so another beginning.
fn rename(headers: &mut HeaderMap, from: &str, to: &str) {
    let renamed: Vec<_> = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
    for (name, value) in renamed {
        if let Some(rest) = name.strip_prefix(from) {
            headers.remove(&name);
            headers.insert(HeaderName::try_from(format!("{to}{rest}")).unwrap(), value);
        }
    }
}

async fn with_flipped(request: Request<Incoming>, at: usize) -> Request<Body> {
    let (head, body) = request.into_parts();
    let bytes = BodyExt::collect(body).await.unwrap().to_bytes();
    Request::from_parts(head, Body::from(flipped(&bytes, at)))
}

/// A listing without the objects under a prefix.
async fn without(response: Response<Body>, prefix: &str) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let bytes = BodyExt::collect(body).await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut parts = text.split("<Contents>");
    let mut left = parts.next().unwrap().to_owned();
    for object in parts {
        let (object, rest) = object.split_once("</Contents>").unwrap();
        if !object.contains(&format!("<Key>{prefix}")) {
            left.push_str(&format!("<Contents>{object}</Contents>"));
        }
        left.push_str(rest);
    }
    head.headers.remove("content-length");
    Response::from_parts(head, Body::from(left))
}

/// A listing with those of the keys that it would name as objects.
async fn with_markers(response: Response<Body>, query: &str, keys: &[String]) -> Response<Body> {
    let asked: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let prefix = asked.get("prefix").map(String::as_str).unwrap_or_default();
    let below = keys.iter().filter_map(|key| Some((key, key.strip_prefix(prefix)?)));
    let named: Vec<_> = below.filter(|(_, rest)| !asked.contains_key("delimiter") || !rest.contains('/')).collect();
    if named.is_empty() || asked.contains_key("continuation-token") {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let bytes = BodyExt::collect(body).await.unwrap().to_bytes();
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    let objects = named.into_iter().map(|(key, _)| {
        let time = "2026-01-01T00:00:00.000Z";
        let e_tag = "&quot;d41d8cd98f00b204e9800998ecf8427e&quot;";
        format!(
            "<Contents><Key>{key}</Key><Size>0</Size><LastModified>{time}</LastModified><ETag>{e_tag}</ETag></Contents>"
        )
    });
    let objects: String = objects.collect();
    text = text.replace("</ListBucketResult>", &format!("{objects}</ListBucketResult>"));
    head.headers.remove("content-length");
    Response::from_parts(head, Body::from(text))
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the test asks</Message></Error>");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// The answer of who was asked for no range.
fn whole(response: Response<Body>, bytes: Vec<u8>) -> Response<Body> {
    let (mut head, _) = response.into_parts();
    head.status = StatusCode::OK;
    head.headers.remove("content-range");
    head.headers.insert("content-length", bytes.len().into());
    Response::from_parts(head, Body::from(bytes))
}

/// The answer with another body under the same headers.
async fn spoilt(response: Response<Body>, fault: Fault) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let mut bytes = BodyExt::collect(body).await.unwrap().to_bytes();
    if let Fault::Length(length) = fault {
        bytes = bytes.iter().copied().chain(std::iter::repeat(0)).take(length).collect();
    }
    head.headers.insert("content-length", bytes.len().into());
    let start = |end: usize| stream::iter([Ok(bytes.slice(..end.min(bytes.len())))]);
    let chunks = match fault {
        Fault::Break(end) => start(end).chain(breaks()).boxed(),
        Fault::FlipAndBreak(at, end) => {
            let start = flipped(&bytes.slice(..end), at);
            stream::iter([Ok(start)]).chain(breaks()).boxed()
        }
        Fault::Stall(end) => start(end).chain(stream::pending()).boxed(),
        Fault::Trickle => stream::unfold(bytes, trickle).boxed(),
        Fault::Flip(at) => stream::iter([Ok(flipped(&bytes, at))]).boxed(),
        _ => stream::iter([Ok(bytes)]).boxed(),
    };
    let frames = chunks.map(|chunk| chunk.map(Frame::data).map_err(std::io::Error::other));
    Response::from_parts(head, Body::http_body_unsync(StreamBody::new(frames)))
}

/// The end of a connection, once what came before it is sent.
fn breaks() -> impl Stream<Item = Result<Bytes, &'static str>> {
    stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err("the connection breaks")
    })
}

async fn trickle(mut bytes: Bytes) -> Option<(Result<Bytes, &'static str>, Bytes)> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    (!bytes.is_empty()).then(|| (Ok(bytes.split_to(1)), bytes))
}

fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

/// Bytes in which no two places look alike.
pub fn noise(length: usize) -> Bytes {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect::<Vec<_>>().into()
}
