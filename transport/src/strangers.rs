//! Who has not shown a certificate yet: how many of them may be connected, in all and from one address, for how long, and how fast
//! they may come.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{SourceRate, source_of};
use parking_lot::Mutex;

/// What who has no certificate may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangerLimits {
    /// Connections at a time: those that shake hands, and those that shook them without a certificate.
    pub connections: usize,
    /// Of these, from one address; of IPv6, from one network of 64 bits.
    pub by_source: usize,
    /// As many from one where somebody has shown a certificate, if who has one may come in bursts; `None`: no more than from others.
    pub by_known_source: Option<usize>,
    /// How long one stays open.
    pub time: Duration,
    /// Bytes of a message.
    pub message_bytes: usize,
}

impl Default for StrangerLimits {
    fn default() -> Self {
        Self {
            connections: 128,
            by_source: 16,
            by_known_source: None,
            time: Duration::from_secs(10),
            message_bytes: 16 << 10,
        }
    }
}

/// Addresses that are remembered as those of who showed a certificate.
const MAX_KNOWN: usize = 4096;

/// Each handshake costs a signature. From where nobody has shown a certificate, so many begin at once, and then one for each
/// [`EVERY`].
const AT_ONCE: u32 = 16;
const EVERY: Duration = Duration::from_millis(100);

/// The strangers at one listener.
#[derive(Debug)]
pub(crate) struct Strangers {
    pub(crate) limits: StrangerLimits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connections: usize,
    by_source: HashMap<IpAddr, usize>,
    /// Where somebody has shown a certificate: half of the places are for them, so that who is known comes back through a crowd.
    known: HashSet<IpAddr>,
    rate: SourceRate,
}

/// A stranger's place; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place {
    strangers: Arc<Strangers>,
    source: IpAddr,
    wait: Duration,
}

impl Strangers {
    pub(crate) fn new(limits: StrangerLimits) -> Arc<Self> {
        let rate = SourceRate::new(AT_ONCE, EVERY);
        let state = State { connections: 0, by_source: HashMap::new(), known: HashSet::new(), rate };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// A place for a connection from this address, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        self.enter_at(address, Instant::now())
    }

    fn enter_at(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Place> {
        let source = source_of(address);
        let mut state = self.state.lock();
        let is_known = state.known.contains(&source);
        let StrangerLimits { connections, by_source, by_known_source, .. } = self.limits;
        let (places, share) = match is_known {
            true => (connections, by_known_source.unwrap_or(by_source)),
            false => (connections.div_ceil(2), by_source),
        };
        let from_there = state.by_source.get(&source).copied().unwrap_or(0);
        if state.connections >= places || from_there >= share {
            return None;
        }
        let wait = if is_known { Duration::ZERO } else { state.rate.comes(address, now) };
        if wait > self.limits.time {
            return None;
        }
        state.connections += 1;
        state.by_source.insert(source, from_there + 1);
        Some(Place { strangers: self.clone(), source, wait })
    }
}

impl Place {
    /// Waits until it is this connection's turn to shake hands.
    pub(crate) async fn turn(&self) {
        if !self.wait.is_zero() {
            tokio::time::sleep(self.wait).await;
        }
    }

    /// It showed a certificate, and is a stranger no more.
    pub(crate) fn shown_a_certificate(self) {
        let mut state = self.strangers.state.lock();
        if state.known.len() >= MAX_KNOWN {
            state.known.clear();
        }
        state.known.insert(self.source);
    }

    pub(crate) fn limits(&self) -> StrangerLimits {
        self.strangers.limits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.strangers.state.lock();
        state.connections -= 1;
        if let Some(from_there) = state.by_source.get_mut(&self.source) {
            *from_there -= 1;
            if *from_there == 0 {
                state.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers() -> Arc<Strangers> {
        Strangers::new(StrangerLimits { connections: 8, by_source: 3, ..StrangerLimits::default() })
    }

    fn from(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn one_address_takes_few_places_and_gives_them_back() {
        let strangers = strangers();
        let mut places: Vec<_> = (0..3).filter_map(|_| strangers.enter(from(1))).collect();
        assert_eq!(places.len(), 3);
        assert!(strangers.enter(from(1)).is_none());
        assert!(strangers.enter("::ffff:10.0.0.1".parse().unwrap()).is_none(), "the same address, otherwise written");
        assert!(strangers.enter(from(2)).is_some());
        places.pop();
        assert!(strangers.enter(from(1)).is_some());
        drop(places);
        assert!(strangers.state.lock().by_source.is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn who_comes_again_and_again_shakes_hands_at_a_pace_until_it_has_shown_a_certificate() {
        let (strangers, now) = (Strangers::new(StrangerLimits::default()), Instant::now());
        let waits = |times: u32| -> Vec<_> {
            (0..times).filter_map(|_| strangers.enter_at(from(1), now)).map(|place| place.wait).collect()
        };
        assert!(waits(AT_ONCE).iter().all(Duration::is_zero));
        assert_eq!(waits(2), [EVERY, EVERY * 2]);
        assert_eq!(strangers.enter_at(from(2), now).unwrap().wait, Duration::ZERO);
        assert!(waits(200).len() < 200, "who would wait for too long is closed");
        strangers.enter_at(from(1), now + Duration::from_secs(60)).unwrap().shown_a_certificate();
        assert!(waits(AT_ONCE * 2).iter().all(Duration::is_zero));
    }

    #[test]
    fn who_has_shown_a_certificate_before_comes_through_a_crowd() {
        let strangers = strangers();
        strangers.enter(from(1)).unwrap().shown_a_certificate();
        let crowd: Vec<_> = (2..100).filter_map(|last| strangers.enter(from(last))).collect();
        assert_eq!(crowd.len(), 4, "half of the places");
        assert!(strangers.enter(from(1)).is_some());
    }

    #[test]
    fn where_somebody_has_shown_a_certificate_bursts_may_come_from() {
        let limits =
            StrangerLimits { connections: 8, by_source: 3, by_known_source: Some(6), ..StrangerLimits::default() };
        let strangers = Strangers::new(limits);
        let of = |address| (0..8).map_while(|_| strangers.enter(address)).collect::<Vec<_>>().len();
        assert_eq!(of(from(1)), 3);
        strangers.enter(from(1)).expect("a place").shown_a_certificate();
        assert_eq!((of(from(1)), of(from(2))), (6, 3));
    }
}
