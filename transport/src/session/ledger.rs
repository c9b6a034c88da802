use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Messages that the other side may not have received, kept so that they can be sent again. Beyond, a sender waits.
pub(super) const MAX_UNACKNOWLEDGED: usize = 2048;
/// After so many received ones it is said at once how many there are, so that the other side need not wait.
pub(super) const SAY_AFTER: u64 = MAX_UNACKNOWLEDGED as u64 / 4;

/// What was sent and what was received in one session, over however many connections. Pure.
#[derive(Debug)]
pub(super) struct Ledger<M> {
    /// The oldest first; the last has the sequence `sent`.
    unacknowledged: VecDeque<M>,
    sent: u64,
    received: u64,
    /// When the other side has received something last, or had everything.
    progressed: Instant,
}

/// A message did not follow the one before: the session cannot go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {found} follows message {last}")]
pub(super) struct Gap {
    last: u64,
    found: u64,
}

impl<M: Clone> Ledger<M> {
    pub(super) fn new() -> Self {
        Self { unacknowledged: VecDeque::new(), sent: 0, received: 0, progressed: Instant::now() }
    }

    /// Whether another message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.unacknowledged.len() < MAX_UNACKNOWLEDGED
    }

    /// Notes a message that is sent now. Answers its sequence.
    pub(super) fn send(&mut self, message: M) -> u64 {
        if self.unacknowledged.is_empty() {
            self.progressed = Instant::now();
        }
        self.unacknowledged.push_back(message);
        self.sent += 1;
        self.sent
    }

    /// The other side has received so many.
    pub(super) fn acknowledged(&mut self, received: u64) {
        let first = self.sent - self.unacknowledged.len() as u64;
        let known = usize::try_from(received.min(self.sent).saturating_sub(first)).unwrap_or(0);
        self.unacknowledged.drain(..known);
        if known > 0 {
            self.progressed = Instant::now();
        }
    }

    /// How long the other side has received nothing of what was sent; zero if it has everything.
    pub(super) fn waited(&self) -> Duration {
        if self.unacknowledged.is_empty() { Duration::ZERO } else { self.progressed.elapsed() }
    }

    /// Whether a message that came is new. One that came before is dropped.
    pub(super) fn receive(&mut self, sequence: u64) -> Result<bool, Gap> {
        if sequence > self.received + 1 {
            return Err(Gap { last: self.received, found: sequence });
        }
        let new = sequence == self.received + 1;
        self.received += u64::from(new);
        Ok(new)
    }

    /// How many messages have been received, to be told to the other side.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// What the other side has not received, with its sequences, if it can go on from there.
    pub(super) fn resend(&mut self, received: u64) -> Option<Vec<(u64, M)>> {
        let first = self.sent - self.unacknowledged.len() as u64;
        if received < first || received > self.sent {
            return None;
        }
        self.acknowledged(received);
        Some((received + 1..).zip(self.unacknowledged.iter().cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_received_is_sent_again_after_a_break() {
        let mut ledger = Ledger::new();
        for message in ["a", "b", "c", "d"] {
            ledger.send(message);
        }
        ledger.acknowledged(1);
        assert_eq!(ledger.resend(2), Some(vec![(3, "c"), (4, "d")]));
        assert_eq!(ledger.send("e"), 5);
        assert_eq!(ledger.resend(4), Some(vec![(5, "e")]));
    }

    #[test]
    fn a_session_cannot_go_on_from_what_nobody_has_any_more() {
        let mut ledger = Ledger::new();
        ledger.send("a");
        ledger.acknowledged(1);
        assert_eq!(ledger.resend(0), None, "it has been forgotten");
        assert_eq!(ledger.resend(2), None, "it has never been sent");
    }

    #[test]
    fn messages_that_come_twice_count_once_and_gaps_are_seen() {
        let mut ledger = Ledger::<&str>::new();
        assert_eq!(ledger.receive(1), Ok(true));
        assert_eq!(ledger.receive(1), Ok(false));
        assert_eq!(ledger.received(), 1);
        assert_eq!(ledger.receive(3), Err(Gap { last: 1, found: 3 }));
    }

    #[test]
    fn acknowledgements_that_come_late_or_lie_do_no_harm() {
        let mut ledger = Ledger::new();
        ledger.send("a");
        ledger.send("b");
        ledger.acknowledged(2);
        ledger.acknowledged(1);
        ledger.acknowledged(99);
        assert_eq!(ledger.resend(2), Some(Vec::new()));
    }
}
