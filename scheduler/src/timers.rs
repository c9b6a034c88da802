use std::collections::BTreeSet;

use api::{ObjectKey, ReplicaId, Timestamp, WorkerName};

/// What is looked at again when its time comes. Whoever handles it checks whether it still applies, so none is taken back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Workers have had their time to report.
    Settled,
    /// A worker may be silent for too long.
    Worker(WorkerName),
    /// A replica's pause after a failure is over.
    Restart(ReplicaId),
    /// A start should have been answered.
    StartUnanswered(ReplicaId),
    /// A stop should have been answered.
    StopUnanswered(WorkerName, ReplicaId),
    /// A replica may have been ready for long enough.
    Available(ReplicaId),
    /// An image is to be resolved again.
    Image(ObjectKey),
    /// A Deployment's number of replicas is to be decided again.
    Scale(ObjectKey),
    /// A standby that could not be made ready is tried again.
    Standby(ObjectKey),
    /// A Deployment's rollout may have taken too long.
    Progress(ObjectKey),
}

/// Timers by time, and what the shell was asked for.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Timestamp, Timer)>,
    asked: Option<Timestamp>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.due.insert((at, timer));
    }

    /// Takes the next timer that is due.
    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }

    /// The shell has woken us: it no longer knows when it was to do so next.
    pub(crate) fn woken(&mut self) {
        self.asked = None;
    }

    /// When to be woken, if that is earlier than what the shell was asked for.
    pub(crate) fn ask(&mut self) -> Option<Timestamp> {
        let (at, _) = self.due.first()?;
        if self.asked.is_some_and(|asked| asked <= *at) {
            return None;
        }
        self.asked = Some(*at);
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_asked_only_for_what_is_earlier_and_again_when_it_has_woken_us() {
        let mut timers = Timers::default();
        timers.set(Timestamp::from_secs(5), Timer::Settled);
        assert_eq!(timers.ask(), Some(Timestamp::from_secs(5)));
        assert_eq!(timers.ask(), None);
        timers.set(Timestamp::from_secs(3), Timer::Settled);
        assert_eq!(timers.ask(), Some(Timestamp::from_secs(3)));
        timers.woken();
        assert_eq!(timers.ask(), Some(Timestamp::from_secs(3)), "it was woken too early");
    }
}
