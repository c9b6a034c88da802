//! The connections of one listener, spread evenly over the serving threads.
//!
//! The system picks the thread of a new connection by a hash. Of few long connections one thread may so get twice as
//! many as another, and its requests wait while the other thread idles. So the thread that accepts a connection
//! counts it for the thread with fewest, and hands it over if that is not itself (Envoy's "exact" balancing).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{net::TcpStream, sync::mpsc};

use crate::sources::Source;

/// Connections on their way to one thread. What finds no room stays on the thread that accepted it.
const ON_THE_WAY: usize = 64;

/// A thread keeps what it accepted, unless another has at least so many connections fewer.
const UNEVEN_BY: usize = 2;

/// One thread's end of a listener's connections.
pub(crate) struct Lane {
    number: usize,
    lanes: Arc<[Open]>,
    handed: mpsc::Receiver<Handed>,
}

/// The connections of one thread.
struct Open {
    count: AtomicUsize,
    hand: mpsc::Sender<Handed>,
}

/// A connection that another thread accepted.
pub(crate) struct Handed {
    pub(crate) seat: Seat,
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
}

/// An end for each of `threads` threads.
pub(crate) fn lanes(threads: usize) -> impl Iterator<Item = Lane> {
    let (hands, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| mpsc::channel(ON_THE_WAY)).unzip();
    let lanes: Arc<[Open]> = hands.into_iter().map(|hand| Open { count: AtomicUsize::new(0), hand }).collect();
    let numbered = receivers.into_iter().enumerate();
    numbered.map(move |(number, handed)| Lane { number, lanes: lanes.clone(), handed })
}

impl Lane {
    /// Counts a new connection for the thread that shall have it.
    pub(crate) fn seat(&self) -> Seat {
        let open = |number: usize| self.lanes[number].count.load(Relaxed);
        let fewest = (0..self.lanes.len()).min_by_key(|&number| open(number)).unwrap_or(self.number);
        let number = if open(self.number) >= open(fewest) + UNEVEN_BY { fewest } else { self.number };
        Seat::take(self.lanes.clone(), number)
    }

    /// Gives a connection to the thread of its seat. Gives it back if it is to be served here.
    pub(crate) fn hand_over(&self, mut seat: Seat, stream: TcpStream, peer: SocketAddr) -> Option<(Seat, TcpStream)> {
        if seat.number == self.number {
            return Some((seat, stream));
        }
        let Ok(room) = self.lanes[seat.number].hand.try_reserve() else {
            let here = Seat::take(seat.lanes.clone(), self.number).of(seat.source.take());
            return Some((here, stream));
        };
        // A stream that cannot leave this thread's runtime is broken: the client sees it closed.
        if let Ok(stream) = stream.into_std() {
            room.send(Handed { seat, stream, peer });
        }
        None
    }

    /// The next connection that another thread hands over.
    pub(crate) async fn handed(&mut self) -> Handed {
        match self.handed.recv().await {
            Some(handed) => handed,
            // Never so: `lanes` keeps the sending end.
            None => std::future::pending().await,
        }
    }
}

/// A connection's place on a thread. Dropped, it is free.
pub(crate) struct Seat {
    lanes: Arc<[Open]>,
    number: usize,
    before: usize,
    /// Where its connection comes from, if that is counted.
    source: Option<Source>,
}

impl Seat {
    fn take(lanes: Arc<[Open]>, number: usize) -> Self {
        lanes[number].count.fetch_add(1, Relaxed);
        let all: usize = lanes.iter().map(|lane| lane.count.load(Relaxed)).sum();
        Self { lanes, number, before: all.saturating_sub(1), source: None }
    }

    /// The same for a connection from there.
    pub(crate) fn of(mut self, source: Option<Source>) -> Self {
        self.source = source;
        self
    }

    /// Connections that the listener had when this one came.
    pub(crate) fn before(&self) -> usize {
        self.before
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lanes[self.number].count.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lane: &Lane) -> Vec<usize> {
        lane.lanes.iter().map(|lane| lane.count.load(Relaxed)).collect()
    }

    #[test]
    fn connections_that_one_thread_accepts_are_spread_over_all() {
        let lanes: Vec<Lane> = lanes(3).collect();
        let seats: Vec<Seat> = (0..9).map(|_| lanes[1].seat()).collect();
        assert!(counts(&lanes[0]).iter().all(|&count| (2..=4).contains(&count)), "{:?}", counts(&lanes[0]));
        assert_eq!(seats.last().unwrap().before(), 8);
        drop(seats);
        assert_eq!(counts(&lanes[0]), [0, 0, 0]);
    }

    #[test]
    fn a_thread_that_has_not_more_than_others_keeps_what_it_accepts() {
        let lanes: Vec<Lane> = lanes(2).collect();
        let here = lanes[0].seat();
        let there = lanes[1].seat();
        assert_eq!((here.number, there.number), (0, 1));
    }
}
