//! Accepting connections: from this machine over a Unix socket, from others with a certificate.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::{ACCEPT_PAUSE, Accepting, AfterAccept};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Status, transport::server::Connected};

use crate::{
    identity::{Certificate, HANDSHAKE, Identity, Role, Trust, peer, revoked},
    peer::{Stream as ByteStream, bind_private, is_own_user},
    strangers::{Place, StrangerLimits, Strangers},
};

/// Where a control plane takes sessions.
pub struct SessionListener {
    socket: UnixListener,
    tcp: Option<(TcpListener, Arc<Identity>)>,
    strangers: Arc<Strangers>,
}

/// Where connections go that were accepted.
pub(super) struct Accepted {
    /// Those of who is known.
    pub(super) known: mpsc::Sender<io::Result<Connection>>,
    /// Those of who has shown no certificate.
    pub(super) strangers: mpsc::Sender<io::Result<Connection>>,
}

impl SessionListener {
    /// Listens on a Unix socket, in place of what an earlier process left there, and on an address if there is one.
    pub async fn bind(
        socket: PathBuf,
        tcp: Option<(SocketAddr, Arc<Identity>)>,
        strangers: StrangerLimits,
    ) -> io::Result<Self> {
        let tcp = match tcp {
            Some((address, identity)) => Some((TcpListener::bind(address).await?, identity)),
            None => None,
        };
        Ok(Self { socket: bind_private(&socket)?, tcp, strangers: Strangers::new(strangers) })
    }

    /// The address that was bound, if one was asked for.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    pub(super) fn limits(&self) -> StrangerLimits {
        self.strangers.limits
    }

    /// Accepts until nobody takes what is accepted.
    pub(super) async fn accept(self, accepted: Accepted) {
        let accepted = Arc::new(accepted);
        let mut accepting = Accepting::default();
        loop {
            let accepted_or_not = tokio::select! {
                () = accepted.known.closed() => return,
                connected = self.socket.accept() => match connected {
                    Ok((stream, _)) if is_own_user(&stream) => {
                        let _ = accepted.known.send(Ok(Connection::new(Box::new(stream), Who::Local, None))).await;
                        Ok(())
                    }
                    other => other.map(drop),
                },
                connected = next(self.tcp.as_ref()) => connected.map(|(stream, from, identity)| {
                    match self.strangers.enter(from) {
                        Some(place) => drop(tokio::spawn(shake_hands(stream, from, place, identity, accepted.clone()))),
                        // It is closed: who is let in comes again.
                        None => tracing::debug!(%from, "too many connections are without a certificate"),
                    }
                }),
            };
            match accepted_or_not {
                Ok(()) => accepting.accepted(),
                Err(error) => pause(accepting.failed(&error), &error).await,
            }
        }
    }
}

async fn next(tcp: Option<&(TcpListener, Arc<Identity>)>) -> io::Result<(TcpStream, IpAddr, Arc<Identity>)> {
    match tcp {
        Some((listener, identity)) => {
            let (stream, from) = listener.accept().await?;
            Ok((stream, from.ip(), identity.clone()))
        }
        None => std::future::pending().await,
    }
}

async fn pause(after: AfterAccept, error: &io::Error) {
    match after {
        AfterAccept::GoOn => tracing::debug!(%error, "a connection failed before it was accepted"),
        AfterAccept::Pause { first } => {
            if first {
                tracing::warn!(%error, "connections of workers and gateways cannot be accepted");
            }
            sleep(ACCEPT_PAUSE).await;
        }
    }
}

async fn shake_hands(stream: TcpStream, from: IpAddr, place: Place, identity: Arc<Identity>, accepted: Arc<Accepted>) {
    let _ = stream.set_nodelay(true);
    let shaken = timeout(HANDSHAKE, TlsAcceptor::from(identity.server_config()).accept(stream)).await;
    match shaken {
        Ok(Ok(stream)) => {
            let shown = peer(stream.get_ref().1);
            let stream = Box::new(stream);
            let _ = match shown {
                Some(certificate) => {
                    place.shown_a_certificate();
                    let who = Who::Peer(Shown { certificate, trust: identity.trust() });
                    accepted.known.send(Ok(Connection::new(stream, who, None))).await
                }
                None => accepted.strangers.send(Ok(Connection::new(stream, Who::Stranger(from), Some(place)))).await,
            };
        }
        Ok(Err(error)) => tracing::debug!(%error, "a connection showed no certificate that holds"),
        Err(_) => tracing::debug!("a connection did not finish its handshake in time"),
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// A process of this user on this machine.
    Local,
    /// Who showed a certificate.
    Peer(Shown),
    /// Who showed none, and where it is.
    Stranger(IpAddr),
}

/// A certificate that a connection showed, and what it is held against as long as the connection lasts.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) certificate: Certificate,
    pub(super) trust: watch::Receiver<Arc<Trust>>,
}

impl Shown {
    /// The certificate, if it still holds: this is asked at each call.
    pub(super) fn holds(&self) -> Result<&Certificate, Status> {
        if self.trust.borrow().revoked.has(&self.certificate) {
            return Err(Status::permission_denied("the certificate was revoked: join again with a token"));
        }
        Ok(&self.certificate)
    }
}

impl Who {
    /// Whether it may speak as this role; answers the name that it is bound to.
    pub(super) fn must_be(&self, role: Role) -> Result<Option<String>, Status> {
        match self {
            Self::Local => Ok(None),
            Self::Peer(shown) => {
                let peer = &shown.holds()?.peer;
                if peer.role == role {
                    return Ok(Some(peer.name.clone()));
                }
                let (is, role) = (peer.role.as_str(), role.as_str());
                Err(Status::permission_denied(format!(
                    "{is} `{}` is no {role}: join with a token of its own",
                    peer.name
                )))
            }
            Self::Stranger(_) => Err(Status::unauthenticated("no certificate was shown: join with a token")),
        }
    }

    /// What certificates are held against, for who showed one.
    pub(super) fn trust(&self) -> Option<watch::Receiver<Arc<Trust>>> {
        match self {
            Self::Peer(shown) => Some(shown.trust.clone()),
            Self::Local | Self::Stranger(_) => None,
        }
    }

    /// Resolves once the certificate that it showed is revoked.
    pub(super) fn revoked(&self) -> BoxFuture<'static, ()> {
        match self {
            Self::Peer(shown) => Box::pin(revoked(shown.trust.clone(), shown.certificate.clone())),
            Self::Local | Self::Stranger(_) => Box::pin(std::future::pending()),
        }
    }
}

/// An accepted connection. It ends when the certificate that it showed is revoked; if it showed none, after a while.
pub(super) struct Connection {
    stream: Box<dyn ByteStream>,
    who: Who,
    ends: BoxFuture<'static, ()>,
    _place: Option<Place>,
}

impl Connection {
    fn new(stream: Box<dyn ByteStream>, who: Who, place: Option<Place>) -> Self {
        let ends: BoxFuture<'static, ()> = match &place {
            Some(place) => Box::pin(sleep(place.limits().time)),
            None => who.revoked(),
        };
        Self { stream, who, ends, _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Who;

    fn connect_info(&self) -> Who {
        self.who.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ends.as_mut().poll(cx).is_ready() {
            self.ends = Box::pin(std::future::ready(()));
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
