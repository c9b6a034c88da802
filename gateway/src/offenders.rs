//! Who breaks the rules of HTTP/2 again and again: each time costs a handshake, and the work until it shows.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use api::{SourceRate, source_of};
use parking_lot::Mutex;

/// Connections of one source that may break the rules, each within [`CALM_AFTER`] of the one before. A client with a fault does so now
/// and then.
const MOST_BROKEN: u32 = 8;
/// A source of which no connection has broken the rules for so long is as any other.
const CALM_AFTER: Duration = Duration::from_secs(10);
/// An offender's connections over HTTP/2 are begun at this pace, after a few at once.
const EVERY: Duration = Duration::from_millis(200);
const AT_ONCE: u32 = 2;
/// Sources that are remembered. Where there are more, those are forgotten that are calm; and all, if none is.
const MAX_SOURCES: usize = 4096;

/// The sources of connections that were ended for what came over them.
pub(crate) struct Offenders {
    state: Mutex<State>,
    /// Whether there may be one: most of the time nothing else is looked at.
    any: AtomicBool,
}

struct State {
    broken: HashMap<IpAddr, Broken>,
    rate: SourceRate,
}

struct Broken {
    times: u32,
    last: Instant,
}

impl Broken {
    fn is_calm(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= CALM_AFTER
    }
}

impl Default for Offenders {
    fn default() -> Self {
        let state = State { broken: HashMap::new(), rate: SourceRate::new(AT_ONCE, EVERY) };
        Self { state: Mutex::new(state), any: AtomicBool::new(false) }
    }
}

impl Offenders {
    /// A connection from there broke the rules. True when its source is an offender from now on.
    pub(crate) fn broke(&self, address: IpAddr, now: Instant) -> bool {
        let mut state = self.state.lock();
        self.any.store(true, Relaxed);
        if state.broken.len() >= MAX_SOURCES {
            state.broken.retain(|_, broken| !broken.is_calm(now));
            if state.broken.len() >= MAX_SOURCES {
                state.broken.clear();
            }
        }
        let broken = state.broken.entry(source_of(address)).or_insert(Broken { times: 0, last: now });
        if broken.is_calm(now) {
            broken.times = 0;
        }
        broken.times = broken.times.saturating_add(1);
        broken.last = now;
        broken.times == MOST_BROKEN + 1
    }

    /// How long a new connection over HTTP/2 from there waits before it is begun.
    pub(crate) fn wait(&self, address: IpAddr, now: Instant) -> Duration {
        if !self.any.load(Relaxed) {
            return Duration::ZERO;
        }
        let mut state = self.state.lock();
        let State { broken, rate } = &mut *state;
        let source = source_of(address);
        match broken.get(&source) {
            Some(known) if known.is_calm(now) => {
                broken.remove(&source);
                self.any.store(!broken.is_empty(), Relaxed);
                Duration::ZERO
            }
            Some(known) if known.times > MOST_BROKEN => rate.comes(address, now),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFENDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn who_breaks_the_rules_again_and_again_is_taken_more_slowly_until_it_is_calm() {
        let (offenders, now) = (Offenders::default(), Instant::now());
        for _ in 0..MOST_BROKEN {
            assert!(!offenders.broke(OFFENDER, now));
            assert_eq!(offenders.wait(OFFENDER, now), Duration::ZERO);
        }
        assert!(offenders.broke(OFFENDER, now), "said once");
        assert!(!offenders.broke(OFFENDER, now));
        let waits: Vec<_> = (0..4).map(|_| offenders.wait(OFFENDER, now)).collect();
        assert_eq!(waits, [Duration::ZERO, Duration::ZERO, EVERY, EVERY * 2]);
        assert_eq!(offenders.wait(OTHER, now), Duration::ZERO);
        assert_eq!(offenders.wait(OFFENDER, now + CALM_AFTER), Duration::ZERO);
        assert!(!offenders.any.load(Relaxed), "nothing is looked at any more");
    }

    #[test]
    fn who_breaks_them_now_and_then_is_no_offender() {
        let (offenders, mut now) = (Offenders::default(), Instant::now());
        for _ in 0..100 {
            assert!(!offenders.broke(OFFENDER, now));
            now += CALM_AFTER;
        }
    }
}
