use api::ObjectKey;

use crate::{DeploymentStatus, ReplicaView, Revision, Scheduler, WorkerView};

/// What the scheduler believes, to be read only.
impl Scheduler {
    /// All replicas, by name.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaView> + '_ {
        self.replicas.values().map(crate::state::Replica::view)
    }

    /// All revisions, by name.
    pub fn revisions(&self) -> impl Iterator<Item = &Revision> + '_ {
        self.revisions.values().map(|revision| &revision.spec)
    }

    /// The revision of this name.
    pub fn revision_named(&self, key: &ObjectKey) -> Option<&Revision> {
        self.revisions.get(key).map(|revision| &revision.spec)
    }

    /// The revision of a Deployment's template as it is now, if that is known.
    pub fn current_revision(&self, deployment: &ObjectKey) -> Option<&Revision> {
        self.revision_named(self.deployments.get(deployment)?.current.as_ref()?)
    }

    /// All workers, by name. What is reserved includes replicas that are not owned any more but have not ended.
    pub fn workers(&self) -> impl Iterator<Item = WorkerView> + '_ {
        self.workers.iter().map(crate::state::Worker::view)
    }

    /// How many replicas a Deployment is to have now: as the user wrote, or as its autoscaler decided.
    pub fn wanted_replicas(&self, key: &ObjectKey) -> Option<u32> {
        self.deployments.get(key).map(|deployment| deployment.wanted())
    }

    /// A Deployment's status as it was last told.
    pub fn deployment_status(&self, key: &ObjectKey) -> Option<&DeploymentStatus> {
        self.deployments.get(key)?.told.as_ref()
    }

    /// Whether replicas are started and stopped: the store has been read, and workers had their time to report.
    pub fn is_settled(&self) -> bool {
        self.settled
    }
}
