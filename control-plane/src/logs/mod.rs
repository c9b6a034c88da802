//! What replicas wrote, as far as it is kept: a bounded ring for each.

mod ring;
mod stream;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::{ReplicaId, Timestamp, replica::LogLine};
use futures::stream::{BoxStream, StreamExt};
use kube_api::logs::PodLogs;
pub use kube_api::logs::{Follow, LogItem, LogQuery};
use parking_lot::Mutex;

use ring::Ring;
pub use stream::LogStream;

/// Lines kept for each replica.
pub const MAX_LINES: usize = 10_000;
/// Bytes of lines kept for each replica.
pub const MAX_BYTES: usize = 1 << 20;
/// How long the log of a replica that is gone can still be read.
pub const RETENTION: Duration = Duration::from_secs(300);
/// Logs of replicas that are gone, at most; the oldest go first.
pub const MAX_RETIRED: usize = 256;

/// The logs of all replicas. Clones are handles to the same logs.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    rings: Arc<Mutex<HashMap<ReplicaId, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    ring: Arc<Ring>,
    /// Since when the replica is gone.
    retired: Option<Timestamp>,
}

impl Logs {
    /// Adds lines, oldest first. Lines of a replica that is gone, or not announced, are kept as those of one that is gone.
    pub fn append(&self, id: &ReplicaId, lines: Vec<LogLine>, now: Timestamp) {
        let ring = self.rings.lock().entry(id.clone()).or_insert_with(|| Entry::new(Some(now))).ring.clone();
        ring.append(lines);
    }

    /// Opens a replica's log. `None` if there is no such replica, and none is remembered.
    ///
    /// A replica that has not written anything yet is known from [`Logs::announce`].
    pub fn open(&self, id: &ReplicaId, query: LogQuery) -> Option<LogStream> {
        let ring = self.rings.lock().get(id)?.ring.clone();
        Some(LogStream::new(ring, query))
    }

    /// Makes a replica known, so that its log can be opened before it has written anything.
    pub fn announce(&self, id: &ReplicaId) {
        let mut rings = self.rings.lock();
        let entry = rings.entry(id.clone()).or_insert_with(|| Entry::new(None));
        if entry.retired.take().is_some() {
            entry.ring.open();
        }
    }

    /// Says that a replica is gone: followers end, and its log is forgotten after [`RETENTION`].
    pub fn retire(&self, id: &ReplicaId, now: Timestamp) {
        let mut rings = self.rings.lock();
        if let Some(entry) = rings.get_mut(id) {
            entry.ring.close();
            entry.retired.get_or_insert(now);
        }
        forget(&mut rings, now);
    }

    /// Forgets the logs of replicas that have been gone for long enough.
    pub fn expire(&self, now: Timestamp) {
        forget(&mut self.rings.lock(), now);
    }
}

impl PodLogs for Logs {
    fn open(&self, id: &ReplicaId, query: LogQuery) -> Option<BoxStream<'static, LogItem>> {
        self.open(id, query).map(StreamExt::boxed)
    }

    fn announce(&self, id: &ReplicaId) {
        self.announce(id);
    }

    fn append(&self, id: &ReplicaId, lines: Vec<LogLine>, now: Timestamp) {
        self.append(id, lines, now);
    }

    fn retire(&self, id: &ReplicaId, now: Timestamp) {
        self.retire(id, now);
    }
}

impl Entry {
    fn new(retired: Option<Timestamp>) -> Self {
        Self { ring: Arc::new(Ring::default()), retired }
    }
}

fn forget(rings: &mut HashMap<ReplicaId, Entry>, now: Timestamp) {
    rings.retain(|_, entry| entry.retired.is_none_or(|since| now.since(since) < RETENTION));
    let mut retired: Vec<_> = rings.iter().filter_map(|(id, entry)| Some((entry.retired?, id.clone()))).collect();
    let surplus = retired.len().saturating_sub(MAX_RETIRED);
    if surplus > 0 {
        retired.sort();
        for (_, id) in retired.drain(..surplus) {
            rings.remove(&id);
        }
    }
}
