//! Who may have a connection to the API: seats for clients that have shown a token, and few for strangers, who lose theirs to
//! others when there are more of them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use api::source_of;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// What the API takes before it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiLimits {
    /// Connections of clients that have shown a token.
    pub max_connections: usize,
    /// Connections of all others; and as many of this machine.
    pub max_strangers: usize,
    /// Of those, connections from one address of another machine.
    pub max_strangers_per_source: usize,
    /// From the connection to the first request that shows a token.
    pub time_to_authenticate: Duration,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            max_strangers: 128,
            max_strangers_per_source: 16,
            time_to_authenticate: Duration::from_secs(10),
        }
    }
}

/// Where connections come from, as far as one that makes many can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// This machine.
    Loopback,
    /// An address, or the network of 64 bits that one machine has of IPv6.
    Network(IpAddr),
}

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() { Self::Loopback } else { Self::Network(source_of(address)) }
    }
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Seats {
    limits: ApiLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order in which they came.
    strangers: BTreeMap<u64, Stranger>,
    known: HashSet<u64>,
}

#[derive(Debug)]
struct Stranger {
    source: Source,
    end: CancellationToken,
}

/// Every seat for clients that are known is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Seats {
    pub(crate) fn new(limits: ApiLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    pub(crate) fn limits(&self) -> &ApiLimits {
        &self.limits
    }

    /// Gives a stranger a seat. Where there are too many the oldest one of the source that has most of them loses its own: its
    /// token is cancelled.
    pub(crate) fn admit(&self, source: Source, end: CancellationToken) -> u64 {
        let mut state = self.state.lock();
        let seat = state.next;
        state.next += 1;
        if let Some(loser) = state.loser(source, &self.limits)
            && let Some(stranger) = state.strangers.remove(&loser)
        {
            stranger.end.cancel();
        }
        state.strangers.insert(seat, Stranger { source, end });
        seat
    }

    /// A right token was shown. Answers whether there is a seat for one more that is known.
    pub(crate) fn recognise(&self, seat: u64) -> Result<(), Full> {
        let mut state = self.state.lock();
        if state.known.contains(&seat) {
            return Ok(());
        }
        if state.known.len() >= self.limits.max_connections {
            return Err(Full);
        }
        // One that has lost its seat meanwhile is ending.
        if state.strangers.remove(&seat).is_some() {
            state.known.insert(seat);
        }
        Ok(())
    }

    /// A connection has ended.
    pub(crate) fn leave(&self, seat: u64) {
        let mut state = self.state.lock();
        state.strangers.remove(&seat);
        state.known.remove(&seat);
    }
}

impl State {
    /// Who makes room for one more of this source; `None`: there is room.
    fn loser(&self, source: Source, limits: &ApiLimits) -> Option<u64> {
        let local = source == Source::Loopback;
        let rivals = || self.strangers.iter().filter(|(_, one)| (one.source == Source::Loopback) == local);
        let mut counts: HashMap<Source, usize> = HashMap::new();
        rivals().for_each(|(_, stranger)| *counts.entry(stranger.source).or_default() += 1);
        let of_source = counts.get(&source).copied().unwrap_or_default();
        let crowded = if !local && of_source >= limits.max_strangers_per_source.max(1) {
            source
        } else if counts.values().sum::<usize>() >= limits.max_strangers.max(1) {
            counts.into_iter().max_by_key(|(source, count)| (*count, *source)).map(|(source, _)| source)?
        } else {
            return None;
        };
        rivals().find(|(_, stranger)| stranger.source == crowded).map(|(seat, _)| *seat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ApiLimits = ApiLimits {
        max_connections: 2,
        max_strangers: 8,
        max_strangers_per_source: 4,
        time_to_authenticate: Duration::from_secs(1),
    };

    fn come(seats: &Seats, address: &str) -> (u64, CancellationToken) {
        let end = CancellationToken::new();
        (seats.admit(Source::of(address.parse().unwrap()), end.clone()), end)
    }

    #[test]
    fn strangers_lose_their_seats_to_later_ones_and_those_who_are_known_do_not() {
        let seats = Seats::new(LIMITS);
        let (known, end) = come(&seats, "127.0.0.1");
        seats.recognise(known).unwrap();
        let strangers: Vec<_> = (0..500).map(|_| come(&seats, "127.0.0.1").1).collect();
        assert_eq!(strangers.iter().filter(|end| !end.is_cancelled()).count(), 8);
        assert!(!end.is_cancelled());
        let (late, end) = come(&seats, "127.0.0.1");
        seats.recognise(late).unwrap();
        let (third, _) = come(&seats, "127.0.0.1");
        assert_eq!(seats.recognise(third), Err(Full));
        assert!(!end.is_cancelled());
        seats.leave(late);
        assert_eq!(seats.recognise(third), Ok(()));
    }

    #[test]
    fn who_makes_many_connections_loses_its_own_and_none_of_others_or_of_this_machine() {
        let seats = Seats::new(LIMITS);
        let local: Vec<_> = (0..8).map(|_| come(&seats, "::1").1).collect();
        let few = [come(&seats, "10.0.0.1").1, come(&seats, "10.0.0.2").1];
        let many: Vec<_> = (0..100).map(|_| come(&seats, "10.0.0.3").1).collect();
        assert_eq!(many.iter().filter(|end| !end.is_cancelled()).count(), 4);
        // In IPv6 a machine has a network of addresses. It is given room by who has most.
        let same: Vec<_> = (0..100).map(|n| come(&seats, &format!("2001:db8::{n:x}")).1).collect();
        assert!((1..=4).contains(&same.iter().filter(|end| !end.is_cancelled()).count()));
        assert!(few.iter().chain(&local).all(|end| !end.is_cancelled()));
    }
}
