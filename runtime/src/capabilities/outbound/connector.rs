use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

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

use super::{
    address::is_public,
    client::CONNECT_TIMEOUT,
    grants::{Reach, parse_address},
};

/// Makes connections for guests. A name is resolved once, its addresses are checked, and the connection goes to an
/// address that was checked: there is no second look-up that could answer otherwise.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Arc<rustls::ClientConfig>,
    reach: Reach,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no public address")]
    Prohibited,
    #[error("name not found: {0}")]
    Name(io::Error),
    #[error("invalid destination")]
    Destination,
    #[error("connection refused: {0}")]
    Connect(io::Error),
    #[error("tls: {0}")]
    Tls(io::Error),
    #[error("timeout")]
    Timeout,
}

impl ConnectError {
    /// In the words of `wasi:http`.
    pub(super) fn to_http(&self) -> HttpError {
        match self {
            Self::Prohibited => HttpError::DestinationIpProhibited,
            Self::Name(error) => HttpError::DnsError { rcode: Some(error.to_string()), info_code: None },
            Self::Destination => HttpError::HttpRequestUriInvalid,
            Self::Connect(_) => HttpError::ConnectionRefused,
            Self::Tls(_) => HttpError::TlsProtocolError,
            Self::Timeout => HttpError::ConnectionTimeout,
        }
    }
}

impl Connector {
    pub(super) fn new(tls: Arc<rustls::ClientConfig>, reach: Reach) -> Self {
        Self { tls, reach }
    }

    async fn connect(self, uri: Uri) -> Result<GuestConnection, ConnectError> {
        let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = uri.host().ok_or(ConnectError::Destination)?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = connect_any(self.addresses(host, port).await?).await?;
        let _ = tcp.set_nodelay(true);
        if !secure {
            return Ok(GuestConnection::Plain(TokioIo::new(tcp)));
        }
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|_| ConnectError::Destination)?;
        let tls = TlsConnector::from(self.tls).connect(name, tcp).await.map_err(ConnectError::Tls)?;
        Ok(GuestConnection::Tls(TokioIo::new(Box::new(tls))))
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let mut addresses: Vec<_> = match parse_address(host) {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => tokio::net::lookup_host((host, port)).await.map_err(ConnectError::Name)?.collect(),
        };
        if self.reach == Reach::Public {
            addresses.retain(|address| is_public(address.ip()));
        }
        if addresses.is_empty() { Err(ConnectError::Prohibited) } else { Ok(addresses) }
    }
}

async fn connect_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Destination;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = ConnectError::Connect(error),
        }
    }
    Err(last)
}

impl tower::Service<Uri> for Connector {
    type Response = GuestConnection;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<GuestConnection, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.clone().connect(uri));
        Box::pin(async move { connecting.await.unwrap_or(Err(ConnectError::Timeout)) })
    }
}

/// A connection to a host outside.
pub(super) enum GuestConnection {
    Plain(TokioIo<TcpStream>),
    Tls(TokioIo<Box<TlsStream<TcpStream>>>),
}

impl Connection for GuestConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for GuestConnection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl Write for GuestConnection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
