use std::{collections::HashMap, time::Duration};

use api::{Timestamp, WorkerName};

use super::decision::Refusal;

/// A worker that is refused again is warned of again after this time, whatever it asks meanwhile.
const EVERY: Duration = Duration::from_secs(60);

/// Counts what is refused, and says so in few lines.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    count: u64,
    /// When each worker was last warned of, and how often it has been refused since.
    of: HashMap<WorkerName, (Timestamp, u64)>,
}

impl Warnings {
    pub(super) fn refused(&mut self, worker: &WorkerName, refusal: &Refusal, now: Timestamp) {
        self.count += 1;
        let since = match self.of.get_mut(worker) {
            Some((at, since)) if now.since(*at) < EVERY => return *since += 1,
            Some((_, since)) => *since,
            None => 0,
        };
        self.of.insert(worker.clone(), (now, 0));
        tracing::warn!(why = %refusal, unsaid = since, "refused, as are others of its kind");
    }

    pub(super) fn forget(&mut self, worker: &WorkerName) {
        self.of.remove(worker);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}
