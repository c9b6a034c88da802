//! A worker's side: requests from gateways of other processes, each handed to the replica that its headers name.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
};

use api::{
    ACCEPT_PAUSE, Accepting, AfterAccept, Body, Dialer, ReplicaId, Serve, ServeError, Shares, StartThread, WorkerName,
    frame_answer, reads_trailers, session::Endpoint,
};
use http::{HeaderValue, Request, Response, StatusCode, Version, header::TRAILER};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustix::net::RecvFlags;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    runtime,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    carried::{self, Packed},
    gone::{Peer, Watched},
    headers::{DEADLINE, FAILURE, PING, REPLICA, failure, parse_deadline, parse_replica},
    read_on::{READ_ON, READ_ON_BYTES, ReadOn},
};
use crate::{
    identity::{Identity, Role},
    peer::{bind_private, connect_to, is_own_user},
    strangers::{Place, StrangerLimits, Strangers},
};

/// Connections that wait for a thread to take them.
const HANDED: usize = 128;
/// How long a connection may be silent before its first request, until it goes to a serving thread all the same.
const FIRST_BYTES_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
/// How a heartbeat begins, as hyper writes it. Not what a client can make a gateway write: its `x-sampan-` headers are gone,
/// and neither its path nor its body comes before the first header.
const HEARTBEAT: &[u8] = b"GET / HTTP/1.1\r\nx-sampan-ping:";
/// Gateways connect anew in bursts, each request that finds no connection for itself.
const STRANGERS: StrangerLimits = StrangerLimits {
    connections: 1024,
    by_source: 64,
    by_known_source: Some(512),
    time: std::time::Duration::from_secs(10),
    message_bytes: 0,
};
/// Connections of one peer, each of which may have a request: more than there are instances that could work on them. Others come in
/// beside who opens ever more and sends nothing.
pub(super) const CONNECTIONS_OF_PEER: usize = 4096;
/// Handles of replicas that a thread keeps, so that most requests look nothing up.
const KNOWN: usize = 1024;

/// Where a worker takes requests from gateways.
pub struct RequestListener {
    socket: Option<UnixListener>,
    tcp: Option<(TcpListener, Arc<Identity>)>,
    strangers: Arc<Strangers>,
    connections_of_peer: usize,
}

/// What connections over TLS are held against.
struct Door {
    identity: Arc<Identity>,
    connections: Shares<crate::identity::Peer>,
}

/// A connection on its way to the thread that serves it.
enum Accepted {
    Socket(OwnedFd),
    /// With the place that it takes until it has shown a certificate.
    Tls(OwnedFd, Place),
}

impl RequestListener {
    /// Listens on a Unix socket, in place of what an earlier process left there, and on an address for gateways that show a
    /// certificate of this installation.
    pub async fn bind(socket: Option<PathBuf>, tcp: Option<(SocketAddr, Arc<Identity>)>) -> io::Result<Self> {
        let socket = match socket {
            Some(path) => Some(bind_private(&path)?),
            None => None,
        };
        let tcp = match tcp {
            Some((address, identity)) => Some((TcpListener::bind(address).await?, identity)),
            None => None,
        };
        Ok(Self { socket, tcp, strangers: Strangers::new(STRANGERS), connections_of_peer: CONNECTIONS_OF_PEER })
    }

    /// At a Unix socket that another process has bound with [`bind_for_another`]. To be called within a runtime.
    pub fn given(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        let strangers = Strangers::new(STRANGERS);
        let socket = Some(UnixListener::from_std(socket)?);
        Ok(Self { socket, tcp: None, strangers, connections_of_peer: CONNECTIONS_OF_PEER })
    }

    /// With so many connections of one peer at a time; further ones are closed.
    pub fn with_connections_of_peer(self, most: usize) -> Self {
        Self { connections_of_peer: most, ..self }
    }

    /// The address that was bound, if one was asked for.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    async fn accept(&self) -> io::Result<Accepted> {
        let from_socket = async {
            match &self.socket {
                Some(listener) => loop {
                    let (stream, _) = listener.accept().await?;
                    if is_own_user(&stream) {
                        return Ok(Accepted::Socket(stream.into_std()?.into()));
                    }
                },
                None => std::future::pending().await,
            }
        };
        let from_tcp = async {
            match &self.tcp {
                Some((listener, _)) => loop {
                    let (stream, from) = listener.accept().await?;
                    // One for whom there is no place is closed.
                    if let Some(place) = self.strangers.enter(from.ip()) {
                        return Ok(Accepted::Tls(stream.into_std()?.into(), place));
                    }
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = from_socket => accepted,
            accepted = from_tcp => accepted,
        }
    }
}

/// Listens at a Unix socket for a process that may not do so itself, in place of what an earlier one left there. To be called
/// within a runtime.
pub fn bind_for_another(socket: &Path) -> io::Result<OwnedFd> {
    Ok(bind_private(socket)?.into_std()?.into())
}

/// Connects to where another worker of this machine takes requests, for a process that may not do so itself.
pub async fn connect_for_another(socket: &Path) -> io::Result<OwnedFd> {
    Ok(connect_to(socket).await?.into_std()?.into())
}

/// The threads that take requests.
#[derive(Debug, Clone, Copy)]
pub struct ServingThreads {
    /// How many; at least one is started.
    pub count: usize,
    /// How each of them is started.
    pub start: StartThread,
}

/// Takes requests until `shutdown`, on these threads. A request stays on the thread that has its connection.
pub async fn serve_requests(
    listener: RequestListener,
    dialer: Arc<dyn Dialer>,
    threads: ServingThreads,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let door = listener.tcp.as_ref().map(|(_, identity)| {
        Arc::new(Door { identity: identity.clone(), connections: Shares::new(listener.connections_of_peer) })
    });
    let lane = |name: String| lane(name, threads.start, dialer.clone(), door.clone(), shutdown.clone());
    let lanes: Vec<_> =
        (0..threads.count.max(1)).map(|number| lane(format!("requests-{number}"))).collect::<io::Result<_>>()?;
    let heartbeats = lane("heartbeats".to_owned())?;
    let mut accepting = Accepting::default();
    for lane in lanes.iter().cycle() {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                accepting.accepted();
                match accepted {
                    Accepted::Socket(fd) => {
                        let sorted = sort(fd, lane.clone(), heartbeats.clone());
                        tokio::spawn(shutdown.clone().run_until_cancelled_owned(sorted));
                    }
                    tls @ Accepted::Tls(..) => {
                        if lane.send(tls).await.is_err() {
                            break;
                        }
                    }
                }
            }
            Err(error) => match accepting.failed(&error) {
                AfterAccept::GoOn => tracing::debug!(%error, "a connection failed before it was accepted"),
                AfterAccept::Pause { first } => {
                    if first {
                        tracing::warn!(%error, "connections of gateways cannot be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    Ok(())
}

/// Hands heartbeats to a thread of their own, and other connections to one that serves: guests of which many start at once can keep
/// that busy for longer than a gateway waits for a heartbeat, though nothing is wrong; and so can all that serve a thread of lower
/// priority, as this is. Gateways send heartbeats on a connection of their own. Those over TLS end at a process that runs no guests.
async fn sort(fd: OwnedFd, lane: mpsc::Sender<Accepted>, heartbeats: mpsc::Sender<Accepted>) {
    let Ok(stream) = UnixStream::from_std(fd.into()) else { return };
    let lane = if is_for_heartbeats(&stream).await { heartbeats } else { lane };
    if let Ok(stream) = stream.into_std() {
        // A lane ends with its worker.
        let _ = lane.send(Accepted::Socket(stream.into())).await;
    }
}

/// Looks at the first bytes without taking them.
async fn is_for_heartbeats(stream: &UnixStream) -> bool {
    let peeked = async {
        let mut bytes = [0; HEARTBEAT.len()];
        stream.readable().await.ok()?;
        let (count, _) = rustix::net::recv(stream, &mut bytes, RecvFlags::PEEK).ok()?;
        Some(bytes[..count] == *HEARTBEAT)
    };
    tokio::time::timeout(FIRST_BYTES_WITHIN, peeked).await.ok().flatten().unwrap_or(false)
}

/// A thread that takes connections.
fn lane(
    name: String,
    start: StartThread,
    dialer: Arc<dyn Dialer>,
    door: Option<Arc<Door>>,
    shutdown: CancellationToken,
) -> io::Result<mpsc::Sender<Accepted>> {
    let (handed, mut connections) = mpsc::channel(HANDED);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let take = move || {
        let desk = Arc::new(Desk { dialer, known: Mutex::default() });
        runtime.block_on(async {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    Some(accepted) = connections.recv() => {
                        tokio::spawn(serve(desk.clone(), accepted, door.clone()));
                    }
                }
            }
        });
    };
    start(name, Box::new(take))?;
    Ok(handed)
}

async fn serve(desk: Arc<Desk>, accepted: Accepted, door: Option<Arc<Door>>) {
    let served = match accepted {
        Accepted::Socket(fd) => match UnixStream::from_std(fd.into()) {
            Ok(stream) => connection(desk, stream, std::future::pending()).await,
            Err(error) => Err(error),
        },
        Accepted::Tls(fd, place) => serve_tls(desk, fd, place, door).await,
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection from a gateway ended");
    }
}

async fn serve_tls(desk: Arc<Desk>, fd: OwnedFd, place: Place, door: Option<Arc<Door>>) -> io::Result<()> {
    let Some(door) = door else { return Ok(()) };
    let identity = &door.identity;
    let stream = TcpStream::from_std(fd.into())?;
    // Answers are small and awaited. One that cannot be hurried is served all the same.
    let _ = stream.set_nodelay(true);
    place.turn().await;
    let then = identity.trust().borrow().clone();
    let accept = TlsAcceptor::from(identity.server_config()).accept(stream);
    let stream = tokio::time::timeout(crate::identity::HANDSHAKE, accept).await??;
    let shown = crate::identity::peer(stream.get_ref().1);
    let Some(shown) =
        shown.filter(|shown| matches!(shown.peer.role, Role::Gateway | Role::Worker | Role::ControlPlane))
    else {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "neither a gateway nor a worker"));
    };
    place.shown_a_certificate();
    let too_many = |_| io::Error::new(io::ErrorKind::QuotaExceeded, format!("{:?} has too many", shown.peer));
    let _connection = door.connections.of(shown.peer.clone()).try_acquire_owned().map_err(too_many)?;
    // Who has another certificate has asked for it before, so that what it asks now is answered.
    let (known, trust) = (then.knows_authority_of(&shown), identity.trust());
    let ended = crate::identity::authority_ended(trust, known, shown.clone());
    let over = tokio::time::sleep_until(crate::identity::ends(&shown));
    let ends = async {
        tokio::select! {
            () = ended => {}
            () = over => {}
        }
    };
    tokio::select! {
        biased;
        () = crate::identity::revoked(identity.trust(), shown) => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "its certificate holds no more"))
        }
        served = connection(desk, stream, ends) => served,
    }
}

/// Serves a connection. Once it `ends`, what was asked is answered, and nothing more is taken.
async fn connection<S>(desk: Arc<Desk>, stream: S, ends: impl Future<Output = ()>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Peer + Unpin + Send + 'static,
{
    let unread = Arc::<AtomicBool>::default();
    let stream = Watched::new(stream, unread.clone());
    let service = service_fn(move |request| {
        let (desk, unread) = (desk.clone(), unread.clone());
        async move { Ok::<_, Infallible>(desk.answer(request, unread).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).auto_date_header(false).half_close(false);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    let mut ends = pin!(ends);
    let served = tokio::select! {
        biased;
        served = &mut connection => served,
        () = &mut ends => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    served.map_err(io::Error::other)?;
    linger(connection.into_parts().io.into_inner().into_inner()).await
}

/// Reads on until the gateway closes too. An answer that came before its request was read to the end could be lost
/// otherwise (RFC 9112, 9.6).
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    // hyper has done so, unless the gateway has left.
    stream.shutdown().await?;
    let (mut rest, mut nowhere) = (stream.take(READ_ON_BYTES), tokio::io::sink());
    let drained = tokio::io::copy(&mut rest, &mut nowhere);
    tokio::time::timeout(READ_ON, drained).await.unwrap_or(Ok(0)).map(drop)
}

/// What answers the requests of one thread.
struct Desk {
    dialer: Arc<dyn Dialer>,
    known: Mutex<HashMap<HeaderValue, Arc<dyn Serve>>>,
}

impl Desk {
    async fn answer(&self, mut request: Request<Incoming>, unread: Arc<AtomicBool>) -> Response<Body> {
        if request.headers().contains_key(PING) {
            let mut response = Response::new(api::empty_body());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
        if let Some(deadline) = parse_deadline(request.headers()) {
            request.extensions_mut().insert(deadline);
        }
        request.headers_mut().remove(DEADLINE);
        carried::restore(request.headers_mut());
        carried::unfold(request.headers_mut());
        let trailers = reads_trailers(Version::HTTP_11, request.headers());
        let method = request.method().clone();
        let named = request.headers_mut().remove(REPLICA);
        let Some((named, id)) = named.and_then(|named| parse_replica(&named).map(|id| (named, id))) else {
            return failed(&ServeError::BadRequest { why: "the request names no replica".to_owned() });
        };
        let request = request.map(|body| match body.is_end_stream() {
            true => api::empty_body(),
            false => ReadOn::new(body, unread).boxed_unsync(),
        });
        match self.serve_of(&named, id).serve(request).await {
            Ok(mut response) => {
                // A guest cannot make its answer look like the worker's.
                response.headers_mut().remove(FAILURE);
                response.headers_mut().remove(carried::FIELDS);
                carried::fold(response.headers_mut());
                frame_answer(&mut response, &method);
                frame_for_hop(response, trailers)
            }
            Err(error) => {
                if matches!(error, ServeError::Refused { .. }) {
                    self.known.lock().remove(&named);
                }
                failed(&error)
            }
        }
    }

    fn serve_of(&self, named: &HeaderValue, id: ReplicaId) -> Arc<dyn Serve> {
        let mut known = self.known.lock();
        if let Some(serve) = known.get(named) {
            return serve.clone();
        }
        if known.len() >= KNOWN {
            known.clear();
        }
        // Of an endpoint, only the name matters to who looks replicas up.
        let endpoint = Endpoint {
            replica: id,
            worker: WorkerName("".into()),
            concurrency: 0,
            request_deadline: std::time::Duration::MAX,
            address: None,
            standby: false,
        };
        let serve = self.dialer.dial(&endpoint);
        known.insert(named.clone(), serve.clone());
        serve
    }
}

/// Lets trailers follow an answer that may have some, if they are read.
fn frame_for_hop(mut response: Response<Body>, trailers: bool) -> Response<Body> {
    let may_trail = response.body().size_hint().exact().is_none() || response.headers().contains_key(TRAILER);
    if !trailers {
        response.headers_mut().remove(TRAILER);
    } else if may_trail && !response.body().is_end_stream() {
        carried::chunk(response.headers_mut());
        return response.map(|body| Packed(body).boxed_unsync());
    }
    response
}

fn failed(error: &ServeError) -> Response<Body> {
    failure(error).map(api::full_body)
}
