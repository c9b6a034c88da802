use std::{collections::BTreeMap, time::Duration};

use api::{Timestamp, WorkerName};

use super::decision::Refusal;

/// A worker that is refused again is warned of again after this time, whatever it asks meanwhile.
const EVERY: Duration = Duration::from_secs(60);

/// Counts what is refused, and says so in few lines.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    of: BTreeMap<WorkerName, Refused>,
}

#[derive(Debug, Default)]
struct Refused {
    count: u64,
    /// When it was last warned of, and how often it has been refused since.
    warned: Option<Timestamp>,
    unsaid: u64,
}

impl Warnings {
    pub(super) fn refused(&mut self, worker: &WorkerName, refusal: &Refusal, now: Timestamp) {
        let refused = self.of.entry(worker.clone()).or_default();
        refused.count += 1;
        if refused.warned.is_some_and(|at| now.since(at) < EVERY) {
            refused.unsaid += 1;
            return;
        }
        tracing::warn!(why = %refusal, unsaid = refused.unsaid, "refused, as are others of its kind");
        (refused.warned, refused.unsaid) = (Some(now), 0);
    }

    pub(super) fn forget(&mut self, worker: &WorkerName) {
        self.of.remove(worker);
    }

    pub(super) fn counts(&self) -> Vec<(WorkerName, u64)> {
        self.of.iter().map(|(worker, refused)| (worker.clone(), refused.count)).collect()
    }
}
