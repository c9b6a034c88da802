//! What is kept of workers over restarts: that they exist, and what users have said of them.

use std::collections::{BTreeMap, BTreeSet};

use api::{WorkerMarks, WorkerName};
use bytes::Bytes;
use scheduler::{Event, WorkerView};
use serde::{Deserialize, Serialize};
use store::{MAX_TXN, Op, Store, StoreError, object_key};

use super::Shell;
use crate::peers::placements_key;

/// Under which they are in the store: no kind of the API.
const GROUP: &str = "sampan.dev";
const PLURAL: &str = "workers";
/// Under which it is noted which of them the last process had of its own, as a list of names.
const OWN: (&str, &str) = ("own-workers", "names");
/// Records that are read at a time.
const PAGE: usize = 1000;

/// What is kept of one worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) cordoned: bool,
    #[serde(default, skip_serializing_if = "WorkerMarks::is_empty")]
    pub(crate) marks: WorkerMarks,
}

/// The workers that may come to a control plane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// Those that begin and end with its process.
    pub(crate) own: BTreeSet<WorkerName>,
    /// Whether others join.
    pub(crate) others: bool,
}

/// Under which a worker's record is in the store.
pub(crate) fn key(name: &WorkerName) -> String {
    object_key(GROUP, PLURAL, None, &name.0)
}

impl Known {
    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("plain data is JSON").into()
    }

    /// As it was kept; `None`: it cannot be read.
    pub(crate) fn from_bytes(kept: &[u8]) -> Option<Self> {
        serde_json::from_slice(kept).ok()
    }
}

/// What has been written of each worker.
#[derive(Debug, Default)]
pub(super) struct KnownWorkers(BTreeMap<WorkerName, Known>);

impl KnownWorkers {
    /// Reads what an earlier life knew, and forgets workers that ended with its process and are not this one's.
    pub(super) async fn read(store: &dyn Store, expected: &Expected) -> Result<Self, StoreError> {
        let mut known = Self::read_all(store).await?;
        let own_key = object_key(GROUP, OWN.0, None, OWN.1);
        let before = store.get(&own_key).await?;
        let before: BTreeSet<WorkerName> = before.and_then(|noted| names(&noted.value)).unwrap_or_default();
        if before != expected.own {
            let gone: Vec<&WorkerName> = before.difference(&expected.own).collect();
            let records: Vec<String> = gone.iter().flat_map(|name| [key(name), placements_key(name)]).collect();
            for some in records.chunks(MAX_TXN) {
                store.txn(Vec::new(), some.iter().cloned().map(Op::Delete).collect()).await?;
            }
            known.retain(|name, _| !gone.contains(&name));
            // Noted last: whoever is cut off before begins again.
            store.txn(Vec::new(), vec![Op::Put(own_key, noted(&expected.own))]).await?;
        }
        Ok(Self(known))
    }

    async fn read_all(store: &dyn Store) -> Result<BTreeMap<WorkerName, Known>, StoreError> {
        let prefix = object_key(GROUP, PLURAL, None, "");
        let (mut known, mut after) = (BTreeMap::new(), None);
        loop {
            let page = store.list(&prefix, PAGE, after.as_deref()).await?;
            for item in &page.items {
                let name = WorkerName(item.key[prefix.len()..].into());
                if let Some(record) = Known::from_bytes(&item.value) {
                    known.insert(name, record);
                }
            }
            after = page.items.last().map(|item| item.key.clone());
            if page.remaining == 0 {
                return Ok(known);
            }
        }
    }

    /// What the scheduler is told before anything else: who is waited for. Workers of this process also where they are new,
    /// as all of them come at once; others where they are known, unless nobody can join.
    pub(super) fn events(&self, expected: &Expected) -> Vec<Event> {
        let joined = self.0.keys().filter(|_| expected.others);
        let awaited: BTreeSet<&WorkerName> = joined.chain(&expected.own).collect();
        let events = |worker: &WorkerName| {
            let Known { cordoned, marks } = self.0.get(worker).cloned().unwrap_or_default();
            [Event::KnownWorker { worker: worker.clone(), cordoned }, Event::Marked { worker: worker.clone(), marks }]
        };
        awaited.into_iter().flat_map(events).collect()
    }
}

fn names(noted: &[u8]) -> Option<BTreeSet<WorkerName>> {
    let names: Vec<String> = serde_json::from_slice(noted).ok()?;
    Some(names.into_iter().map(|name| WorkerName(name.into())).collect())
}

fn noted(own: &BTreeSet<WorkerName>) -> Bytes {
    let names: Vec<&str> = own.iter().map(|name| &*name.0).collect();
    Bytes::from(serde_json::to_vec(&names).expect("plain data is JSON"))
}

impl Shell {
    /// A worker is new, or something else was said of it: that is written in the background. Who says it has written it before.
    pub(super) fn know_worker(&mut self, view: &WorkerView) {
        let known = Known { cordoned: view.cordoned, marks: view.marks.clone() };
        if self.known_workers.0.get(&view.name) != Some(&known) {
            self.writer.record(key(&view.name), known.to_bytes());
            self.known_workers.0.insert(view.name.clone(), known);
        }
    }

    pub(super) fn forget_worker(&mut self, name: &WorkerName) {
        self.known_workers.0.remove(name);
        self.no_longer_advertised(name);
        self.writer.delete(key(name));
        self.writer.delete(placements_key(name));
    }
}
