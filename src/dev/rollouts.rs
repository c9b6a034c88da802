//! Says when a Deployment has become what it is to be: what to tell of the changes of Deployments and Pods.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api::ObjectKey;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};
use tokio::time::Instant;

use crate::client::rollout::{Progress, progress};

const REVISION: &str = "deployment.kubernetes.io/revision";

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
/// counts as running only when as many of its Pods are ready.
#[derive(Debug, Default)]
pub(super) struct Rollouts {
    deployments: BTreeMap<ObjectKey, Known>,
    ready: HashMap<ObjectKey, Ready>,
}

/// A Pod that is ready.
#[derive(Debug)]
struct Ready {
    labels: BTreeMap<String, String>,
    since: Instant,
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
        known.news(&self.ready, &key.namespace).map(|news| (key, news))
    }

    /// A Deployment is gone.
    pub(super) fn deployment_gone(&mut self, deployment: &Deployment) {
        self.deployments.remove(&key_of(deployment));
    }

    /// A Pod is new or has changed.
    pub(super) fn pod(&mut self, pod: &Pod) -> Vec<(ObjectKey, News)> {
        let key = key_of(pod);
        let changed = if is_ready(pod) {
            let since = self.ready.get(&key).map_or_else(Instant::now, |known| known.since);
            self.ready.insert(key.clone(), Ready { labels: pod.labels().clone(), since }).is_none()
        } else {
            self.ready.remove(&key).is_some()
        };
        if !changed {
            return Vec::new();
        }
        let (deployments, ready) = (&mut self.deployments, &self.ready);
        let same_namespace = deployments.iter_mut().filter(|(deployment, _)| deployment.namespace == key.namespace);
        same_namespace.filter_map(|(key, known)| Some((key.clone(), known.news(ready, &key.namespace)?))).collect()
    }

    /// A Pod is gone.
    pub(super) fn pod_gone(&mut self, pod: &Pod) {
        self.ready.remove(&key_of(pod));
    }

    /// When the last of a Deployment's Pods became ready.
    pub(super) fn served_since(&self, key: &ObjectKey) -> Option<Instant> {
        self.deployments.get(key)?.pods(&self.ready, &key.namespace).map(|pod| pod.since).max()
    }

    /// The Deployments that are what they are to be.
    pub(super) fn settled(&self) -> BTreeSet<ObjectKey> {
        self.deployments.iter().filter(|(_, known)| known.settled).map(|(key, _)| key.clone()).collect()
    }
}

impl Known {
    fn news(&mut self, ready: &HashMap<ObjectKey, Ready>, namespace: &str) -> Option<News> {
        let wanted = self.deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        match progress(&self.deployment) {
            Progress::Done if self.count(ready, namespace) >= wanted => {}
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
        let revision = self.deployment.annotations().get(REVISION).cloned().unwrap_or_default();
        let news = match &self.told {
            None => Some(News::Deployed { ready: wanted }),
            Some((told, _)) if *told != revision => Some(News::RolledOut { ready: wanted }),
            Some((_, told)) if *told != wanted => Some(News::Scaled { ready: wanted }),
            Some(_) => None,
        };
        self.told = Some((revision, wanted));
        news
    }

    /// How many of its Pods are ready.
    fn count(&self, ready: &HashMap<ObjectKey, Ready>, namespace: &str) -> i32 {
        i32::try_from(self.pods(ready, namespace).count()).unwrap_or(i32::MAX)
    }

    fn pods<'a>(
        &self,
        ready: &'a HashMap<ObjectKey, Ready>,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Ready> + use<'a> {
        let selector = self.deployment.spec.as_ref().and_then(|spec| Selector::try_from(spec.selector.clone()).ok());
        let all = ready.iter().filter(move |(pod, _)| &*pod.namespace == namespace).map(|(_, ready)| ready);
        all.filter(move |ready| selector.as_ref().is_some_and(|selector| selector.matches(&ready.labels)))
    }
}

fn key_of(object: &impl kube::Resource) -> ObjectKey {
    let meta = object.meta();
    ObjectKey::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let going = pod.metadata.deletion_timestamp.is_some();
    !going && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(revision: u32, replicas: i32, updated: i32) -> Deployment {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "shop", "namespace": "a", "generation": 1, "annotations": {REVISION: revision.to_string()}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": {}},
            "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": updated},
        }))
        .unwrap()
    }

    fn pod(name: &str, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "a", "labels": {"app": "shop"}},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn news(told: impl IntoIterator<Item = (ObjectKey, News)>) -> Vec<News> {
        told.into_iter().map(|(_, news)| news).collect()
    }

    #[test]
    fn a_deployment_is_told_once_its_pods_are_ready_and_not_before() {
        let mut rollouts = Rollouts::default();
        assert_eq!(rollouts.deployment(deployment(1, 2, 2)), None, "a status from before a restart");
        assert_eq!(rollouts.pod(&pod("x", "True")), []);
        assert!(rollouts.settled().is_empty());
        assert_eq!(news(rollouts.pod(&pod("y", "True"))), [News::Deployed { ready: 2 }]);
        assert_eq!(rollouts.settled().len(), 1);
        assert_eq!(rollouts.deployment(deployment(1, 2, 2)), None, "no news");
    }

    #[test]
    fn a_new_revision_and_a_new_number_are_told_apart() {
        let mut rollouts = Rollouts::default();
        rollouts.deployment(deployment(1, 1, 1));
        rollouts.pod(&pod("x", "True"));
        assert_eq!(rollouts.deployment(deployment(2, 1, 0)), None);
        assert!(rollouts.settled().is_empty());
        assert_eq!(news(rollouts.deployment(deployment(2, 1, 1))), [News::RolledOut { ready: 1 }]);
        assert_eq!(rollouts.deployment(deployment(2, 2, 2)), None);
        assert_eq!(news(rollouts.pod(&pod("y", "True"))), [News::Scaled { ready: 2 }]);
    }

    #[test]
    fn a_pod_that_goes_does_not_count() {
        let mut rollouts = Rollouts::default();
        rollouts.deployment(deployment(1, 1, 1));
        rollouts.pod(&pod("x", "False"));
        rollouts.pod_gone(&pod("x", "True"));
        assert!(rollouts.settled().is_empty());
    }
}
