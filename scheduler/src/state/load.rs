use api::session::Capacity;

use crate::Resources;

/// What is taken of a worker, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) held: Resources,
    pub(crate) replicas: u32,
}

impl Load {
    pub(crate) fn add(&mut self, requests: Resources) {
        self.held.cpu_millis = self.held.cpu_millis.saturating_add(requests.cpu_millis);
        self.held.memory_bytes = self.held.memory_bytes.saturating_add(requests.memory_bytes);
        self.replicas += 1;
    }

    pub(crate) fn remove(&mut self, requests: Resources) {
        self.held.cpu_millis -= requests.cpu_millis;
        self.held.memory_bytes -= requests.memory_bytes;
        self.replicas -= 1;
    }

    /// What there is too little of for one more that asks for this; `None`: it fits. What asks for nothing of a kind fits also
    /// where that is exhausted.
    pub(crate) fn lacks(&self, asked: Resources, capacity: &Capacity) -> Option<&'static str> {
        let exceeds = |held: u64, asked: u64, most: u64| asked > 0 && held.saturating_add(asked) > most;
        if exceeds(self.held.memory_bytes, asked.memory_bytes, capacity.memory_bytes) {
            Some("Insufficient memory")
        } else if exceeds(self.held.cpu_millis, asked.cpu_millis, capacity.cpu_millis) {
            Some("Insufficient cpu")
        } else {
            (self.replicas >= capacity.replicas).then_some("Too many pods")
        }
    }
}
