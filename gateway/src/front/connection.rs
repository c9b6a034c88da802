use std::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::{Duration, Instant},
};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{rt::TokioTimer, server::graceful::GracefulConnection};
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    answer::{Door, MOST_LEFT_BYTES, Opens, answer},
    executor::StreamExecutor,
    io::WatchedIo,
    linger::{Bounds, linger},
    protocol::{Protocol, spoken},
    received::ReadingOn,
    watch::{ConnectionWatch, Overdue},
};
use crate::{
    OverloadAction,
    refusal::{RETRY_AFTER_SECONDS, Reason, Refusal},
    rewrite::Peer,
    shared::Shared,
    spread::Seat,
};

/// Connections of one thread that are told at the same time that they are too many. Beyond, they are closed at once.
const TURNED_AWAY_AT_ONCE: usize = 256;
/// How long one that was turned away is read on, so that its client can read why.
const TURNED_AWAY_LINGER: Duration = Duration::from_secs(1);

/// What the connections of one listener on one thread share.
#[derive(Clone)]
pub(crate) struct Hall {
    pub(crate) shared: Arc<Shared>,
    /// The tasks of connections and their streams.
    pub(crate) tasks: TaskTracker,
    /// The tasks of connections that are turned away.
    pub(crate) turned_away: TaskTracker,
    /// Once cancelled, connections end with the requests that they have.
    pub(crate) draining: CancellationToken,
}

/// What becomes of a new connection.
pub(crate) enum Admitted {
    Seated(Seat, TcpStream),
    TurnedAway,
    /// Turned away, and others would be, too: none is to be accepted for a moment.
    NoDescriptors,
}

/// Turns a new connection away if its listener, or its source, has as many as it may, or if few descriptors are left; else its
/// seat is good.
pub(crate) fn admit(hall: &Hall, seat: Seat, stream: TcpStream, peer: SocketAddr) -> Admitted {
    let config = &hall.shared.config;
    // The system gives the lowest number that is free: at least so many are open. Nothing else need be asked.
    if usize::try_from(stream.as_raw_fd()).is_ok_and(|number| number >= config.descriptors) {
        let message = "the process has as many descriptors as connections may take: raise `ulimit -n`";
        // Not read on, which would keep its descriptor.
        tell(hall, &stream, &Refusal::new(Reason::TooFewDescriptors, message));
        return Admitted::NoDescriptors;
    }
    let limit = config.max_connections;
    if seat.before() >= limit {
        let message = format!("the listener has {limit} connections, as many as it may");
        turn_away(hall, stream, &Refusal::new(Reason::TooManyConnections, message));
        return Admitted::TurnedAway;
    }
    let address = peer.ip().to_canonical();
    let Some(limit) = config.connections_of(address) else { return Admitted::Seated(seat, stream) };
    match hall.shared.sources.take(address, limit) {
        Some(source) => Admitted::Seated(seat.of(Some(source)), stream),
        None => {
            let message = format!("{address} has {limit} connections, as many as one address may");
            turn_away(hall, stream, &Refusal::new(Reason::TooManyFromSource, message));
            Admitted::TurnedAway
        }
    }
}

/// Serves a connection on this thread, in a task of its own.
pub(crate) fn serve(hall: &Hall, opens: &Opens, seat: Seat, stream: TcpStream, peer: SocketAddr) {
    let counted = Counted::new(seat, hall.shared.clone());
    let (hall, door) = (hall.clone(), opens.door(|| stream.local_addr()));
    let tasks = hall.tasks.clone();
    tasks.spawn_local(async move {
        let _counted = counted;
        // Answers are small and awaited: they must not wait for more to be sent along.
        let _ = stream.set_nodelay(true);
        converse(hall, door, stream, peer).await;
    });
}

/// Answers without looking at what the client wants, and closes in stages. The seat is free meanwhile.
fn turn_away(hall: &Hall, stream: TcpStream, refusal: &Refusal) {
    tell(hall, &stream, refusal);
    if hall.turned_away.len() >= TURNED_AWAY_AT_ONCE {
        return;
    }
    let bytes = hall.shared.config.linger_bytes;
    let bounds = Bounds { bytes, idle: TURNED_AWAY_LINGER, total: TURNED_AWAY_LINGER };
    let draining = hall.draining.clone();
    hall.turned_away.spawn_local(async move { linger(stream, bounds, &draining).await });
}

fn tell(hall: &Hall, stream: &TcpStream, refusal: &Refusal) {
    hall.shared.refusals.count(refusal.reason);
    let (status, body) = (refusal.reason.status(), refusal.text(None));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after: {RETRY_AFTER_SECONDS}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    // Best effort: it fits into the buffer of a new socket, or the client has left. Past the runtime, which would not write before it
    // has been told that the socket can be written.
    let _ = SockRef::from(stream).send(format!("{head}{body}").as_bytes());
}

/// A connection, counted at its listener and in all.
struct Counted {
    _seat: Seat,
    shared: Arc<Shared>,
}

impl Counted {
    fn new(seat: Seat, shared: Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Relaxed);
        Self { _seat: seat, shared }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Relaxed);
    }
}

async fn converse(hall: Hall, door: Door, stream: TcpStream, peer: SocketAddr) {
    let config = &hall.shared.config;
    let protocol = tokio::select! {
        spoken = timeout(config.header_read_timeout, spoken(&stream)) => spoken,
        () = hall.draining.cancelled() => return,
    };
    let Ok(Ok(protocol)) = protocol else { return };
    let address = peer.ip().to_canonical();
    let trusted = config.trusts(address);
    if protocol == Protocol::Http2 && !trusted && !has_its_turn(&hall, address).await {
        return;
    }
    let peer = Peer::new(address, trusted);
    let watch = Rc::new(ConnectionWatch::new(peer, protocol));
    let io = WatchedIo::new(stream, hall.shared.clone(), protocol, watch.clone());
    let bounds = Bounds { bytes: config.linger_bytes, idle: config.linger_idle, total: config.linger_total };
    let of_bodies = match protocol {
        // What is more is left to the end of the connection.
        Protocol::Http1 => Bounds { bytes: MOST_LEFT_BYTES, ..bounds },
        Protocol::Http2 => bounds,
    };
    let reading_on = ReadingOn { bounds: of_bodies, draining: hall.draining.clone(), runtime: Handle::current() };
    let reading_on = Arc::new(reading_on);
    let service =
        service_fn(|request| answer(hall.shared.clone(), door.clone(), watch.clone(), reading_on.clone(), request));
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            // The watch keeps these times itself: hyper's would also close connections that merely idle.
            builder.timer(TokioTimer::new()).header_read_timeout(None);
            builder.max_header_size(config.max_header_bytes as usize);
            // A client may end its input and wait for its answers: `io` finds out whether it has left.
            builder.half_close(true);
            let mut connection = builder.serve_connection(io, service);
            let ended = drive(Pin::new(&mut connection), &hall, &watch).await;
            if ended == Ended::Broken && watch.ends_answer() {
                // A regular end would tell the client that it has all. What cannot be reset is closed.
                let _ = connection.into_parts().io.into_stream().set_zero_linger();
            } else if ended == Ended::Broken || (ended == Ended::Whole && watch.has_unread()) {
                linger(connection.into_parts().io.into_stream(), bounds, &hall.draining).await;
            }
        }
        Protocol::Http2 => {
            watch.no_head_awaited();
            let mut builder = http2::Builder::new(StreamExecutor {
                watch: watch.clone(),
                tasks: hall.tasks.clone(),
                write_stall_timeout: config.write_stall_timeout,
            });
            builder.timer(TokioTimer::new()).max_concurrent_streams(config.max_concurrent_streams);
            builder.max_header_list_size(config.max_header_bytes);
            let connection = pin!(builder.serve_connection(io, service));
            let ended = drive(connection, &hall, &watch).await;
            if ended == Ended::Offended && !trusted && hall.shared.offenders.broke(address, Instant::now()) {
                tracing::warn!(
                    %address,
                    "connections over HTTP/2 from there break its rules again and again: further ones are begun slowly"
                );
            }
        }
    }
}

/// Waits for the turn of a new connection over HTTP/2 from where others broke its rules. False if that would take too long, or the
/// gateway ends meanwhile.
async fn has_its_turn(hall: &Hall, address: IpAddr) -> bool {
    let wait = hall.shared.offenders.wait(address, Instant::now());
    if wait.is_zero() {
        return true;
    }
    if wait > hall.shared.config.header_read_timeout {
        return false;
    }
    tokio::select! {
        () = sleep(wait) => true,
        () = hall.draining.cancelled() => false,
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// After its last answer.
    Whole,
    /// With an error: the client's, of which it may have been told, or an answer's.
    Broken,
    /// With HTTP/2: its client broke the rules, and was told so, or opened streams only to reset them.
    Offended,
    /// A time limit was passed.
    CutOff,
}

/// The connection's end, or `None` once its client has reset too many streams.
async fn polled<C>(mut connection: Pin<&mut C>, watch: &ConnectionWatch) -> Option<Result<(), hyper::Error>>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    poll_fn(|cx| {
        watch.polled();
        match connection.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if watch.resets_too_many() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Whether the connection was ended here for what its client sent over HTTP/2.
fn is_offence(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| error.is_go_away() && error.is_library())
}

/// Runs a connection to its end, within its time limits.
async fn drive<C>(mut connection: Pin<&mut C>, hall: &Hall, watch: &ConnectionWatch) -> Ended
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let config = &hall.shared.config;
    let mut draining = pin!(hall.draining.cancelled());
    let mut look = interval(config.watch_interval());
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = false;
    loop {
        tokio::select! {
            biased;
            // Before the connection: an answer that is ready at the same time then says that it is the last.
            () = draining.as_mut(), if !ending => {
                connection.as_mut().graceful_shutdown();
                ending = true;
            }
            ended = polled(connection.as_mut(), watch) => match ended {
                Some(Ok(())) => return Ended::Whole,
                Some(Err(error)) => {
                    tracing::debug!(%error, "connection ended");
                    return if is_offence(&error) { Ended::Offended } else { Ended::Broken };
                }
                None => {
                    tracing::debug!("connection ended: its client opened streams only to reset them");
                    // Told so, as far as it takes that at once.
                    connection.as_mut().graceful_shutdown();
                    let _ = poll_fn(|cx| Poll::Ready(connection.as_mut().poll(cx).is_ready())).await;
                    return Ended::Offended;
                }
            },
            _ = look.tick() => match watch.overdue(config) {
                None if !ending && hall.shared.overload.is_taken(OverloadAction::DisableKeepAlive) => {
                    connection.as_mut().graceful_shutdown();
                    ending = true;
                }
                None => {}
                Some(Overdue::Idle) if !ending => {
                    connection.as_mut().graceful_shutdown();
                    ending = true;
                }
                // Asked to end in order and still idle: the client does not answer.
                Some(Overdue::Idle | Overdue::Slow) => return Ended::CutOff,
            }
        }
    }
}
