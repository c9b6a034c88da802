use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::outbound::{CONNECT_TIMEOUT, Connect, ConnectError, Reach};
use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use wasmtime_wasi_http::Error as HttpError;

use super::seats::{Seat, Seats};

/// Makes connections for guests.
#[derive(Clone)]
pub(super) struct Connector {
    connect: Arc<dyn Connect>,
    /// The namespace of the guests.
    namespace: Arc<str>,
    tls: Arc<rustls::ClientConfig>,
    reach: Reach,
    seats: Seats,
}

/// Why a guest has no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unconnected {
    #[error("invalid destination")]
    Destination,
    #[error(transparent)]
    Tcp(#[from] ConnectError),
    #[error("tls: {0}")]
    Tls(io::Error),
    #[error("timeout")]
    Timeout,
    #[error("its replica, or all guests of its worker, have as many connections as they may")]
    TooMany,
}

impl Unconnected {
    /// In the words of `wasi:http`.
    pub(super) fn to_http(&self) -> HttpError {
        match self {
            Self::Destination => HttpError::HttpRequestUriInvalid,
            Self::Tcp(ConnectError::NotGranted) => HttpError::HttpRequestDenied,
            Self::Tcp(ConnectError::Prohibited) => HttpError::DestinationIpProhibited,
            Self::Tcp(ConnectError::Name(why)) => HttpError::DnsError { rcode: Some(why.clone()), info_code: None },
            Self::Tcp(ConnectError::Refused(_)) => HttpError::ConnectionRefused,
            Self::Tcp(ConnectError::Unanswered(_)) => HttpError::DestinationUnavailable,
            Self::Tls(_) => HttpError::TlsProtocolError,
            Self::TooMany => HttpError::ConnectionLimitReached,
            Self::Tcp(ConnectError::Timeout) | Self::Timeout => HttpError::ConnectionTimeout,
        }
    }
}

impl Connector {
    pub(super) fn new(
        connect: Arc<dyn Connect>,
        namespace: Arc<str>,
        tls: Arc<rustls::ClientConfig>,
        reach: Reach,
        seats: Seats,
    ) -> Self {
        Self { connect, namespace, tls, reach, seats }
    }

    async fn connect(self, uri: Uri) -> Result<GuestConnection, Unconnected> {
        let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = uri.host().ok_or(Unconnected::Destination)?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let seat = self.seats.take().ok_or(Unconnected::TooMany)?;
        let tcp = self.connect.connect(Some(&self.namespace), host, port, self.reach).await?;
        if !secure {
            return Ok(GuestConnection { io: Io::Plain(TokioIo::new(tcp)), seat });
        }
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|_| Unconnected::Destination)?;
        let tls = TlsConnector::from(self.tls).connect(name, tcp).await.map_err(Unconnected::Tls)?;
        Ok(GuestConnection { io: Io::Tls(TokioIo::new(Box::new(tls))), seat })
    }
}

impl tower::Service<Uri> for Connector {
    type Response = GuestConnection;
    type Error = Unconnected;
    type Future = BoxFuture<'static, Result<GuestConnection, Unconnected>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unconnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.clone().connect(uri));
        Box::pin(async move { connecting.await.unwrap_or(Err(Unconnected::Timeout)) })
    }
}

/// A connection to a host outside.
pub(super) struct GuestConnection {
    io: Io,
    seat: Seat,
}

enum Io {
    Plain(TokioIo<TcpStream>),
    Tls(TokioIo<Box<TlsStream<TcpStream>>>),
}

impl Connection for GuestConnection {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if !self.seat.is_kept() {
            connected.poison();
        }
        connected
    }
}

impl Read for GuestConnection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl Write for GuestConnection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
