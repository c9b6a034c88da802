use std::collections::{BTreeMap, BTreeSet};

use api::{ObjectKey, ReplicaId, Timestamp, WorkerName};
use scheduler::{Action, DeploymentStatus, ReplicaState, ReplicaView, Revision, WorkerView};

/// What the shell believes, from actions alone: what is not told is not known.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    pub(crate) replicas: BTreeMap<ReplicaId, ReplicaView>,
    pub(crate) revisions: BTreeMap<ObjectKey, Revision>,
    pub(crate) of_revision: BTreeMap<ObjectKey, BTreeSet<ReplicaId>>,
    pub(crate) workers: BTreeMap<WorkerName, WorkerView>,
    pub(crate) statuses: BTreeMap<ObjectKey, DeploymentStatus>,
    /// How many replicas each Deployment wanted after the last step.
    pub(crate) wanted: BTreeMap<ObjectKey, u32>,
    /// Replicas that were asked to leave, by a user or with their worker. They go even if that worker comes back to stay.
    pub(crate) evicted: BTreeSet<ReplicaId>,
    /// Names ever published in this life.
    pub(crate) seen: BTreeSet<ReplicaId>,
    /// Where each replica was told to start.
    pub(crate) started_on: BTreeMap<ReplicaId, WorkerName>,
}

impl Mirror {
    pub(crate) fn note(&mut self, action: &Action) {
        match action {
            Action::PublishReplica(view) => {
                self.seen.insert(view.id.clone());
                self.of_revision.entry(view.revision.clone()).or_default().insert(view.id.clone());
                self.replicas.insert(view.id.clone(), view.clone());
            }
            Action::RemoveReplica(id) => {
                let Some(view) = self.replicas.remove(id) else { return };
                if let Some(ids) = self.of_revision.get_mut(&view.revision) {
                    ids.remove(id);
                }
            }
            Action::PutRevision(revision) => {
                self.revisions.insert(revision.key.clone(), revision.clone());
            }
            Action::DeleteRevision(key) => {
                self.revisions.remove(key);
            }
            Action::PublishWorker(view) => {
                if view.leaving {
                    let there = self.replicas.values().filter(|replica| replica.worker.as_ref() == Some(&view.name));
                    self.evicted.extend(there.map(|replica| replica.id.clone()));
                }
                self.workers.insert(view.name.clone(), view.clone());
            }
            Action::RemoveWorker(name) => {
                self.workers.remove(name);
            }
            Action::DeploymentStatus { key, status } => {
                self.statuses.insert(key.clone(), status.clone());
            }
            _ => {}
        }
    }

    /// Replicas of a Deployment that have been ready for `min_ready`.
    pub(crate) fn available<'a>(
        &'a self,
        deployment: &'a ObjectKey,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a ReplicaView> + 'a {
        let owned = self.revisions.values().filter(move |revision| revision.deployment.as_ref() == Some(deployment));
        owned.flat_map(move |revision| {
            let ids = self.of_revision.get(&revision.key).into_iter().flatten();
            ids.map(|id| &self.replicas[id]).filter(move |view| is_available(view, revision, now))
        })
    }
}

fn is_available(view: &ReplicaView, revision: &Revision, now: Timestamp) -> bool {
    view.state == ReplicaState::Ready && view.ready_since.is_some_and(|since| since + revision.min_ready <= now)
}
