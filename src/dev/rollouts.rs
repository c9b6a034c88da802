//! Says when a Deployment has become what it is to be: what to tell of the changes of Deployments and Pods.

use std::collections::{BTreeMap, BTreeSet};

use api::ObjectKey;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use tokio::time::Instant;

use super::ready::{ReadyPods, revision_of};
use crate::client::rollout::{Progress, progress};

/// Something to tell about a Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// It runs for the first time since we look.
    Deployed { ready: i32 },
    /// All its replicas are of a new revision.
    RolledOut { ready: i32 },
    /// It has another number of replicas.
    Scaled { ready: i32 },
    /// Its rollout makes no progress.
    Stuck(String),
}

/// What is known of Deployments and their Pods. A status may be from before a restart, so that a Deployment
/// counts as running only when as many Pods of its revision are ready.
#[derive(Debug, Default)]
pub(super) struct Rollouts {
    deployments: BTreeMap<ObjectKey, Known>,
    ready: ReadyPods,
}

#[derive(Debug)]
struct Known {
    deployment: Deployment,
    settled: bool,
    /// Revision and replicas that were told.
    told: Option<(String, i32)>,
    stuck: bool,
}

impl Rollouts {
    /// A Deployment is new or has changed.
    pub(super) fn deployment(&mut self, deployment: Deployment) -> Option<(ObjectKey, News)> {
        let key = key_of(&deployment);
        let known = self.deployments.entry(key.clone()).or_insert_with(|| Known {
            deployment: deployment.clone(),
            settled: false,
            told: None,
            stuck: false,
        });
        known.deployment = deployment;
        known.news(&self.ready).map(|news| (key, news))
    }

    /// A Deployment is gone.
    pub(super) fn deployment_gone(&mut self, deployment: &Deployment) {
        self.deployments.remove(&key_of(deployment));
    }

    /// A Pod is new or has changed.
    pub(super) fn pod(&mut self, pod: &Pod) -> Vec<(ObjectKey, News)> {
        if self.ready.pod(pod) { self.news_in(&key_of(pod).namespace) } else { Vec::new() }
    }

    /// A ReplicaSet is new or has changed.
    pub(super) fn set(&mut self, set: &ReplicaSet) -> Vec<(ObjectKey, News)> {
        if self.ready.set(set) { self.news_in(&key_of(set).namespace) } else { Vec::new() }
    }

    /// A ReplicaSet is gone.
    pub(super) fn set_gone(&mut self, set: &ReplicaSet) {
        self.ready.set_gone(set);
    }

    fn news_in(&mut self, namespace: &str) -> Vec<(ObjectKey, News)> {
        let there = self.deployments.iter_mut().filter(|(deployment, _)| &*deployment.namespace == namespace);
        there.filter_map(|(key, known)| Some((key.clone(), known.news(&self.ready)?))).collect()
    }

    /// A Pod is gone.
    pub(super) fn pod_gone(&mut self, pod: &Pod) {
        self.ready.pod_gone(pod);
    }

    /// When the last of a Deployment's Pods became ready, of those of its revision.
    pub(super) fn served_since(&self, key: &ObjectKey) -> Option<Instant> {
        self.ready.since(&self.deployments.get(key)?.deployment)
    }

    /// The Deployments that are what they are to be.
    pub(super) fn settled(&self) -> BTreeSet<ObjectKey> {
        self.deployments.iter().filter(|(_, known)| known.settled).map(|(key, _)| key.clone()).collect()
    }
}

impl Known {
    fn news(&mut self, ready: &ReadyPods) -> Option<News> {
        let wanted = self.deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        match progress(&self.deployment) {
            Progress::Done if ready.count(&self.deployment) >= wanted => {}
            Progress::Failed(why) => {
                self.settled = false;
                return (!std::mem::replace(&mut self.stuck, true)).then_some(News::Stuck(why));
            }
            _ => {
                (self.settled, self.stuck) = (false, false);
                return None;
            }
        }
        (self.settled, self.stuck) = (true, false);
        let revision = revision_of(&self.deployment);
        let news = match &self.told {
            None => Some(News::Deployed { ready: wanted }),
            Some((told, _)) if *told != revision => Some(News::RolledOut { ready: wanted }),
            Some((_, told)) if *told != wanted => Some(News::Scaled { ready: wanted }),
            Some(_) => None,
        };
        self.told = Some((revision, wanted));
        news
    }
}

/// What an object is called.
pub(super) fn key_of(object: &impl kube::Resource) -> ObjectKey {
    let meta = object.meta();
    ObjectKey::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::revisions::REVISION;

    fn deployment(revision: u32, replicas: i32, updated: i32) -> Deployment {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "shop", "namespace": "a", "generation": 1, "annotations": {REVISION: revision.to_string()}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": {}},
            "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": updated},
        }))
        .unwrap()
    }

    fn pod(name: &str, revision: u32, ready: &str) -> Pod {
        let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("shop-{revision}"), "uid": ""});
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "a", "labels": {"app": "shop"}, "ownerReferences": [set]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn set(revision: u32) -> ReplicaSet {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": format!("shop-{revision}"), "namespace": "a",
                "annotations": {REVISION: revision.to_string()}},
        }))
        .unwrap()
    }

    /// A Deployment whose ReplicaSets are known.
    fn rollouts() -> Rollouts {
        let mut rollouts = Rollouts::default();
        assert!([1, 2].map(|revision| rollouts.set(&set(revision))).concat().is_empty());
        rollouts
    }

    fn news(told: impl IntoIterator<Item = (ObjectKey, News)>) -> Vec<News> {
        told.into_iter().map(|(_, news)| news).collect()
    }

    #[test]
    fn a_deployment_is_told_once_its_pods_are_ready_and_not_before() {
        let mut rollouts = rollouts();
        assert_eq!(rollouts.deployment(deployment(1, 2, 2)), None, "a status from before a restart");
        assert_eq!(rollouts.pod(&pod("x", 1, "True")), []);
        assert!(rollouts.settled().is_empty());
        assert_eq!(news(rollouts.pod(&pod("y", 1, "True"))), [News::Deployed { ready: 2 }]);
        assert_eq!(rollouts.settled().len(), 1);
        assert_eq!(rollouts.deployment(deployment(1, 2, 2)), None, "no news");
    }

    #[test]
    fn a_new_revision_and_a_new_number_are_told_apart() {
        let mut rollouts = rollouts();
        rollouts.deployment(deployment(1, 1, 1));
        rollouts.pod(&pod("x", 1, "True"));
        assert_eq!(rollouts.deployment(deployment(2, 1, 0)), None);
        assert!(rollouts.settled().is_empty());
        assert_eq!(rollouts.pod(&pod("y", 2, "True")), [], "the Deployment does not say so yet");
        assert_eq!(news(rollouts.deployment(deployment(2, 1, 1))), [News::RolledOut { ready: 1 }]);
        assert_eq!(rollouts.deployment(deployment(2, 2, 2)), None);
        assert_eq!(news(rollouts.pod(&pod("z", 2, "True"))), [News::Scaled { ready: 2 }]);
    }

    #[test]
    fn a_pod_of_the_revision_before_does_not_stand_for_one_that_is_not_told_yet() {
        let (mut rollouts, key) = (rollouts(), ObjectKey::new("a", "shop"));
        rollouts.pod(&pod("x", 1, "True"));
        rollouts.deployment(deployment(1, 1, 1));
        let before = rollouts.served_since(&key).unwrap();
        assert_eq!(rollouts.deployment(deployment(2, 1, 1)), None, "its Pod is told later");
        assert_eq!(rollouts.served_since(&key), None);
        assert_eq!(news(rollouts.pod(&pod("y", 2, "True"))), [News::RolledOut { ready: 1 }]);
        assert!(rollouts.served_since(&key).unwrap() >= before);
    }

    #[test]
    fn a_return_to_an_earlier_revision_is_told_once_its_replica_set_is_that_revision() {
        let mut rollouts = rollouts();
        rollouts.pod(&pod("x", 1, "True"));
        rollouts.deployment(deployment(2, 1, 0));
        assert_eq!(rollouts.deployment(deployment(3, 1, 1)), None);
        let mut returned = set(3);
        returned.metadata.name = Some("shop-1".to_owned());
        assert_eq!(news(rollouts.set(&returned)), [News::Deployed { ready: 1 }]);
    }

    #[test]
    fn a_pod_that_goes_does_not_count() {
        let mut rollouts = rollouts();
        rollouts.deployment(deployment(1, 1, 1));
        rollouts.pod(&pod("x", 1, "False"));
        rollouts.pod_gone(&pod("x", 1, "True"));
        assert!(rollouts.settled().is_empty());
    }
}
