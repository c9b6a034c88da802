use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use api::{
    frame_request,
    outbound::{CONNECT_TIMEOUT, Connect, Reach},
};
use bytes::Bytes;
use http::{Method, Request, Response, Version, header::CONTENT_LENGTH};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};

use super::{
    connector::{Connector, Unconnected},
    seats::{self, Seats},
};

/// How long the first byte of an answer may take, unless the guest wants less.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the first piece of a GET's body is waited for. After that the request goes, chunked, and its body follows.
const FIRST_PIECE: Duration = Duration::from_millis(50);
/// Connections to one host that are kept while idle.
const IDLE_PER_HOST: usize = 16;
/// How long they are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the head of an answer, and of what is read ahead of its body.
const BUFFER_BYTES: usize = 64 << 10;

/// How long a guest waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) first_byte: Duration,
}

impl From<Option<RequestOptions>> for Timeouts {
    fn from(options: Option<RequestOptions>) -> Self {
        let options = options.unwrap_or_default();
        Self {
            connect: options.connect_timeout.unwrap_or(CONNECT_TIMEOUT).min(CONNECT_TIMEOUT),
            first_byte: options.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT).min(FIRST_BYTE_TIMEOUT),
        }
    }
}

/// The world, as all guests of a worker reach it.
pub(crate) struct Outside {
    connect: Arc<dyn Connect>,
    tls: Arc<rustls::ClientConfig>,
    seats: Arc<Semaphore>,
}

impl Outside {
    pub(crate) fn new(connect: Arc<dyn Connect>) -> Self {
        Self { connect, tls: Arc::new(tls_config()), seats: seats::of_worker() }
    }
}

/// The connections of a replica's guests to the world. Two pools, because a connection to an address that only some
/// grants reach must not serve the others.
pub(super) struct OutboundClient {
    public: Client<Connector, WasiBody>,
    any: Client<Connector, WasiBody>,
}

impl OutboundClient {
    pub(super) fn new(outside: &Outside, namespace: &str) -> Self {
        let (seats, namespace) = (Seats::of_replica(outside.seats.clone()), Arc::<str>::from(namespace));
        let reaching = |reach| {
            let (connect, tls) = (outside.connect.clone(), outside.tls.clone());
            pool(Connector::new(connect, namespace.clone(), tls, reach, seats.clone()))
        };
        Self { public: reaching(Reach::Public), any: reaching(Reach::Any) }
    }

    pub(super) async fn send(
        &self,
        mut request: Request<WasiBody>,
        reach: Reach,
        timeouts: Timeouts,
    ) -> Result<Response<WasiBody>, HttpError> {
        *request.version_mut() = Version::HTTP_11;
        let request = framed(request).await;
        let pool = match reach {
            Reach::Public => &self.public,
            Reach::Any => &self.any,
        };
        let answer = tokio::time::timeout(timeouts.connect + timeouts.first_byte, pool.request(request)).await;
        let response = answer.map_err(|_| HttpError::HttpResponseTimeout)?.map_err(into_http_error)?;
        Ok(response.map(|body| body.map_err(HttpError::from).boxed_unsync()))
    }
}

/// Says how the request's body ends, whatever its method: a GET may have one too. As guests open a body for each request, and
/// write nothing to most of a GET, that is looked at first: servers may mind an empty chunked body, where none is meant.
async fn framed(mut request: Request<WasiBody>) -> Request<WasiBody> {
    let has_length = request.headers().contains_key(CONTENT_LENGTH) || request.body().size_hint().exact().is_some();
    if !has_length && matches!(*request.method(), Method::GET | Method::HEAD) {
        match tokio::time::timeout(FIRST_PIECE, first_piece(request.body_mut())).await {
            Ok(Some(Ok(first))) => request = request.map(|rest| Begun { first: Some(first), rest }.boxed_unsync()),
            // A body that was dropped unfinished and unwritten is none either.
            Ok(None | Some(Err(_))) => {
                *request.body_mut() = Empty::new().map_err(|never| match never {}).boxed_unsync();
            }
            Err(_) => {}
        }
    }
    frame_request(&mut request);
    request
}

/// The first piece of a body that has something in it.
async fn first_piece(body: &mut WasiBody) -> Option<Result<Frame<Bytes>, HttpError>> {
    loop {
        let piece = body.frame().await?;
        if !piece.as_ref().is_ok_and(|piece| piece.data_ref().is_some_and(Bytes::is_empty)) {
            return Some(piece);
        }
    }
}

/// A body whose first piece was read already.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: WasiBody,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }
}

fn pool(connector: Connector) -> Client<Connector, WasiBody> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_max_buf_size(BUFFER_BYTES)
        .set_host(false)
        .build(connector)
}

fn tls_config() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn into_http_error(error: hyper_util::client::legacy::Error) -> HttpError {
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<Unconnected>() {
            return error.to_http();
        }
        source = cause.source();
    }
    tracing::debug!(%error, "a guest's request failed");
    if error.is_connect() { HttpError::ConnectionRefused } else { HttpError::HttpProtocolError }
}
