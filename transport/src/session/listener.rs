//! Accepting connections: from this machine over a Unix socket, from others with a certificate.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::{fd::OwnedFd, unix::net::UnixStream as BlockingStream},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::{ACCEPT_PAUSE, Accepting, AfterAccept};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Status, transport::server::Connected};

use super::metered::{Came, Room, Rooms};
use crate::{
    identity::{Certificate, HANDSHAKE, Identity, Trust, distrusted, ends, peer, revoked},
    peer::{Stream as ByteStream, bind_private, is_own_user},
    strangers::{Place, StrangerLimits, Strangers},
};

/// Connections that one process that was started here has at a time; it needs some five.
const OF_A_PROCESS: usize = 64;

/// Where a control plane takes sessions.
pub struct SessionListener {
    socket: Option<UnixListener>,
    tcp: Option<(TcpListener, Arc<Identity>)>,
    opened: Option<mpsc::Receiver<Connection>>,
    strangers: Arc<Strangers>,
    rooms: Arc<Rooms>,
}

/// The way in for one process that was started here. Who comes by it is that process, whatever it calls itself.
pub struct SessionEntry {
    name: String,
    opened: mpsc::Sender<Connection>,
    seats: Arc<Semaphore>,
    room: Arc<Room>,
}

impl SessionEntry {
    /// The process' end of a new connection. To be called within a runtime.
    pub async fn open(&self) -> io::Result<OwnedFd> {
        let too_many = |_| io::Error::other(format!("`{}` has {OF_A_PROCESS} connections", self.name));
        let seat = self.seats.clone().try_acquire_owned().map_err(too_many)?;
        // This end is nobody else's: who has the other cannot make it block.
        let (ours, theirs) = BlockingStream::pair()?;
        ours.set_nonblocking(true)?;
        let (stream, who) = (Box::new(UnixStream::from_std(ours)?), Who::Started(self.name.clone()));
        let room = Some(self.room.clone());
        let connection = Connection { room, _seat: Some(seat), ..Connection::new(stream, who, None) };
        self.opened.send(connection).await.map_err(|_| io::Error::other("no sessions are taken any more"))?;
        Ok(theirs.into())
    }
}

/// Where connections go that were accepted.
pub(super) struct Accepted {
    /// Those of who is known.
    pub(super) known: mpsc::Sender<io::Result<Connection>>,
    /// Those of who has shown no certificate.
    pub(super) strangers: mpsc::Sender<io::Result<Connection>>,
}

impl SessionListener {
    /// For one worker process that was started here and is bound to this name: it comes in by the entry alone.
    pub fn of_process(name: &str) -> (Self, SessionEntry) {
        let (entered, opened) = mpsc::channel(OF_A_PROCESS);
        let seats = Arc::new(Semaphore::new(OF_A_PROCESS));
        let entry = SessionEntry { name: name.to_owned(), opened: entered, seats, room: Room::new() };
        let strangers = Strangers::new(StrangerLimits::default());
        (Self { socket: None, tcp: None, opened: Some(opened), strangers, rooms: Arc::default() }, entry)
    }

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
        let (socket, strangers, rooms) = (Some(bind_private(&socket)?), Strangers::new(strangers), Arc::default());
        Ok(Self { socket, tcp, opened: None, strangers, rooms })
    }

    /// The address that was bound, if one was asked for.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    pub(super) fn limits(&self) -> StrangerLimits {
        self.strangers.limits
    }

    /// Accepts until nobody takes what is accepted.
    pub(super) async fn accept(mut self, accepted: Accepted) {
        let accepted = Arc::new(accepted);
        let mut accepting = Accepting::default();
        loop {
            let accepted_or_not = tokio::select! {
                () = accepted.known.closed() => return,
                connected = local(self.socket.as_ref()) => match connected {
                    Ok(stream) if is_own_user(&stream) => {
                        let who = Who::Local(stream.peer_cred().ok().and_then(|peer| peer.pid()));
                        let connection = Connection::new(Box::new(stream), who, None);
                        let _ = accepted.known.send(Ok(connection)).await;
                        Ok(())
                    }
                    other => other.map(drop),
                },
                connection = opened(self.opened.as_mut()) => {
                    let _ = accepted.known.send(Ok(connection)).await;
                    Ok(())
                }
                connected = next(self.tcp.as_ref()) => connected.map(|(stream, from, identity)| {
                    match self.strangers.enter(from) {
                        Some(place) => {
                            let to = (accepted.clone(), self.rooms.clone());
                            drop(tokio::spawn(shake_hands(stream, from, place, identity, to)));
                        }
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

async fn local(socket: Option<&UnixListener>) -> io::Result<UnixStream> {
    match socket {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn opened(entry: Option<&mut mpsc::Receiver<Connection>>) -> Connection {
    if let Some(opened) = entry
        && let Some(connection) = opened.recv().await
    {
        return connection;
    }
    std::future::pending().await
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

async fn shake_hands(
    stream: TcpStream,
    from: IpAddr,
    place: Place,
    identity: Arc<Identity>,
    (accepted, rooms): (Arc<Accepted>, Arc<Rooms>),
) {
    let _ = stream.set_nodelay(true);
    place.turn().await;
    let then = identity.trust().borrow().clone();
    let shaken = timeout(HANDSHAKE, TlsAcceptor::from(identity.server_config()).accept(stream)).await;
    match shaken {
        Ok(Ok(stream)) => {
            let shown = peer(stream.get_ref().1);
            let stream = Box::new(stream);
            let _ = match shown {
                Some(certificate) => {
                    place.shown_a_certificate();
                    let room = rooms.of(&certificate.peer);
                    let Some(seat) = room.enter() else {
                        return tracing::debug!(%from, "a peer has too many connections");
                    };
                    let known = then.knows_authority_of(&certificate);
                    let ends = ends(&certificate);
                    let who = Who::Peer(Shown { certificate, from, ends, trust: identity.trust(), known });
                    let connection = Connection::new(stream, who, None);
                    accepted.known.send(Ok(Connection { room: Some(room), _seat: Some(seat), ..connection })).await
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
    /// A process that was started here, by the name that it was given then.
    Started(String),
    /// A process of this user on this machine that came by itself, by its number, if that is known.
    Local(Option<i32>),
    /// Who showed a certificate.
    Peer(Shown),
    /// Who showed none, and where it is.
    Stranger(IpAddr),
}

/// A certificate that a connection showed, and what it is held against as long as the connection lasts.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) certificate: Certificate,
    /// Where it was shown from.
    pub(super) from: IpAddr,
    /// When its time is over, by the clock of when it was shown: setting the clock since loses nobody.
    ends: Instant,
    pub(super) trust: watch::Receiver<Arc<Trust>>,
    /// Whether its authority was known when it was taken.
    known: bool,
}

impl Shown {
    /// The certificate, if it still holds: this is asked at each call.
    pub(super) fn holds(&self) -> Result<&Certificate, Status> {
        if self.trust.borrow().revoked.has(&self.certificate) {
            return Err(Status::permission_denied("the certificate was revoked: join again with a token"));
        }
        if self.ends <= Instant::now() {
            return Err(Status::permission_denied("the certificate has ended: show one that holds"));
        }
        Ok(&self.certificate)
    }
}

impl Who {
    /// What certificates are held against, for who showed one.
    pub(super) fn trust(&self) -> Option<watch::Receiver<Arc<Trust>>> {
        match self {
            Self::Peer(shown) => Some(shown.trust.clone()),
            Self::Started(_) | Self::Local(_) | Self::Stranger(_) => None,
        }
    }

    /// Resolves once the certificate that it showed is taken no more, or its time is over. Who has another may connect again, and
    /// go on.
    fn distrusted(&self) -> BoxFuture<'static, ()> {
        match self {
            Self::Peer(shown) => {
                let (ends, distrusted) =
                    (shown.ends, distrusted(shown.trust.clone(), shown.known, shown.certificate.clone()));
                Box::pin(async move {
                    tokio::select! {
                        () = distrusted => {}
                        () = sleep_until(ends) => {}
                    }
                })
            }
            Self::Started(_) | Self::Local(_) | Self::Stranger(_) => Box::pin(std::future::pending()),
        }
    }

    /// Resolves once the certificate that it showed is revoked.
    pub(super) fn revoked(&self) -> BoxFuture<'static, ()> {
        match self {
            Self::Peer(shown) => Box::pin(revoked(shown.trust.clone(), shown.certificate.clone())),
            Self::Started(_) | Self::Local(_) | Self::Stranger(_) => Box::pin(std::future::pending()),
        }
    }
}

/// An accepted connection. It ends when the certificate that it showed holds no more; if it showed none, after a while.
pub(super) struct Connection {
    stream: Box<dyn ByteStream>,
    who: Who,
    ends: BoxFuture<'static, ()>,
    room: Option<Arc<Room>>,
    _place: Option<Place>,
    _seat: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(stream: Box<dyn ByteStream>, who: Who, place: Option<Place>) -> Self {
        let ends: BoxFuture<'static, ()> = match &place {
            Some(place) => Box::pin(sleep(place.limits().time)),
            None => who.distrusted(),
        };
        Self { stream, who, ends, room: None, _place: place, _seat: None }
    }
}

impl Connected for Connection {
    type ConnectInfo = Came;

    fn connect_info(&self) -> Came {
        Came { who: self.who.clone(), room: self.room.clone() }
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
