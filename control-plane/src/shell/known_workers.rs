//! What is kept of workers over restarts: that they exist, and whether somebody has cordoned them.

use std::collections::{BTreeMap, BTreeSet};

use api::WorkerName;
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    cordoned: bool,
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

/// The record of a worker: its key, and what it holds. Who cordons a worker writes it before it is answered.
pub(crate) fn record(name: &WorkerName, cordoned: bool) -> (String, Bytes) {
    let record = serde_json::to_vec(&Known { cordoned }).expect("plain data is JSON");
    (key(name), Bytes::from(record))
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
                if let Ok(record) = serde_json::from_slice(&item.value) {
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
        let cordoned = |worker: &WorkerName| self.0.get(worker).is_some_and(|known| known.cordoned);
        let event = |worker: &WorkerName| Event::KnownWorker { worker: worker.clone(), cordoned: cordoned(worker) };
        awaited.into_iter().map(event).collect()
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
    /// A worker is new, or was cordoned or put back: that is written in the background.
    pub(super) fn know_worker(&mut self, view: &WorkerView) {
        let known = Known { cordoned: view.cordoned };
        if self.known_workers.0.insert(view.name.clone(), known) != Some(known) {
            let (key, record) = record(&view.name, known.cordoned);
            self.writer.record(key, record);
        }
    }

    pub(super) fn forget_worker(&mut self, name: &WorkerName) {
        self.known_workers.0.remove(name);
        self.no_longer_advertised(name);
        self.writer.delete(key(name));
        self.writer.delete(placements_key(name));
    }
}
