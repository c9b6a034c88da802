//! Tokens that are wrong: how many of them are answered for each source, and how often it is said.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use api::{Refusals, Refused};
use parking_lot::Mutex;

use crate::seats::Source;

/// Wrong tokens of one source that are answered at once.
const BURST: u32 = 20;
/// After this time one more is.
const REFILL: Duration = Duration::from_secs(1);
/// Sources that are told apart.
const MAX_SOURCES: usize = 1024;
/// How often it is logged that there are any.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What is to be done about a wrong token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether its source has shown too many.
    pub(crate) too_many: bool,
    /// How many there were of all sources since that was said; `None`: it is not said now.
    pub(crate) tell: Option<u64>,
}

/// Counts wrong tokens.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    state: Mutex<State>,
    refusals: Refusals,
}

#[derive(Debug, Default)]
struct State {
    /// When the last of those that are answered at once would be as if it had not been.
    clear_at: HashMap<Source, Instant>,
    untold: u64,
    told: Option<Instant>,
}

impl Failures {
    pub(crate) fn counting(refusals: Refusals) -> Self {
        Self { refusals, ..Self::default() }
    }

    pub(crate) fn one_more(&self, source: Source, now: Instant) -> Verdict {
        self.refusals.count(Refused::Token, "wrong", "");
        let mut state = self.state.lock();
        if state.clear_at.len() >= MAX_SOURCES && !state.clear_at.contains_key(&source) {
            state.clear_at.retain(|_, clear| *clear > now);
        }
        // With more sources than that, one that is not known is taken for one of many.
        let crowded = state.clear_at.len() >= MAX_SOURCES && !state.clear_at.contains_key(&source);
        let clear = state.clear_at.get(&source).copied().unwrap_or(now).max(now);
        let too_many = crowded || clear.duration_since(now) >= REFILL * BURST;
        if !too_many {
            state.clear_at.insert(source, clear + REFILL);
        }
        state.untold += 1;
        let tell = state.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY).then(|| {
            state.told = Some(now);
            std::mem::take(&mut state.untold)
        });
        Verdict { too_many, tell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tokens_of_one_source_are_answered_at_a_rate_and_said_now_and_then() {
        let (failures, start) = (Failures::default(), Instant::now());
        let (here, there) = (Source::Loopback, Source::of([10, 0, 0, 1].into()));
        let verdicts: Vec<_> = (0..1000).map(|_| failures.one_more(here, start)).collect();
        assert_eq!(verdicts.iter().filter(|verdict| !verdict.too_many).count(), 20);
        assert_eq!(verdicts.iter().filter_map(|verdict| verdict.tell).collect::<Vec<_>>(), [1]);
        assert!(!failures.one_more(there, start).too_many);
        let later = start + Duration::from_secs(10);
        assert_eq!(failures.one_more(here, later), Verdict { too_many: false, tell: Some(1001) });
        let verdicts = (0..100).map(|_| failures.one_more(here, later));
        assert_eq!(verdicts.filter(|verdict| !verdict.too_many).count(), 9);
    }

    #[test]
    fn any_number_of_sources_takes_a_bounded_room() {
        let (failures, now) = (Failures::default(), Instant::now());
        for n in 0..10_000_u32 {
            failures.one_more(Source::of(std::net::Ipv4Addr::from(n + (10 << 24)).into()), now);
        }
        assert_eq!(failures.state.lock().clear_at.len(), MAX_SOURCES);
        assert!(!failures.one_more(Source::Loopback, now + Duration::from_secs(2)).too_many);
    }
}
