//! What a connection and its streams are doing, as far as their time limits need to know. One thread's own.

use std::{
    cell::{Cell, RefCell, RefMut},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::protocol::Protocol;
use crate::{GatewayConfig, body::BodyWatch, rewrite::Peer};

/// One connection.
pub(super) struct ConnectionWatch {
    peer: Peer,
    requests: Cell<u32>,
    idle_since: Cell<Instant>,
    /// Since when the head of a request is awaited in full: the connection's start, or the head's first byte.
    head_since: Cell<Option<Instant>>,
    /// Since when the client takes no byte.
    write_blocked_since: Cell<Option<Instant>>,
    /// Nothing was written since the newest request came.
    unanswered: Cell<bool>,
    /// The newest answer tells its end by itself, and not by that of the connection, as answers of HTTP/1.0 may.
    delimited: Cell<bool>,
    /// The body of the newest request, if it has one.
    body: RefCell<Unread>,
    /// The stream whose task HTTP/2 is about to start.
    newest: RefCell<Option<Rc<StreamWatch>>>,
    /// With HTTP/2: what its client's streams came to.
    streams: Option<Streams>,
    /// With HTTP/1.1: the last chunk of the answer, with its trailers, where it has some.
    trailers: RefCell<Option<Vec<u8>>>,
}

/// The streams of a connection over HTTP/2.
#[derive(Default)]
struct Streams {
    begun: Cell<u32>,
    /// Of these, what the client reset within [`SOON`], and before it was answered.
    reset: Cell<u32>,
    /// Since the connection was polled.
    reads: Cell<u32>,
}

impl Streams {
    fn are_mostly_reset(&self) -> bool {
        let (begun, reset) = (self.begun.get(), self.reset.get());
        reset >= MOST_RESET && u64::from(reset) * 4 > u64::from(begun) * 3
    }
}

/// Reads of one connection, each of some 16 KiB, until others of its thread have their turn. What has come is worked on as it is read,
/// and may be all heads.
const READS_IN_A_ROW: u32 = 4;
/// Streams that may be reset so soon on one connection; then, as many as are a quarter of those that are not, three times.
const MOST_RESET: u32 = 100;
/// A client that has changed its mind, or whose time is over, resets later.
const SOON: Duration = Duration::from_secs(1);

/// What is known of a request's body.
enum Unread {
    /// There is none.
    Nothing,
    /// Nobody reads it.
    All,
    /// This knows how far it was read.
    Watched(Arc<BodyWatch>),
}

/// A limit that a connection has passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing was asked for so long: closed in order.
    Idle,
    /// The client is too slow with a head, or takes nothing: cut off.
    Slow,
}

impl ConnectionWatch {
    pub(super) fn new(peer: Peer, protocol: Protocol) -> Self {
        let now = Instant::now();
        Self {
            peer,
            requests: Cell::new(0),
            idle_since: Cell::new(now),
            head_since: Cell::new(Some(now)),
            write_blocked_since: Cell::new(None),
            unanswered: Cell::new(false),
            delimited: Cell::new(true),
            body: RefCell::new(Unread::Nothing),
            newest: RefCell::new(None),
            streams: (protocol == Protocol::Http2).then(Streams::default),
            trailers: RefCell::new(None),
        }
    }

    /// Who asks.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// A request's head was read. It is in flight until the returned value is dropped.
    pub(super) fn begin(self: &Rc<Self>, has_body: bool) -> InFlight {
        self.head_since.set(None);
        self.unanswered.set(true);
        self.body.replace(if has_body { Unread::All } else { Unread::Nothing });
        self.requests.set(self.requests.get() + 1);
        let since = self.streams.as_ref().map(|streams| {
            streams.begun.set(streams.begun.get() + 1);
            Instant::now()
        });
        let stream = Rc::<StreamWatch>::default();
        self.newest.replace(Some(stream.clone()));
        InFlight { connection: self.clone(), stream, unanswered_since: Cell::new(since) }
    }

    /// The connection is about to be polled.
    pub(super) fn polled(&self) {
        if let Some(streams) = &self.streams {
            streams.reads.set(0);
        }
    }

    /// Whether the connection has read so much since it was polled that others go first.
    pub(super) fn has_read_enough(&self) -> bool {
        self.streams.as_ref().is_some_and(|streams| streams.reads.get() >= READS_IN_A_ROW)
    }

    /// Whether nearly all that its client does is to open streams and to reset them at once.
    pub(super) fn resets_too_many(&self) -> bool {
        self.streams.as_ref().is_some_and(Streams::are_mostly_reset)
    }

    /// The newest request's body is on its way to a replica.
    pub(super) fn body(&self, watch: &Arc<BodyWatch>) {
        self.body.replace(Unread::Watched(watch.clone()));
    }

    /// Whether a part of the newest request's body was not read.
    pub(super) fn has_unread(&self) -> bool {
        match &*self.body.borrow() {
            Unread::Nothing => false,
            Unread::All => true,
            Unread::Watched(body) => !body.is_ended(),
        }
    }

    /// Whether a request is in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.requests.get() > 0
    }

    /// Whether something came of a head that has not come in full.
    pub(super) fn awaits_head(&self) -> bool {
        !self.is_busy() && self.head_since.get().is_some()
    }

    /// Whether nothing of the newest request's answer was written.
    pub(super) fn is_unanswered(&self) -> bool {
        self.unanswered.get()
    }

    pub(super) fn is_delimited(&self, delimited: bool) {
        self.delimited.set(delimited);
    }

    /// Whether the end of the connection tells the end of the newest answer.
    pub(super) fn ends_answer(&self) -> bool {
        !self.delimited.get()
    }

    pub(super) fn take_newest(&self) -> Option<Rc<StreamWatch>> {
        self.newest.take()
    }

    /// The last chunk of the answer that is being sent, where it has trailers.
    pub(super) fn trailers(&self) -> RefMut<'_, Option<Vec<u8>>> {
        self.trailers.borrow_mut()
    }

    pub(super) fn bytes_read(&self) {
        if let Some(streams) = &self.streams {
            streams.reads.set(streams.reads.get() + 1);
        }
        if self.requests.get() == 0 && self.head_since.get().is_none() {
            self.head_since.set(Some(Instant::now()));
        }
    }

    /// The protocol keeps the time of heads itself, or none needs to be kept.
    pub(super) fn no_head_awaited(&self) {
        self.head_since.set(None);
    }

    pub(super) fn write_blocked(&self) {
        if self.write_blocked_since.get().is_none() {
            self.write_blocked_since.set(Some(Instant::now()));
        }
    }

    pub(super) fn written(&self) {
        self.unanswered.set(false);
        self.write_blocked_since.set(None);
    }

    pub(super) fn overdue(&self, config: &GatewayConfig) -> Option<Overdue> {
        let longer = |since: Option<Instant>, limit: Duration| since.is_some_and(|since| since.elapsed() >= limit);
        if longer(self.write_blocked_since.get(), config.write_stall_timeout) {
            return Some(Overdue::Slow);
        }
        if self.requests.get() > 0 {
            return None;
        }
        if longer(self.head_since.get(), config.header_read_timeout) {
            return Some(Overdue::Slow);
        }
        longer(Some(self.idle_since.get()), config.keep_alive_idle).then_some(Overdue::Idle)
    }
}

/// One request and its answer. With HTTP/2, one of several at the same time.
#[derive(Default)]
pub(super) struct StreamWatch {
    /// Since when a piece of the answer waits for the client to take it.
    handed_over_since: Cell<Option<Instant>>,
}

impl StreamWatch {
    pub(super) fn handed_over(&self) {
        self.handed_over_since.set(Some(Instant::now()));
    }

    /// The client took what was handed over, and the next piece is wanted.
    pub(super) fn asked(&self) {
        self.handed_over_since.set(None);
    }

    /// Ends when the client has taken nothing for `limit`.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let until = self.handed_over_since.get().unwrap_or(now) + limit;
            if until <= now {
                return;
            }
            tokio::time::sleep_until(until.into()).await;
        }
    }
}

/// A request in flight on a connection.
pub(super) struct InFlight {
    connection: Rc<ConnectionWatch>,
    stream: Rc<StreamWatch>,
    /// With HTTP/2, until there is an answer: since when there is not.
    unanswered_since: Cell<Option<Instant>>,
}

impl InFlight {
    pub(super) fn answered(&self) {
        self.unanswered_since.set(None);
    }

    pub(super) fn connection(&self) -> &ConnectionWatch {
        &self.connection
    }

    pub(super) fn stream(&self) -> &StreamWatch {
        &self.stream
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let requests = &self.connection.requests;
        requests.set(requests.get() - 1);
        if let (Some(since), Some(streams)) = (self.unanswered_since.get(), &self.connection.streams)
            && since.elapsed() < SOON
        {
            streams.reset.set(streams.reset.get() + 1);
        }
        if requests.get() == 0 {
            self.connection.idle_since.set(Instant::now());
        }
    }
}
