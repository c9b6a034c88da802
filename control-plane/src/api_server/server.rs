//! Accepting connections: TLS, limits, draining.

use std::{sync::Arc, time::Duration};

use api::{
    ACCEPT_PAUSE, Accepting, AfterAccept,
    http1::{Checked, Refuse, Refused, Violation},
};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::error::ApiError;

/// Connections at the same time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// Requests at the same time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 250;
/// For the TLS handshake, and for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// For requests in flight at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves a router until the token is cancelled, then drains.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let mut accepting = Accepting::default();
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
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
        connections.spawn(async move {
            let _permit = permit;
            let serving = connection(stream, acceptor, router, watcher);
            tokio::pin!(serving);
            tokio::select! {
                () = &mut serving => return,
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
    watcher: hyper_util::server::graceful::Watcher,
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
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .keep_alive_interval(Some(HEADER_TIMEOUT));
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(Checked::new(stream, AsStatus)), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection to the API ended");
    }
}

/// What is wrong with a request's bytes, as a `Status` object.
struct AsStatus;

impl Refuse for AsStatus {
    fn refuse(&self, violation: Violation) -> Refused {
        let mut status = ApiError::BadRequest(violation.to_string()).to_status();
        status["code"] = violation.status().as_u16().into();
        Refused { content_type: "application/json", body: status.to_string() }
    }
}
