//! Requests and answers over the hop between processes: they arrive as in one process.

#![allow(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::{sync::Arc, time::Duration};

use api::{Address, Body, Dialer, ObjectKey, ReplicaId, Serve, ServeError, WorkerName, session::Endpoint};
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{runtime::Handle, time::timeout};
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
        let threads = ServingThreads { count: 1, on_start: || {} };
        tokio::spawn(serve_requests(listener, Arc::new(Replicas(handler)), threads, shutdown.clone()));
        let dialer = RemoteDialer::new(RequestLimits::default(), None, Handle::current());
        let address = Address { machine: machine().into(), socket: Some(socket.display().to_string()), tcp: None };
        let endpoint = Endpoint {
            replica: ReplicaId(ObjectKey::new("shop", "r0")),
            worker: WorkerName("w".into()),
            concurrency: 1,
            request_deadline: PATIENCE,
            address: Some(address),
            standby: false,
        };
        Self { replica: dialer.dial(&endpoint), shutdown, _folder: folder }
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
