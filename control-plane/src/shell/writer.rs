//! What the scheduler decided and what was observed, written to the durable store in the background: in order for each
//! object, many objects at a time, the newest status only, and nothing that would change nothing. What follows the traffic is
//! written a little later: a service that is woken and goes to sleep again costs one write, not one for each step.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use kube_api::{
    finalizers::{is_deleted, is_held, mark_deleted},
    identity::{now, rfc3339},
    kind::DEPLOYMENT,
};
use parking_lot::Mutex;
use scheduler::{AutoscalerStatus, DeploymentStatus, Revision, RevisionStatus};
use serde_json::Value;
use store::{Compare, Op, Store, StoreError, Versioned};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    autoscaler_status::with_autoscaler_status,
    autoscaler_trouble::{Trouble, with_trouble},
    ingress_status::IngressStatus,
    owned,
    replica_set::{own_replica_set, replica_set, with_deployment_status, with_replicas, with_revision_status},
    run::sleep_or_never,
    service_status::ServiceStatus,
    wishes::{Pace, Status, Wish, Wishes},
};

/// Objects that are written at the same time: the store makes them durable together.
const MAX_AT_ONCE: usize = 256;
/// Tries for one object when others change it in between, before it has to wait its turn again.
const MAX_CONFLICTS: u32 = 8;
/// The wait after a failed write, doubled up to the second.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How long the last writes may take when the control plane ends.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Takes wishes without waiting; bounded by the number of objects, as each has one at most.
#[derive(Debug, Clone, Default)]
pub(super) struct Writer {
    wishes: Arc<Mutex<Wishes>>,
    changed: Arc<Notify>,
}

impl Writer {
    pub(super) fn put_revision(&self, key: String, revision: Revision, pace: Pace) {
        self.wish(key, pace, |wish| {
            wish.revision = Some(revision);
            wish.delete = false;
        });
    }

    pub(super) fn deployment_status(&self, key: String, status: DeploymentStatus, pace: Pace) {
        self.wish(key, pace, |wish| wish.status = Some(Status::Deployment(status)));
    }

    pub(super) fn revision_status(&self, key: String, status: RevisionStatus, pace: Pace) {
        self.wish(key, pace, |wish| wish.status = Some(Status::Revision(status)));
    }

    pub(super) fn service_status(&self, key: String, status: ServiceStatus) {
        self.wish(key, Pace::Now, |wish| wish.status = Some(Status::Service(status)));
    }

    pub(super) fn ingress_status(&self, key: String, status: IngressStatus) {
        self.wish(key, Pace::Now, |wish| wish.status = Some(Status::Ingress(status)));
    }

    pub(super) fn deployment_replicas(&self, key: String, replicas: u32) {
        self.wish(key, Pace::Soon, |wish| wish.replicas = Some(replicas));
    }

    pub(super) fn autoscaler_status(&self, key: String, status: AutoscalerStatus) {
        self.wish(key, Pace::Soon, |wish| wish.status = Some(Status::Autoscaler(status)));
    }

    pub(super) fn autoscaler_trouble(&self, key: String, trouble: Trouble) {
        self.wish(key, Pace::Now, |wish| wish.status = Some(Status::AutoscalerTrouble(trouble)));
    }

    pub(super) fn record(&self, key: String, record: Bytes) {
        self.wish(key, Pace::Now, |wish| *wish = Wish { record: Some(record), ..Wish::default() });
    }

    pub(super) fn delete(&self, key: String) {
        self.wish(key, Pace::Now, |wish| *wish = Wish { delete: true, ..Wish::default() });
    }

    fn wish(&self, key: String, pace: Pace, change: impl FnOnce(&mut Wish)) {
        self.wishes.lock().change(key, pace, Instant::now(), change);
        self.changed.notify_one();
    }

    /// Writes until it is told to end, and then what is left.
    pub(super) async fn run(self, store: Arc<dyn Store>, shutdown: CancellationToken) {
        let mut pause = RETRY_AFTER.0;
        while !shutdown.is_cancelled() {
            let failed = self.write_some(&*store).await;
            if failed {
                let _ = tokio::time::timeout(pause, shutdown.cancelled()).await;
                pause = (pause * 2).min(RETRY_AFTER.1);
            } else {
                pause = RETRY_AFTER.0;
                let due = self.wishes.lock().next_due();
                tokio::select! {
                    () = sleep_or_never(due) => {}
                    () = self.changed.notified() => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
        self.wishes.lock().make_due(None);
        let last = async { while !self.wishes.lock().is_empty() && !self.write_some(&*store).await {} };
        if tokio::time::timeout(LAST_WRITES, last).await.is_err() {
            tracing::warn!("some statuses were not written before the end; they are found out again at the next start");
        }
    }

    /// Writes as many as go at a time. Answers whether something failed; that waits for its turn again.
    async fn write_some(&self, store: &dyn Store) -> bool {
        let taken = {
            let mut wishes = self.wishes.lock();
            wishes.make_due(Some(Instant::now()));
            wishes.take(MAX_AT_ONCE)
        };
        let written = join_all(taken.into_iter().map(|(key, wish)| async move {
            let result = write(store, &key, &wish).await;
            (key, wish, result)
        }));
        let mut failed = false;
        for (key, wish, result) in written.await {
            let Err(error) = result else { continue };
            tracing::warn!(%key, %error, "an object could not be written; it is tried again");
            failed = true;
            self.wishes.lock().put_back(key, wish);
        }
        failed
    }
}

async fn write(store: &dyn Store, key: &str, wish: &Wish) -> Result<(), StoreError> {
    let mut conflicts = 0;
    loop {
        let Some((compare, ops)) = plan(store, key, wish).await? else { return Ok(()) };
        match store.txn(compare, ops).await {
            Err(StoreError::Conflict { .. }) if conflicts < MAX_CONFLICTS => conflicts += 1,
            other => return other.map(|_| ()),
        }
    }
}

/// The transaction that makes a wish true; `None` if it is true already, or its object is gone.
async fn plan(store: &dyn Store, key: &str, wish: &Wish) -> Result<Option<(Vec<Compare>, Vec<Op>)>, StoreError> {
    let current = store.get(key).await?;
    if wish.delete {
        return Ok(current.and_then(|held| deletion(key, &held)));
    }
    if let Some(record) = &wish.record {
        let same = current.as_ref().is_some_and(|held| held.value == *record);
        return Ok((!same).then(|| (Vec::new(), vec![Op::Put(key.to_owned(), record.clone())])));
    }
    let before = current.as_ref().map(parse);
    let mut compare = vec![match &current {
        Some(held) => Compare::At(key.to_owned(), held.revision),
        None => Compare::Absent(key.to_owned()),
    }];
    let after = match &wish.revision {
        Some(revision) => {
            let Some((object, owner)) = with_revision(store, revision, before.as_ref()).await? else { return Ok(None) };
            compare.extend(owner);
            object
        }
        None => match &before {
            Some(object) => object.clone(),
            None => return Ok(None),
        },
    };
    let after = match wish.replicas {
        Some(replicas) => owned::scaled(&after, with_replicas(after.clone(), replicas)),
        None => after,
    };
    let after = match &wish.status {
        Some(Status::Deployment(status)) => with_deployment_status(&after, status),
        Some(Status::Revision(status)) => with_revision_status(&after, status),
        Some(Status::Service(status)) => status.written_into(&after),
        Some(Status::Ingress(status)) => status.written_into(&after, now()),
        Some(Status::AutoscalerTrouble(trouble)) => with_trouble(&after, trouble, now()),
        Some(Status::Autoscaler(status)) => with_autoscaler_status(&after, status, now()),
        None => after,
    };
    if before.as_ref() == Some(&after) {
        return Ok(None);
    }
    Ok(Some((compare, vec![Op::Put(key.to_owned(), Bytes::from(after.to_string()))])))
}

/// A ReplicaSet is written only while its Deployment exists, so that none is left behind.
async fn with_revision(
    store: &dyn Store,
    revision: &Revision,
    before: Option<&Value>,
) -> Result<Option<(Value, Option<Compare>)>, StoreError> {
    let Some(deployment) = &revision.deployment else {
        return Ok(before.map(|current| (own_replica_set(revision, current), None)));
    };
    let owner_key = DEPLOYMENT.key(deployment);
    let Some(owner) = store.get(&owner_key).await? else { return Ok(None) };
    let object = replica_set(revision, &parse(&owner), before);
    Ok(Some((object, Some(Compare::At(owner_key, owner.revision)))))
}

/// Whoever has a finalizer on an object takes it away when his work is done, and only then it goes.
fn deletion(key: &str, held: &Versioned) -> Option<(Vec<Compare>, Vec<Op>)> {
    let mut object = parse(held);
    let compare = vec![Compare::At(key.to_owned(), held.revision)];
    match (is_held(&object), is_deleted(&object)) {
        (false, _) => Some((compare, vec![Op::Delete(key.to_owned())])),
        (true, true) => None,
        (true, false) => {
            mark_deleted(&mut object, None, &rfc3339(now()));
            Some((compare, vec![Op::Put(key.to_owned(), Bytes::from(object.to_string()))]))
        }
    }
}

fn parse(held: &Versioned) -> Value {
    // What is stored was JSON when it was stored; anything else is treated as an object without fields.
    serde_json::from_slice(&held.value).unwrap_or_default()
}
