//! Accepting connections: TLS, limits, draining.

use std::{sync::Arc, time::Duration};

use api::{
    ACCEPT_PAUSE, Accepting, AfterAccept, Refusals,
    http1::{Checked, Refuse},
};
use axum::Router;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::MapRequest;

use crate::{
    failures::Failures,
    peer::Peer,
    seats::{ApiLimits, Seats},
};

/// Requests at the same time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// The fields of a request's head, in HTTP/2. Whoever connects may send that much before it shows a token.
const MAX_FIELD_BYTES: u32 = 16 << 10;
/// What is taken of bodies before they are read, of one request and of one connection, in HTTP/2.
const WINDOW_BYTES: (u32, u32) = (256 << 10, 1 << 20);
/// What is kept of an answer that its client does not take, in HTTP/2.
const MAX_SEND_BYTES: usize = 64 << 10;
/// For the TLS handshake, and for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// For requests in flight at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves a router until the token is cancelled, then drains. Requests that break the rules of HTTP are answered by `refuse`;
/// what `limits` turns away is counted in `refusals`.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    refuse: impl Refuse + Copy + Send + Unpin + 'static,
    limits: ApiLimits,
    refusals: Refusals,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let (seats, failures) = (Arc::new(Seats::new(limits)), Arc::new(Failures::counting(refusals)));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let mut accepting = Accepting::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                match accepting.failed(&error) {
                    AfterAccept::GoOn => tracing::debug!(%error, "a connection to the API failed"),
                    AfterAccept::Pause { first } => {
                        if first {
                            tracing::warn!(%error, "connections to the API cannot be accepted");
                        }
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
                continue;
            }
        };
        accepting.accepted();
        let (acceptor, router, watcher, shutdown) =
            (acceptor.clone(), router.clone(), graceful.watcher(), shutdown.clone());
        let peer = Peer::admit(address, &seats, &failures);
        connections.spawn(async move {
            let serving = connection(stream, acceptor, router, refuse, watcher, peer.clone());
            tokio::pin!(serving);
            tokio::select! {
                () = &mut serving => return,
                () = peer.is_over() => return tracing::debug!(%address, "a stranger's connection to the API was ended"),
                () = shutdown.cancelled() => {}
            }
            let _ = tokio::time::timeout(DRAIN_TIMEOUT, serving).await;
        });
    }
    drop(listener);
    connections.close();
    graceful.shutdown().await;
    connections.wait().await;
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    refuse: impl Refuse + Send + Unpin + 'static,
    watcher: hyper_util::server::graceful::Watcher,
    peer: Peer,
) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake with the API failed"),
        Err(_) => return tracing::debug!("a TLS handshake with the API took too long"),
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_FIELD_BYTES)
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1)
        .max_send_buf_size(MAX_SEND_BYTES)
        .keep_alive_interval(Some(HEADER_TIMEOUT));
    let service = TowerToHyperService::new(MapRequest::new(router, move |mut request: http::Request<Incoming>| {
        peer.asks();
        request.extensions_mut().insert(peer.clone());
        request
    }));
    let connection = builder.serve_connection(TokioIo::new(Checked::new(stream, refuse)), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection to the API ended");
    }
}
