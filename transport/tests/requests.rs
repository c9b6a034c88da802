//! Requests and answers over the hop between processes: they arrive as in one process.

#![allow(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::{path::Path, sync::Arc, time::Duration};

use api::{Address, Body, BodyError, Dialer, ObjectKey, ReplicaId, Serve, ServeError, WorkerName, session::Endpoint};
use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::pending};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    task::yield_now,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use transport::{RemoteDialer, RequestLimits, RequestListener, ServingThreads, machine, serve_requests};

const PATIENCE: Duration = Duration::from_secs(20);

type Answer = Result<Response<Body>, ServeError>;
type Handler = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Every replica of the worker answers with this.
struct Replicas(Handler);

impl Dialer for Replicas {
    fn dial(&self, _: &Endpoint) -> Arc<dyn Serve> {
        Arc::new(Self(self.0.clone()))
    }
}

impl Serve for Replicas {
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Answer> {
        (self.0)(request)
    }
}

/// A worker at a socket, and the way to a replica of it.
struct Hop {
    replica: Arc<dyn Serve>,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A replica of the worker at a socket.
fn at(socket: &Path) -> Endpoint {
    Endpoint {
        replica: ReplicaId(ObjectKey::new("shop", "r0")),
        worker: WorkerName("w".into()),
        concurrency: 1,
        request_deadline: PATIENCE,
        address: Some(Address { machine: machine().into(), socket: Some(socket.display().to_string()), tcp: None }),
        standby: false,
    }
}

impl Hop {
    async fn to<F, A>(handler: F) -> Self
    where
        F: Fn(Request<Body>) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("worker.sock");
        let listener = RequestListener::bind(Some(socket.clone()), None).await.unwrap();
        let shutdown = CancellationToken::new();
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let threads = ServingThreads { count: 1, start: api::start_thread };
        tokio::spawn(serve_requests(listener, Arc::new(Replicas(handler)), threads, shutdown.clone()));
        let dialer = RemoteDialer::new(RequestLimits::default(), None, Handle::current());
        Self { replica: dialer.dial(&at(&socket)), shutdown, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        timeout(PATIENCE, self.replica.serve(request)).await.expect("an answer").unwrap()
    }
}

fn pieces(pieces: &[&'static str]) -> Body {
    let frames: Vec<_> = pieces.iter().map(|piece| Ok(Frame::data((*piece).into()))).collect();
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

async fn text(body: Body) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn request(method: Method, body: Body) -> Request<Body> {
    Request::builder().method(method).uri("http://cart.shop.localhost/").body(body).unwrap()
}

#[tokio::test]
async fn a_body_without_a_length_arrives_whatever_the_method() {
    let hop = Hop::to(|request| async {
        assert!(!request.headers().contains_key(header::TRANSFER_ENCODING), "it is the hop's own");
        Ok(Response::new(request.into_body()))
    })
    .await;
    for method in [Method::GET, Method::DELETE, Method::OPTIONS, Method::POST] {
        let response = hop.send(request(method.clone(), pieces(&["some ", "body"]))).await;
        assert_eq!(text(response.into_body()).await, "some body", "{method}");
        let response = hop.send(request(method.clone(), api::empty_body())).await;
        assert_eq!(text(response.into_body()).await, "", "{method}");
    }
}

#[tokio::test]
async fn answers_without_content_cross_as_such_and_the_connection_is_used_again() {
    let hop = Hop::to(|request| async move {
        let mut response = Response::new(pieces(&["a body that should not be"]));
        *response.status_mut() = request.uri().path()[1..].parse::<StatusCode>().unwrap();
        Ok(response)
    })
    .await;
    for (method, status) in [("GET", 204), ("GET", 205), ("GET", 304), ("HEAD", 200), ("HEAD", 404)] {
        let mut request = request(method.parse().unwrap(), api::empty_body());
        *request.uri_mut() = format!("http://cart.shop.localhost/{status}").parse().unwrap();
        let response = hop.send(request).await;
        assert_eq!(response.status(), status);
        assert_eq!(text(response.into_body()).await, "", "{method} {status}");
    }
}

/// `body`, and trailers of which no head has spoken.
fn with_trailers() -> Body {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("a, 50%"))]);
    let frames = [Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(trailers))];
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

#[tokio::test]
async fn trailers_cross_both_ways_though_no_head_named_them_and_lengths_stay() {
    let hop = Hop::to(|request| async {
        let length = request.headers().get(header::CONTENT_LENGTH).cloned();
        let mut response = Response::new(request.into_body());
        if let Some(length) = length {
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        response.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-sum"));
        Ok(response)
    })
    .await;
    for (version, length) in [(Version::HTTP_11, None), (Version::HTTP_2, None), (Version::HTTP_2, Some("4"))] {
        let mut request = request(Method::POST, with_trailers());
        *request.version_mut() = version;
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        if let Some(length) = length {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        let response = hop.send(request).await;
        assert_eq!(response.headers().get(header::TRAILER).unwrap(), "x-sum");
        assert_eq!(response.headers().get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap()), length);
        let whole = response.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().expect("trailers")["x-sum"], "a, 50%");
        assert_eq!(whole.to_bytes(), "body");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_its_request_was_read_crosses() {
    let hop = Hop::to(|_| async { Ok(Response::new(api::full_body("no thanks"))) }).await;
    for _ in 0..20 {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        let upload = futures::stream::iter((0..128).map(move |_| Ok(Frame::data(piece.clone()))));
        let response = hop.send(request(Method::POST, StreamBody::new(upload).boxed_unsync())).await;
        assert_eq!(text(response.into_body()).await, "no thanks");
    }
}

/// Answers `ok` to each request, and tells when the connection of one has ended that was no ping.
#[tokio::test]
async fn a_request_that_nobody_read_leaves_its_connection_in_order_for_the_next() {
    let hop = Hop::to(|_| async { Ok(Response::new(api::full_body("no thanks"))) }).await;
    for size in [0, 1000, 100_000] {
        for round in 0..30 {
            let piece = Bytes::from(vec![b'x'; size]);
            let frames: Vec<_> = (0..3).map(|_| Ok(Frame::data(piece.clone()))).collect();
            let body = StreamBody::new(futures::stream::iter(frames)).boxed_unsync();
            let response = hop.send(request(Method::POST, body)).await;
            assert_eq!(text(response.into_body()).await, "no thanks", "{size}, {round}");
            assert!(hop.replica.is_reachable(), "{size}, {round}");
        }
    }
}

/// Tells when it is dropped.
struct Tells(tokio::sync::mpsc::Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

#[tokio::test]
async fn a_gateway_that_leaves_ends_its_request_also_behind_a_body_that_nobody_reads() {
    for whole in [true, false] {
        let (tell, mut told) = tokio::sync::mpsc::channel(2);
        let hop = Hop::to(move |request| {
            let (begun, ended) = (tell.clone(), Tells(tell.clone()));
            async move {
                begun.try_send(()).unwrap();
                let _all = (request, ended);
                std::future::pending().await
            }
        })
        .await;
        let body = match whole {
            true => pieces(&["some ", "body"]),
            false => StreamBody::new(futures::stream::once(async { Ok(Frame::data("some".into())) }).chain(pending()))
                .boxed_unsync(),
        };
        let asked = tokio::spawn(hop.replica.serve(request(Method::POST, body)));
        timeout(PATIENCE, told.recv()).await.expect("it began");
        asked.abort();
        timeout(PATIENCE, told.recv()).await.expect("it ended, since nobody waits");
    }
}

/// The fields `x-0`, `x-1` and so on.
fn many_fields(count: usize) -> HeaderMap {
    let names = (0..count).map(|number| HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap());
    names.map(|name| (name, HeaderValue::from_static("a, 50%"))).collect()
}

#[tokio::test]
async fn heads_of_many_fields_cross_both_ways_as_they_are() {
    let hop = Hop::to(|request| async move {
        let mut response = Response::new(api::empty_body());
        *response.headers_mut() = request.headers().clone();
        response.headers_mut().extend(many_fields(500));
        response.headers_mut().insert("x-sampan-fields", HeaderValue::from_static("transfer-encoding:gzip"));
        Ok(response)
    })
    .await;
    for count in [0, 79, 80, 95, 101, 300] {
        let mut request = request(Method::POST, pieces(&["some ", "body"]));
        request.headers_mut().extend(many_fields(count));
        request.headers_mut().insert("y", HeaderValue::from(count));
        let response = hop.send(request).await;
        assert_eq!(response.headers()["y"], count.to_string().as_str());
        assert!(!response.headers().contains_key(header::TRANSFER_ENCODING), "a guest cannot say it so");
        let fields = response.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-"));
        assert_eq!(fields.count(), 500, "{count}");
        assert!(hop.replica.is_reachable());
    }
}

/// A body that breaks off after its first piece.
fn broken() -> Body {
    let frames = [Ok(Frame::data(Bytes::from_static(b"some"))), Err(BodyError::Closed("the client left".into()))];
    StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
}

#[tokio::test]
async fn a_body_that_its_client_breaks_off_is_a_bad_request_and_no_worker_is_lost() {
    let hop = Hop::to(|request| async {
        let read = request.into_body().collect().await;
        Err(ServeError::BadRequest { why: read.unwrap_err().to_string() })
    })
    .await;
    for _ in 0..3 {
        let error = timeout(PATIENCE, hop.replica.serve(request(Method::POST, broken()))).await.unwrap().unwrap_err();
        assert!(matches!(&error, ServeError::BadRequest { why } if why.contains("the client left")), "{error:?}");
        assert!(hop.replica.is_reachable());
    }
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
const EVENTS: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n";
const HEAD_AND_PIECE: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n";

/// A worker that answers with the beginning of an answer, and then does what it is told. The folder holds its socket.
async fn beginning<F>(
    begins: &'static [u8],
    held: Option<Duration>,
    then: fn(tokio::net::UnixStream) -> F,
) -> (tempfile::TempDir, Arc<dyn Serve>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("worker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await.unwrap();
                stream.write_all(begins).await.unwrap();
                then(stream).await;
            });
        }
    });
    let limits = RequestLimits::default();
    let (head_held, answer_held) = (held.unwrap_or(limits.head_held), held.unwrap_or(limits.answer_held));
    let limits = RequestLimits { head_held, answer_held, ..limits };
    let replica = RemoteDialer::new(limits, None, Handle::current()).dial(&at(&socket));
    (folder, replica)
}

#[tokio::test]
async fn an_answer_that_breaks_off_before_anything_of_it_was_passed_on_is_an_error() {
    // The gateway reads the head meanwhile, and waits.
    let ends = |_| async {
        for _ in 0..10 {
            yield_now().await;
        }
    };
    for begins in [HEAD, HEAD_AND_PIECE] {
        let (_folder, replica) = beginning(begins, Some(PATIENCE), ends).await;
        let answered = timeout(PATIENCE, replica.serve(request(Method::GET, api::empty_body()))).await.unwrap();
        assert!(matches!(answered, Err(ServeError::Unreachable { .. })), "{answered:?}");
    }
}

async fn stays(stream: tokio::net::UnixStream) {
    let _open = stream;
    std::future::pending().await
}

#[tokio::test]
async fn a_head_whose_body_is_late_is_passed_on_without_it() {
    let (_folder, replica) = beginning(HEAD, None, stays).await;
    let answered = timeout(PATIENCE, replica.serve(request(Method::GET, api::empty_body()))).await.unwrap();
    assert_eq!(answered.unwrap().headers()[header::CONTENT_LENGTH], "10");
}

#[tokio::test]
async fn a_piece_after_which_others_are_late_is_passed_on() {
    let (_folder, replica) = beginning(HEAD_AND_PIECE, None, stays).await;
    let (_folder, patient) = beginning(HEAD_AND_PIECE, Some(10 * PATIENCE), stays).await;
    let (_folder, events) = beginning(EVENTS, Some(10 * PATIENCE), stays).await;
    // No other can be asked to which a POST was sent, and who listens to events wants the first at once.
    for (replica, method) in
        [(&replica, Method::GET), (&replica, Method::PUT), (&patient, Method::POST), (&events, Method::GET)]
    {
        let answered = timeout(PATIENCE, replica.serve(request(method, api::empty_body()))).await.unwrap();
        let piece = timeout(PATIENCE, answered.unwrap().into_body().frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(piece.into_data().unwrap(), "some");
    }
}

async fn tell_the_end(mut stream: tokio::net::UnixStream, ended: tokio::sync::mpsc::Sender<()>) {
    let (mut asked, mut head, mut piece) = (false, Vec::new(), [0; 4096]);
    while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
        head.extend_from_slice(&piece[..bytes]);
        if head.ends_with(b"\r\n\r\n") {
            asked |= !String::from_utf8_lossy(&head).contains("x-sampan-ping");
            head.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    }
    if asked {
        let _ = ended.send(()).await;
    }
}

#[tokio::test]
async fn a_worker_that_nobody_needs_any_more_is_let_go_of_on_each_thread() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("worker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let (ends, mut ended) = tokio::sync::mpsc::channel(9);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tell_the_end(stream, ends.clone()));
        }
    });
    let dialer = RemoteDialer::new(RequestLimits::default(), None, Handle::current());
    let replica = dialer.dial(&at(&socket));
    let over = CancellationToken::new();
    let _over = over.clone().drop_guard();
    for _ in 0..2 {
        let (replica, over) = (replica.clone(), over.clone());
        let (answered, answer) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let response = replica.serve(request(Method::GET, api::empty_body())).await.unwrap();
                let _ = answered.send(text(response.into_body()).await);
                drop(replica);
                over.cancelled().await;
            });
        });
        assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap(), "ok");
    }
    assert!(ended.try_recv().is_err(), "connections are kept for further requests");
    drop(replica);
    for _ in 0..2 {
        timeout(PATIENCE, ended.recv()).await.expect("its connection ends").unwrap();
    }
}

#[tokio::test]
async fn a_worker_whose_serving_threads_are_busy_for_long_is_not_taken_for_lost() {
    let busy = RequestLimits::default().lost_after * 4;
    let hop = Hop::to(move |_| async move {
        // As guests do that start: nothing else gets a turn on this thread.
        std::thread::sleep(busy);
        Ok(Response::new(api::empty_body()))
    })
    .await;
    for path in ["/", "/x-sampan-ping"] {
        let request = Request::builder().uri(path).body(api::empty_body()).unwrap();
        assert_eq!(hop.send(request).await.status(), 200);
    }
}
