//! Which Pods answer, and of which revision they are: a Deployment and its Pods are told separately, so that one may be
//! told to be done while the other is still the one of before.

use std::collections::{BTreeMap, HashMap};

use api::ObjectKey;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};
use tokio::time::Instant;

use super::rollouts::key_of;
use crate::client::revisions::REVISION;

/// The Pods that are ready, and the revisions that there are.
#[derive(Debug, Default)]
pub(super) struct ReadyPods {
    pods: HashMap<ObjectKey, Ready>,
    /// The revision of each ReplicaSet.
    revisions: HashMap<ObjectKey, String>,
}

/// A Pod that is ready.
#[derive(Debug)]
struct Ready {
    labels: BTreeMap<String, String>,
    /// The ReplicaSet that it belongs to.
    set: Option<ObjectKey>,
    since: Instant,
}

impl ReadyPods {
    /// A Pod is new or has changed. Returns whether that changes which are ready.
    pub(super) fn pod(&mut self, pod: &Pod) -> bool {
        let key = key_of(pod);
        if !is_ready(pod) {
            return self.pods.remove(&key).is_some();
        }
        let owners = pod.metadata.owner_references.iter().flatten();
        let set = owners.filter(|owner| owner.kind == "ReplicaSet").map(|owner| &*owner.name).next();
        let set = set.map(|name| ObjectKey::new(&*key.namespace, name));
        let since = self.pods.get(&key).map_or_else(Instant::now, |known| known.since);
        self.pods.insert(key, Ready { labels: pod.labels().clone(), set, since }).is_none()
    }

    /// A Pod is gone.
    pub(super) fn pod_gone(&mut self, pod: &Pod) {
        self.pods.remove(&key_of(pod));
    }

    /// A ReplicaSet is new or has changed. Returns whether it is of another revision than it was.
    pub(super) fn set(&mut self, set: &ReplicaSet) -> bool {
        let revision = revision_of(set);
        self.revisions.insert(key_of(set), revision.clone()) != Some(revision)
    }

    /// A ReplicaSet is gone.
    pub(super) fn set_gone(&mut self, set: &ReplicaSet) {
        self.revisions.remove(&key_of(set));
    }

    /// How many there are of a Deployment as it is now.
    pub(super) fn count(&self, deployment: &Deployment) -> i32 {
        i32::try_from(self.of(deployment).count()).unwrap_or(i32::MAX)
    }

    /// When the last of a Deployment as it is now became ready.
    pub(super) fn since(&self, deployment: &Deployment) -> Option<Instant> {
        self.of(deployment).map(|pod| pod.since).max()
    }

    fn of(&self, deployment: &Deployment) -> impl Iterator<Item = &Ready> {
        let (namespace, revision) = (key_of(deployment).namespace, revision_of(deployment));
        let selector = deployment.spec.as_ref().and_then(|spec| Selector::try_from(spec.selector.clone()).ok());
        self.pods.values().filter(move |pod| {
            let set = pod.set.as_ref().filter(|set| set.namespace == namespace);
            set.and_then(|set| self.revisions.get(set)) == Some(&revision)
                && selector.as_ref().is_some_and(|selector| selector.matches(&pod.labels))
        })
    }
}

/// Which revision a Deployment has come to, or a ReplicaSet is.
pub(super) fn revision_of(object: &impl kube::ResourceExt) -> String {
    object.annotations().get(REVISION).cloned().unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let going = pod.metadata.deletion_timestamp.is_some();
    !going && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
