//! Replicas: starting, ready, and leaving when they have done what they have.

use std::{collections::VecDeque, time::Duration};

use api::Timestamp;

/// Where a replica is in the pool, for as long as it is there.
pub(super) type Slot = usize;

pub(super) struct Pool {
    concurrency: u32,
    start: Duration,
    replicas: Vec<Replica>,
    /// Slots of those that are gone.
    free: Vec<Slot>,
    /// Those that take requests, by how many they have; a full one has as many as the last index says.
    by_load: Vec<Vec<Slot>>,
    /// Below it, `by_load` is empty.
    least: usize,
    /// In order of when they are ready: each start takes equally long.
    starting: VecDeque<(Timestamp, Slot)>,
    pub(super) ready: u32,
    pub(super) draining: u32,
    pub(super) starts: u64,
}

struct Replica {
    state: State,
    in_flight: u32,
    ready_at: Timestamp,
    /// Where in its list of `by_load`, while it is in one.
    place: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    /// It was started by a request, which it has already.
    OnDemand,
    Ready,
    Draining,
    Gone,
}

impl Pool {
    pub(super) fn new(concurrency: u32, start: Duration) -> Self {
        Self {
            concurrency: concurrency.max(1),
            start,
            replicas: Vec::new(),
            free: Vec::new(),
            by_load: vec![Vec::new(); concurrency.max(1) as usize + 1],
            least: 0,
            starting: VecDeque::new(),
            ready: 0,
            draining: 0,
            starts: 0,
        }
    }

    /// All that cost something.
    pub(super) fn alive(&self) -> usize {
        self.starting.len() + self.ready as usize + self.draining as usize
    }

    /// When the next one is ready.
    pub(super) fn next_ready(&self) -> Option<Timestamp> {
        self.starting.front().map(|(at, _)| *at)
    }

    /// Starts a replica that takes requests from now on, and works on them when it is ready: a standby.
    pub(super) fn start_on_demand(&mut self, now: Timestamp) {
        let slot = self.start(State::OnDemand, now);
        self.put(slot);
    }

    /// Starts or stops replicas until there are to be so many, not counting those that leave. Whether any was stopped.
    pub(super) fn resize(&mut self, desired: u32, now: Timestamp) -> bool {
        let mut count = self.starting.len() as u32 + self.ready;
        while count < desired {
            self.start(State::Starting, now);
            count += 1;
        }
        let mut has_stopped = false;
        while count > desired && self.stop_one() {
            (count, has_stopped) = (count - 1, true);
        }
        has_stopped
    }

    /// The next one that starts is ready. Whether a request had started it.
    pub(super) fn made_ready(&mut self) -> bool {
        let Some((_, slot)) = self.starting.pop_front() else { return false };
        let before = std::mem::replace(&mut self.replicas[slot].state, State::Ready);
        self.ready += 1;
        if before == State::Starting {
            self.put(slot);
        }
        before == State::OnDemand
    }

    /// Gives a request to the replica that has fewest: which, and from when on it works on it. `None`: none has room.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(Slot, Timestamp)> {
        let full = self.concurrency as usize;
        while self.least < full && self.by_load[self.least].is_empty() {
            self.least += 1;
        }
        let slot = *self.by_load[..full].get(self.least)?.last()?;
        self.remove(slot);
        self.replicas[slot].in_flight += 1;
        self.put(slot);
        Some((slot, now.max(self.replicas[slot].ready_at)))
    }

    /// A replica has done with a request.
    pub(super) fn done(&mut self, slot: Slot) {
        if self.replicas[slot].state != State::Draining {
            self.remove(slot);
            self.replicas[slot].in_flight -= 1;
            return self.put(slot);
        }
        self.replicas[slot].in_flight -= 1;
        if self.replicas[slot].in_flight == 0 {
            self.draining -= 1;
            self.gone(slot);
        }
    }

    fn start(&mut self, state: State, now: Timestamp) -> Slot {
        let replica = Replica { state, in_flight: 0, ready_at: now + self.start, place: 0 };
        let slot = self.free.pop().unwrap_or(self.replicas.len());
        match self.replicas.get_mut(slot) {
            Some(gone) => *gone = replica,
            None => self.replicas.push(replica),
        }
        self.starting.push_back((now + self.start, slot));
        self.starts += 1;
        slot
    }

    /// The one that is missed least: it starts still, or has fewest requests. `false`: those that are left are needed.
    fn stop_one(&mut self) -> bool {
        let last = self.starting.iter().rposition(|(_, slot)| self.replicas[*slot].state == State::Starting);
        if let Some((_, slot)) = last.and_then(|at| self.starting.remove(at)) {
            self.gone(slot);
            return true;
        }
        let ready = |slot: &&Slot| self.replicas[**slot].state == State::Ready;
        let Some(slot) = self.by_load.iter().flat_map(|slots| slots.iter().rev()).find(ready).copied() else {
            return false;
        };
        self.remove(slot);
        self.ready -= 1;
        if self.replicas[slot].in_flight == 0 {
            self.gone(slot);
        } else {
            self.replicas[slot].state = State::Draining;
            self.draining += 1;
        }
        true
    }

    fn gone(&mut self, slot: Slot) {
        self.replicas[slot].state = State::Gone;
        self.free.push(slot);
    }

    fn put(&mut self, slot: Slot) {
        let load = self.replicas[slot].in_flight as usize;
        self.replicas[slot].place = self.by_load[load].len();
        self.by_load[load].push(slot);
        self.least = self.least.min(load);
    }

    fn remove(&mut self, slot: Slot) {
        let Replica { in_flight, place, .. } = self.replicas[slot];
        let slots = &mut self.by_load[in_flight as usize];
        slots.swap_remove(place);
        if let Some(moved) = slots.get(place) {
            self.replicas[*moved].place = place;
        }
    }
}
