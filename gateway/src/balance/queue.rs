use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::replica::Slot;

/// Requests that wait for a replica, in order of arrival.
///
/// No wake-up is lost: who waits is counted before it looks for a free slot, and who frees a slot looks at the count
/// after freeing. In the single order of these four steps one of the two sees the other.
#[derive(Default)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    next_ticket: u64,
    /// In order of tickets.
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    ticket: u64,
    hand: oneshot::Sender<Slot>,
}

impl Queue {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// A place at the end of the line, or `None` if `limit` requests stand there already.
    pub(super) fn join(&self, limit: usize) -> Option<(u64, oneshot::Receiver<Slot>)> {
        let mut line = self.line.lock();
        if line.waiters.len() >= limit {
            return None;
        }
        let (hand, receiver) = oneshot::channel();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.waiters.push_back(Waiter { ticket, hand });
        self.waiting.store(line.waiters.len(), SeqCst);
        Some((ticket, receiver))
    }

    /// Leaves the line. `false` if the ticket was called already.
    pub(super) fn leave(&self, ticket: u64) -> bool {
        let mut line = self.line.lock();
        let Ok(at) = line.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket) else { return false };
        line.waiters.remove(at);
        self.waiting.store(line.waiters.len(), SeqCst);
        true
    }

    /// Sends everybody away: waiting is in vain.
    pub(super) fn dismiss(&self) {
        let dismissed = {
            let mut line = self.line.lock();
            self.waiting.store(0, SeqCst);
            std::mem::take(&mut line.waiters)
        };
        // Outside of the lock: each wakes a request.
        drop(dismissed);
    }

    /// Gives slots that `take` yields to those who wait longest, until one or the other runs out.
    pub(super) fn serve(&self, take: impl Fn() -> Option<Slot>) {
        loop {
            // Handed over outside of the lock: a slot that nobody takes is dropped where it is sent.
            let called = self.call(&take);
            let left = called.into_iter().filter_map(|(hand, slot)| hand.send(slot).err()).count();
            if left == 0 {
                return;
            }
        }
    }

    fn call(&self, take: impl Fn() -> Option<Slot>) -> Vec<(oneshot::Sender<Slot>, Slot)> {
        let mut line = self.line.lock();
        let mut called = Vec::new();
        while !line.waiters.is_empty()
            && let Some(slot) = take()
        {
            let next = line.waiters.pop_front().expect("the line is not empty: it is locked and was looked at");
            called.push((next.hand, slot));
        }
        self.waiting.store(line.waiters.len(), SeqCst);
        called
    }
}
