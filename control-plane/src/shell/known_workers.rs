//! What is kept of workers over restarts: that they exist, and whether somebody has cordoned them.

use std::collections::BTreeMap;

use api::WorkerName;
use bytes::Bytes;
use scheduler::{Event, WorkerView};
use serde::{Deserialize, Serialize};

use super::Shell;
use crate::store::{Store, StoreError, object_key};

/// Under which they are in the store: no kind of the API.
const GROUP: &str = "sampan.dev";
const PLURAL: &str = "workers";
/// Records that are read at a time.
const PAGE: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    cordoned: bool,
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
    /// Reads what an earlier life knew.
    pub(super) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
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
                return Ok(Self(known));
            }
        }
    }

    /// What the scheduler is told of them.
    pub(super) fn events(&self) -> Vec<Event> {
        let event = |(worker, known): (&WorkerName, &Known)| Event::KnownWorker {
            worker: worker.clone(),
            cordoned: known.cordoned,
        };
        self.0.iter().map(event).collect()
    }
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
        self.network.set_address(name, None);
        self.writer.delete(key(name));
    }
}
