//! The client at the other end of a connection, who is a stranger until it shows a token.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use crate::{
    failures::{Failures, Verdict},
    seats::{Full, Seats, Source},
};

/// Requests that a stranger may send on one connection; with a further one it ends.
const MAX_REQUESTS_OF_A_STRANGER: u32 = 100;

/// In the extensions of each request: who sent it, as far as the connection tells.
#[derive(Debug, Clone)]
pub(crate) struct Peer(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    ip: IpAddr,
    source: Source,
    seat: u64,
    seats: Arc<Seats>,
    failures: Arc<Failures>,
    known: AtomicBool,
    requests: AtomicU32,
    end: CancellationToken,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.seats.leave(self.seat);
    }
}

impl Peer {
    /// Takes a seat for a connection. The seat is free once every copy of this is gone.
    pub(crate) fn admit(address: SocketAddr, seats: &Arc<Seats>, failures: &Arc<Failures>) -> Self {
        let (ip, end) = (address.ip().to_canonical(), CancellationToken::new());
        let source = Source::of(ip);
        let seat = seats.admit(source, end.clone());
        let (known, requests) = (AtomicBool::new(false), AtomicU32::new(0));
        let (seats, failures) = (seats.clone(), failures.clone());
        Self(Arc::new(Connection { ip, source, seat, seats, failures, known, requests, end }))
    }

    /// The address that it has here.
    pub(crate) fn ip(&self) -> IpAddr {
        self.0.ip
    }

    /// A request has come. A stranger that sends too many of them is let go of.
    pub(crate) fn asks(&self) {
        if !self.is_known() && self.0.requests.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS_OF_A_STRANGER {
            self.0.end.cancel();
        }
    }

    /// A right token was shown. Fails if there are too many who have done so.
    pub(crate) fn recognise(&self) -> Result<(), Full> {
        if !self.is_known() {
            self.0.seats.recognise(self.0.seat)?;
            self.0.known.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A wrong token was shown.
    pub(crate) fn failed(&self) -> Verdict {
        self.0.failures.one_more(self.0.source, Instant::now())
    }

    fn is_known(&self) -> bool {
        self.0.known.load(Ordering::Relaxed)
    }

    /// Waits until the connection is to end: its seat was lost, or it has been a stranger's for too long.
    pub(crate) async fn is_over(&self) {
        let expired = async {
            tokio::time::sleep(self.0.seats.limits().time_to_authenticate).await;
            if self.is_known() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = expired => {}
            () = self.0.end.cancelled() => {}
        }
    }
}
