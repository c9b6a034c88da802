//! Watches what becomes of a project, and shows what matters: a line for each rollout and each failure.

use std::collections::{BTreeSet, HashSet};

use api::ObjectKey;
use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{Event, Pod},
};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;

use super::{
    edits::Edits,
    rollouts::{News, Rollouts},
};
use crate::{
    client::{connection::Connection, projects::PROJECT_LABEL},
    screen::Screen,
};

/// Failures that are remembered, so that each is shown once. Beyond, they may be shown again.
const REMEMBERED: usize = 4096;

/// Watches Deployments of one project, all ReplicaSets, all Pods, and all Events.
pub(super) struct Observer {
    connection: Connection,
    screen: Screen,
    project: String,
    rollouts: Rollouts,
    edits: Edits,
    shown: HashSet<(String, String, String)>,
    settled: watch::Sender<BTreeSet<ObjectKey>>,
}

impl Observer {
    /// An observer, and where it says which Deployments are what they are to be.
    pub(super) fn new(
        connection: Connection,
        screen: Screen,
        project: String,
        edits: Edits,
    ) -> (Self, watch::Receiver<BTreeSet<ObjectKey>>) {
        let (settled, receiver) = watch::channel(BTreeSet::new());
        let (rollouts, shown) = (Rollouts::default(), HashSet::new());
        (Self { connection, screen, project, rollouts, edits, shown, settled }, receiver)
    }

    /// Watches until it is dropped.
    pub(super) async fn run(mut self) {
        let ours = watcher::Config::default().labels(&format!("{PROJECT_LABEL}={}", self.project));
        let client = self.connection.client();
        let deployments: Api<Deployment> = Api::all(client.clone());
        let sets: Api<ReplicaSet> = Api::all(client.clone());
        let (pods, events): (Api<Pod>, Api<Event>) = (Api::all(client.clone()), Api::all(client));
        let mut deployments = watcher(deployments, ours).default_backoff().boxed();
        let mut sets = watcher(sets, watcher::Config::default()).default_backoff().boxed();
        let mut pods = watcher(pods, watcher::Config::default()).default_backoff().boxed();
        let mut events = watcher(events, watcher::Config::default()).default_backoff().applied_objects().boxed();
        loop {
            tokio::select! {
                Some(Ok(change)) = deployments.next() => self.deployment(change),
                Some(Ok(change)) = sets.next() => self.set(change),
                Some(Ok(change)) = pods.next() => self.pod(change),
                Some(Ok(event)) = events.next() => self.event(&event),
                else => return,
            }
            let settled = self.rollouts.settled();
            self.settled.send_if_modified(|known| (*known != settled).then(|| *known = settled).is_some());
        }
    }

    fn deployment(&mut self, change: watcher::Event<Deployment>) {
        match change {
            watcher::Event::InitApply(deployment) | watcher::Event::Apply(deployment) => {
                if let Some((key, news)) = self.rollouts.deployment(deployment) {
                    self.tell(&key, news);
                }
            }
            watcher::Event::Delete(deployment) => self.rollouts.deployment_gone(&deployment),
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    fn set(&mut self, change: watcher::Event<ReplicaSet>) {
        match change {
            watcher::Event::InitApply(set) | watcher::Event::Apply(set) => {
                for (key, news) in self.rollouts.set(&set) {
                    self.tell(&key, news);
                }
            }
            watcher::Event::Delete(set) => self.rollouts.set_gone(&set),
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    fn pod(&mut self, change: watcher::Event<Pod>) {
        match change {
            watcher::Event::InitApply(pod) | watcher::Event::Apply(pod) => {
                for (key, news) in self.rollouts.pod(&pod) {
                    self.tell(&key, news);
                }
            }
            watcher::Event::Delete(pod) => self.rollouts.pod_gone(&pod),
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    fn tell(&self, key: &ObjectKey, news: News) {
        match news {
            News::Deployed { ready } => self.screen.success(&key.name, format_args!("deployed, {ready} ready")),
            News::RolledOut { ready } => {
                let served = self.rollouts.served_since(key).and_then(|since| self.edits.served(key, since));
                let served = served.map(|took| format!(", {took}")).unwrap_or_default();
                self.screen.success(&key.name, format_args!("rolled out {ready}/{ready}{served}"));
            }
            News::Scaled { ready } => self.screen.success(&key.name, format_args!("scaled to {ready}")),
            News::Stuck(why) => self.screen.failure(&key.name, why),
        }
    }

    /// Shows a warning once for all the replicas of a revision that have it.
    fn event(&mut self, event: &Event) {
        if event.type_.as_deref() != Some("Warning") {
            return;
        }
        let name = event.involved_object.name.as_deref().unwrap_or("an object");
        let of_pod = event.involved_object.kind.as_deref() == Some("Pod");
        let revision = name.rsplit_once('-').filter(|_| of_pod).map_or(name, |(revision, _)| revision);
        let [reason, message] = [&event.reason, &event.message].map(|text| text.as_deref().unwrap_or_default());
        if self.shown.len() >= REMEMBERED {
            self.shown.clear();
        }
        // A message names the replica; the same of another replica is no news.
        let alike = message.replace(name, revision);
        if self.shown.insert((revision.to_owned(), reason.to_owned(), alike)) {
            self.screen.failure(name, format_args!("{reason}: {message}"));
        }
    }
}
