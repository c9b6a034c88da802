use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::source_of;

/// Sources that are remembered at a time. They are forgotten when they could come at once again, or when there are more.
const MAX_SOURCES: usize = 4096;

/// How fast each source may come: so many times at once, and then one time after the other. Pure: it is told what time it is.
#[derive(Debug)]
pub struct SourceRate {
    at_once: u32,
    every: Duration,
    /// When each would be due that came at the rate alone.
    due: HashMap<IpAddr, Instant>,
}

impl SourceRate {
    /// So many times `at_once`, and then one for each `every`.
    pub fn new(at_once: u32, every: Duration) -> Self {
        Self { at_once, every, due: HashMap::new() }
    }

    /// One comes from this address: how long it is to wait. It has its place in the line, whether it waits or goes.
    pub fn comes(&mut self, address: IpAddr, now: Instant) -> Duration {
        if self.due.len() >= MAX_SOURCES {
            self.due.retain(|_, due| *due > now);
            if self.due.len() >= MAX_SOURCES {
                self.due.clear();
            }
        }
        let due = self.due.entry(source_of(address)).or_insert(now);
        *due = (*due).max(now) + self.every;
        due.saturating_duration_since(now).saturating_sub(self.every * self.at_once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_source_comes_some_times_at_once_and_then_one_time_after_the_other() {
        let (mut rate, now) = (SourceRate::new(3, EVERY), Instant::now());
        let waits: Vec<_> = (0..5).map(|_| rate.comes(address(1), now)).collect();
        assert_eq!(waits, [Duration::ZERO, Duration::ZERO, Duration::ZERO, EVERY, EVERY * 2]);
        assert_eq!(rate.comes(address(2), now), Duration::ZERO, "another has nothing to do with it");
        assert_eq!(rate.comes(address(1), now + EVERY * 10), Duration::ZERO, "what was not used comes back");
    }

    #[test]
    fn no_more_sources_are_remembered_than_there_is_room_for() {
        let (mut rate, now) = (SourceRate::new(1, EVERY), Instant::now());
        for number in 0..100_000_u32 {
            rate.comes(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(rate.due.len() <= MAX_SOURCES);
    }
}
