//! The status of PodDisruptionBudgets: how many Pods each has, needs, and could spare, as Kubernetes' disruption controller
//! counts them. Nothing here goes by it; people and tools look at it.

mod status;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use kube_api::{
    finalizers::is_deleted,
    identity::{now, rfc3339},
    kind::{DEPLOYMENT, Kind, POD, POD_DISRUPTION_BUDGET, REPLICA_SET},
};
use serde_json::Value;
use store::{Compare, Item, Op, Revision, Store, StoreError, Watch, WatchEvent};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use status::Counted;

/// Objects read from a store at a time.
const PAGE: usize = 1000;
/// After a change others are waited for, so that a rollout is not counted Pod by Pod.
const COUNT_AFTER: Duration = Duration::from_millis(500);
/// Counting takes at most this part of the time: where there are very many Pods it is done less often.
const SHARE: u32 = 20;

/// Keeps the statuses until the token is cancelled. Fails if a store cannot be read.
pub(crate) async fn run(
    durable: Arc<dyn Store>,
    live: Arc<dyn Store>,
    shutdown: CancellationToken,
) -> Result<(), StoreError> {
    let counter = Counter { durable, live };
    let [mut budgets, mut deployments] =
        [POD_DISRUPTION_BUDGET, DEPLOYMENT].map(|kind| Followed::of(kind, &counter.durable));
    let mut pods = Followed::of(POD, &counter.live);
    let mut count_at = Some(Instant::now());
    loop {
        let changed = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            changed = budgets.changed() => changed,
            changed = deployments.changed() => changed,
            changed = pods.changed() => changed,
            () = sleep_until(count_at.unwrap_or_else(Instant::now)), if count_at.is_some() => {
                let began = Instant::now();
                counter.count().await?;
                // What came meanwhile waits for its turn.
                count_at = None;
                let pause = COUNT_AFTER.max(began.elapsed() * SHARE);
                let _ = tokio::time::timeout(pause, shutdown.cancelled()).await;
                false
            }
        };
        if changed && count_at.is_none() {
            count_at = Some(Instant::now() + COUNT_AFTER);
        }
    }
}

/// The changes of one kind.
struct Followed {
    prefix: String,
    store: Arc<dyn Store>,
    watch: Watch,
}

impl Followed {
    fn of(kind: Kind, store: &Arc<dyn Store>) -> Self {
        let prefix = kind.prefix();
        Self { watch: store.watch(&prefix, store.revision()), store: store.clone(), prefix }
    }

    /// Waits for news; answers whether something changed. A watch that is too far behind begins anew.
    async fn changed(&mut self) -> bool {
        match self.watch.next().await {
            Some(WatchEvent::Put { .. } | WatchEvent::Delete { .. }) => true,
            Some(WatchEvent::Progress(_)) => false,
            Some(WatchEvent::Compacted) | None => {
                self.watch = self.store.watch(&self.prefix, self.store.revision());
                true
            }
        }
    }
}

struct Counter {
    durable: Arc<dyn Store>,
    live: Arc<dyn Store>,
}

impl Counter {
    /// Counts for each budget, and writes what has changed.
    async fn count(&self) -> Result<(), StoreError> {
        let budgets = all(&*self.durable, &POD_DISRUPTION_BUDGET.prefix()).await?;
        let namespaces: BTreeSet<String> = budgets
            .iter()
            .filter_map(|item| Some(POD_DISRUPTION_BUDGET.object(&item.key)?.namespace.to_string()))
            .collect();
        let mut counted = BTreeMap::new();
        for namespace in namespaces {
            counted.insert(namespace.clone(), self.in_namespace(&namespace).await?);
        }
        for item in budgets {
            let Some(namespace) = POD_DISRUPTION_BUDGET.object(&item.key).map(|key| key.namespace.to_string()) else {
                continue;
            };
            let (Some(counted), Some(budget)) = (counted.get(&namespace), read(&item.value)) else { continue };
            if is_deleted(&budget) {
                continue;
            }
            let status = status::of(&budget, counted, &rfc3339(now()));
            if budget["status"] != status {
                self.write(&item.key, item.revision, budget, status).await?;
            }
        }
        Ok(())
    }

    async fn in_namespace(&self, namespace: &str) -> Result<Counted, StoreError> {
        let of = |prefix: String| format!("{prefix}{namespace}/");
        let read = |items: Vec<Item>| items.iter().filter_map(|item| read(&item.value)).collect::<Vec<_>>();
        Ok(Counted {
            pods: read(all(&*self.live, &of(POD.prefix())).await?),
            replica_sets: read(all(&*self.durable, &of(REPLICA_SET.prefix())).await?),
            deployments: read(all(&*self.durable, &of(DEPLOYMENT.prefix())).await?),
        })
    }

    /// Who changed it meanwhile has told of it: it is counted again.
    async fn write(&self, key: &str, at: Revision, mut budget: Value, status: Value) -> Result<(), StoreError> {
        budget["status"] = status;
        let put = vec![Op::Put(key.to_owned(), Bytes::from(budget.to_string()))];
        match self.durable.txn(vec![Compare::At(key.to_owned(), at)], put).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => {
                tracing::warn!(%key, %error, "the status of a PodDisruptionBudget could not be written");
                Ok(())
            }
        }
    }
}

fn read(value: &Bytes) -> Option<Value> {
    serde_json::from_slice(value).ok()
}

async fn all(store: &dyn Store, prefix: &str) -> Result<Vec<Item>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None::<Arc<str>>);
    loop {
        let page = store.list(prefix, PAGE, after.as_deref()).await?;
        after = page.items.last().map(|item| item.key.clone());
        found.extend(page.items);
        if page.remaining == 0 {
            return Ok(found);
        }
    }
}
