use std::collections::BTreeMap;

use api::ObjectKey;
use scheduler::{Deployment, Revision, autoscale::Autoscaler};

/// What outlives the control plane. Users' writes are in it at once; the scheduler's come late, or never if the control plane
/// ends before.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) deployments: BTreeMap<ObjectKey, Deployment>,
    pub(crate) revisions: BTreeMap<ObjectKey, Revision>,
    /// By the Deployment that each scales.
    pub(crate) autoscalers: BTreeMap<ObjectKey, Autoscaler>,
}

#[derive(Debug, Clone)]
pub(crate) enum Write {
    Put(Revision),
    Delete(ObjectKey),
    /// The number that an autoscaler has chosen.
    Replicas(ObjectKey, u32),
}

impl Store {
    pub(crate) fn apply(&mut self, write: Write) {
        match write {
            // As the shell does it: nothing is written for a Deployment that is gone.
            Write::Put(revision) => {
                if revision.deployment.as_ref().is_none_or(|owner| self.deployments.contains_key(owner)) {
                    self.revisions.insert(revision.key.clone(), revision);
                }
            }
            Write::Delete(key) => {
                self.revisions.remove(&key);
            }
            Write::Replicas(key, replicas) => {
                if let Some(deployment) = self.deployments.get_mut(&key).filter(|held| held.replicas != replicas) {
                    deployment.replicas = replicas;
                    deployment.generation += 1;
                    deployment.autoscaled = true;
                }
            }
        }
    }

    /// A Deployment is deleted, and what it owns with it.
    pub(crate) fn delete_deployment(&mut self, key: &ObjectKey) {
        self.deployments.remove(key);
        self.autoscalers.remove(key);
        self.revisions.retain(|_, revision| revision.deployment.as_ref() != Some(key));
    }
}
