use std::{collections::VecDeque, time::Duration};

use api::Timestamp;

use super::Decision;

/// What was decided before, as far as later decisions depend on it. Told by [`Memory::note`]; lost with the process, after
/// which nothing is scaled down until enough is known again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// What was recommended before limits applied; equal ones that follow one another are one.
    recommendations: VecDeque<Recommendation>,
    /// By how many replicas it was changed, and when.
    changes: VecDeque<(Timestamp, i64)>,
    /// Since when there are to be replicas.
    awake_since: Option<Timestamp>,
    /// When it was last decided by a policy that goes by ticks.
    ticked: Option<Timestamp>,
    pub(super) panic: Option<Panic>,
    /// Since when replicas could not take Knative's target burst.
    pub(super) burst_short_since: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Recommendation {
    replicas: u32,
    /// When it was last recommended.
    until: Timestamp,
}

/// Knative's panic mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Panic {
    /// When load was last above the threshold.
    pub(super) last: Timestamp,
    /// The most replicas that were wanted meanwhile.
    pub(super) most: u32,
}

/// What is to be remembered of a decision.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Notes {
    /// What the policy recommended; `None`: nothing.
    pub(super) recommended: Option<u32>,
    /// Recommendations are needed for so long.
    pub(super) keep_recommendations: Duration,
    /// Changes are needed for so long.
    pub(super) keep_changes: Duration,
    /// What a policy that goes by ticks decided.
    pub(super) tick: Option<Tick>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tick {
    pub(super) panic: Option<Panic>,
    pub(super) burst_short_since: Option<Timestamp>,
}

impl Memory {
    /// Remembers a decision that was carried out: before it, so many replicas were wanted.
    pub fn note(&mut self, now: Timestamp, before: u32, decision: &Decision) {
        let notes = &decision.notes;
        if let Some(replicas) = notes.recommended {
            if self.recommendations.is_empty() {
                self.recommend(now, before);
            }
            self.recommend(now, replicas);
            while self.recommendations.front().is_some_and(|old| old.until + notes.keep_recommendations < now) {
                self.recommendations.pop_front();
            }
            while self.changes.front().is_some_and(|(at, _)| *at + notes.keep_changes < now) {
                self.changes.pop_front();
            }
        }
        if before != decision.desired && !notes.keep_changes.is_zero() {
            self.changes.push_back((now, i64::from(decision.desired) - i64::from(before)));
        }
        if let Some(tick) = notes.tick {
            self.ticked = Some(now);
            self.panic = tick.panic;
            self.burst_short_since = tick.burst_short_since;
        }
        self.awake_since = (decision.desired > 0).then(|| self.awake_since.unwrap_or(now));
        if decision.next_look.is_none() && decision.desired == 0 {
            // It sleeps: what was recommended a while ago does not matter when it wakes.
            self.recommendations = VecDeque::new();
            self.changes.shrink_to_fit();
        }
    }

    fn recommend(&mut self, now: Timestamp, replicas: u32) {
        match self.recommendations.back_mut() {
            Some(last) if last.replicas == replicas => last.until = now,
            _ => self.recommendations.push_back(Recommendation { replicas, until: now }),
        }
    }

    /// What was recommended within the `window` before now.
    pub(super) fn recommended(&self, window: Duration, now: Timestamp) -> impl Iterator<Item = u32> + '_ {
        let recent = self.recommendations.iter().filter(move |old| old.until + window > now);
        recent.map(|old| old.replicas)
    }

    /// Whether nothing was ever recommended, or nothing since it slept.
    pub(super) fn is_blank(&self) -> bool {
        self.recommendations.is_empty()
    }

    /// By how many replicas it was changed within the `period` before now: more, and fewer.
    pub(super) fn changed(&self, period: Duration, now: Timestamp) -> (u32, u32) {
        let recent = self.changes.iter().filter(|(at, _)| *at + period > now);
        recent.fold((0, 0), |(more, fewer), (_, change)| match u32::try_from(*change) {
            Ok(added) => (more + added, fewer),
            Err(_) => (more, fewer + change.unsigned_abs() as u32),
        })
    }

    pub(super) fn awake_since(&self) -> Option<Timestamp> {
        self.awake_since
    }

    /// When a policy that decides each `period` is to do so next; `None`: it has not yet.
    pub(super) fn next_tick(&self, period: Duration) -> Option<Timestamp> {
        self.ticked.map(|last| last + period)
    }
}
