//! Accepting connections: from this machine over a Unix socket, from others with a certificate.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::{ACCEPT_PAUSE, Accepting, AfterAccept};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Status, transport::server::Connected};

use crate::{
    identity::{HANDSHAKE, Identity, Peer, Role, peer},
    peer::{Stream as ByteStream, bind_private, is_own_user},
};

/// Where a control plane takes sessions.
pub struct SessionListener {
    socket: UnixListener,
    tcp: Option<(TcpListener, Arc<Identity>)>,
}

impl SessionListener {
    /// Listens on a Unix socket, in place of what an earlier process left there, and on an address if there is one.
    pub async fn bind(socket: PathBuf, tcp: Option<(SocketAddr, Arc<Identity>)>) -> io::Result<Self> {
        let tcp = match tcp {
            Some((address, identity)) => Some((TcpListener::bind(address).await?, identity)),
            None => None,
        };
        Ok(Self { socket: bind_private(&socket)?, tcp })
    }

    /// The address that was bound, if one was asked for.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Accepts until nobody takes what is accepted.
    pub(super) async fn accept(self, accepted: mpsc::Sender<io::Result<Connection>>) {
        let mut accepting = Accepting::default();
        loop {
            let accepted_or_not = tokio::select! {
                () = accepted.closed() => return,
                connected = self.socket.accept() => match connected {
                    Ok((stream, _)) if is_own_user(&stream) => {
                        let _ = accepted.send(Ok(Connection { stream: Box::new(stream), who: Who::Local })).await;
                        Ok(())
                    }
                    other => other.map(drop),
                },
                connected = next(self.tcp.as_ref()) => connected.map(|(stream, identity)| {
                    tokio::spawn(shake_hands(stream, identity, accepted.clone()));
                }),
            };
            match accepted_or_not {
                Ok(()) => accepting.accepted(),
                Err(error) => pause(accepting.failed(&error), &error).await,
            }
        }
    }
}

async fn next(tcp: Option<&(TcpListener, Arc<Identity>)>) -> io::Result<(TcpStream, Arc<Identity>)> {
    match tcp {
        Some((listener, identity)) => Ok((listener.accept().await?.0, identity.clone())),
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

async fn shake_hands(stream: TcpStream, identity: Arc<Identity>, accepted: mpsc::Sender<io::Result<Connection>>) {
    let _ = stream.set_nodelay(true);
    let shaken = timeout(HANDSHAKE, TlsAcceptor::from(identity.server_config()).accept(stream)).await;
    match shaken {
        Ok(Ok(stream)) => {
            let who = peer(stream.get_ref().1).map_or(Who::Stranger, Who::Peer);
            let _ = accepted.send(Ok(Connection { stream: Box::new(stream), who })).await;
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
    Peer(Peer),
    /// Who showed none.
    Stranger,
}

impl Who {
    /// Whether it may speak as this role; answers the name that it is bound to.
    pub(super) fn must_be(&self, role: Role) -> Result<Option<String>, Status> {
        match self {
            Self::Local => Ok(None),
            Self::Peer(peer) if peer.role == role => Ok(Some(peer.name.clone())),
            Self::Peer(peer) => {
                let (is, role) = (peer.role.as_str(), role.as_str());
                Err(Status::permission_denied(format!(
                    "{} `{}` is no {role}: join with a token of its own",
                    is, peer.name
                )))
            }
            Self::Stranger => Err(Status::unauthenticated("no certificate was shown: join with a token")),
        }
    }
}

/// An accepted connection.
pub(super) struct Connection {
    stream: Box<dyn ByteStream>,
    who: Who,
}

impl Connected for Connection {
    type ConnectInfo = Who;

    fn connect_info(&self) -> Who {
        self.who.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
