use std::sync::Arc;

use api::{replica::Reserves, session::Capacity};
use parking_lot::Mutex;

/// What running replicas hold of a worker's capacity. The scheduler reckons with it when it places a replica; here it is
/// kept for those that start by themselves, of which the scheduler hears afterwards.
pub(super) struct Room {
    capacity: Capacity,
    held: Mutex<Totals>,
}

#[derive(Default)]
struct Totals {
    reserves: Reserves,
    replicas: u32,
}

/// A replica's part of the capacity, until it is dropped.
pub(super) struct Held {
    room: Arc<Room>,
    reserves: Reserves,
}

impl Room {
    pub(super) fn new(capacity: Capacity) -> Arc<Self> {
        Arc::new(Self { capacity, held: Mutex::default() })
    }

    /// Room that the scheduler has given.
    pub(super) fn hold(self: &Arc<Self>, reserves: Reserves) -> Held {
        self.held.lock().add(reserves);
        Held { room: self.clone(), reserves }
    }

    /// Room if there is some.
    pub(super) fn try_hold(self: &Arc<Self>, reserves: Reserves) -> Option<Held> {
        let mut held = self.held.lock();
        let within = |held: u64, asked: u64, capacity: u64| asked == 0 || held.saturating_add(asked) <= capacity;
        let fits = within(held.reserves.cpu_millis, reserves.cpu_millis, self.capacity.cpu_millis)
            && within(held.reserves.memory_bytes, reserves.memory_bytes, self.capacity.memory_bytes)
            && held.replicas < self.capacity.replicas;
        fits.then(|| {
            held.add(reserves);
            Held { room: self.clone(), reserves }
        })
    }
}

impl Totals {
    fn add(&mut self, reserves: Reserves) {
        self.reserves.cpu_millis += reserves.cpu_millis;
        self.reserves.memory_bytes += reserves.memory_bytes;
        self.replicas += 1;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.room.held.lock();
        held.reserves.cpu_millis -= self.reserves.cpu_millis;
        held.reserves.memory_bytes -= self.reserves.memory_bytes;
        held.replicas -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(memory_bytes: u64) -> Reserves {
        Reserves { cpu_millis: 0, memory_bytes }
    }

    #[test]
    fn what_starts_by_itself_starts_only_where_there_is_room() {
        let room = Room::new(Capacity { cpu_millis: 1000, memory_bytes: 100, replicas: 3 });
        let placed = room.hold(memory(80));
        assert!(room.try_hold(memory(30)).is_none());
        let small = room.try_hold(memory(20));
        assert!(small.is_some());
        drop(placed);
        assert!(room.try_hold(memory(80)).is_some());
    }

    #[test]
    fn who_asks_for_nothing_needs_a_place_all_the_same() {
        let room = Room::new(Capacity { cpu_millis: 0, memory_bytes: 0, replicas: 1 });
        let _one = room.try_hold(Reserves::default()).unwrap();
        assert!(room.try_hold(Reserves::default()).is_none());
    }
}
