//! What gateways are to know, computed anew only where a change has touched it.

mod news;
mod policies;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Address, ObjectKey, ReplicaId, WorkerName, session::IngressRule};
use scheduler::{Deployment, ReplicaState, ReplicaView, Template};

use crate::routing::{Addresses, ByLabel, Service, labels};
pub(super) use news::News;
use news::{Told, Whole};
use policies::Policing;

/// What gateways are to know, and what they have been told.
#[derive(Debug, Default)]
pub(super) struct Network {
    services: BTreeMap<ObjectKey, Service>,
    ingresses: BTreeMap<ObjectKey, Vec<IngressRule>>,
    deployments: BTreeMap<ObjectKey, Backing>,
    /// Each Service by the first label that it selects by; Deployments and revisions by all of theirs.
    services_by: ByLabel,
    deployments_by: ByLabel,
    revisions_by: ByLabel,
    /// Deployments whose number of replicas follows the traffic.
    scaled: BTreeSet<ObjectKey>,
    /// The Deployments behind each Service that somebody has asked for, until one of them changes.
    behind: BTreeMap<ObjectKey, Arc<[ObjectKey]>>,
    /// By revision, so that a selector is compared once for all of its replicas.
    replicas: BTreeMap<ObjectKey, BTreeMap<ReplicaId, Box<ReplicaView>>>,
    /// What has changed of routes, not told yet.
    rerouted: BTreeSet<News>,
    /// Services whose endpoints may have changed.
    touched: BTreeSet<ObjectKey>,
    addresses: Addresses,
    policing: Policing,
    told: BTreeMap<ObjectKey, Told>,
    whole: Whole,
}

/// What is needed of a Deployment to say why it has no endpoint.
#[derive(Debug)]
struct Backing {
    deployment: Deployment,
    trouble: Option<Trouble>,
}

/// What keeps a Deployment from having replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) message: String,
    /// Whether it is not likely to be over in a moment: then requests need not wait for its end.
    pub(super) lasts: bool,
}

impl Network {
    pub(super) fn service(&self, key: &ObjectKey) -> Option<&Service> {
        self.services.get(key)
    }

    pub(super) fn set_service(&mut self, key: ObjectKey, service: Option<Service>) {
        self.behind.remove(&key);
        let before = self.services.remove(&key);
        if let Some(label) = before.as_ref().and_then(Service::first_label) {
            self.services_by.remove(&key, label);
        }
        let route = |service: &Option<Service>| service.as_ref().map(|service| service.route(key.clone(), Vec::new()));
        if route(&before) != route(&service) {
            self.rerouted.insert(News::Service(key.clone()));
        }
        self.policing.stale();
        let Some(service) = service else {
            self.told.remove(&key);
            return;
        };
        if let Some(label) = service.first_label() {
            self.services_by.insert(&key, label);
        }
        self.touched.insert(key.clone());
        self.services.insert(key, service);
    }

    /// Where gateways of other processes reach a worker, as it says.
    pub(super) fn set_address(&mut self, worker: &WorkerName, address: Option<Address>) {
        let before = match address.clone() {
            Some(address) => self.addresses.insert(worker.clone(), Some(address)),
            None => self.addresses.remove(worker),
        };
        if before != address.map(Some) {
            self.moved(worker);
        }
    }

    /// A worker is not known to be reached anywhere: its replicas are no endpoints yet. Answers whether that is news.
    pub(super) fn set_unreached(&mut self, worker: &WorkerName) -> bool {
        let news = self.addresses.insert(worker.clone(), None) != Some(None);
        if news {
            self.moved(worker);
        }
        news
    }

    fn moved(&mut self, worker: &WorkerName) {
        let there = |view: &&ReplicaView| view.worker.as_ref() == Some(worker);
        let replicas = self.replicas.values().flat_map(BTreeMap::values).map(Box::as_ref);
        let moved: Vec<ReplicaView> = replicas.filter(there).cloned().collect();
        moved.iter().for_each(|view| self.touch_selecting(&view.id.0, &view.template));
    }

    pub(super) fn set_ingress(&mut self, key: ObjectKey, rules: Option<Vec<IngressRule>>) {
        let before = match rules.clone() {
            Some(rules) => self.ingresses.insert(key.clone(), rules),
            None => self.ingresses.remove(&key),
        };
        if before != rules {
            self.rerouted.insert(News::Ingress(key));
        }
    }

    pub(super) fn set_deployment(&mut self, deployment: Deployment) {
        let (key, template) = (deployment.key.clone(), deployment.template.clone());
        self.policing.stale();
        let trouble = self.take_out(&key).and_then(|before| before.trouble);
        labels(&template).for_each(|label| self.deployments_by.insert(&key, label));
        self.deployments.insert(key.clone(), Backing { deployment, trouble });
        self.touch_behind(&key, &template);
    }

    /// The template that a Deployment had last.
    pub(super) fn template(&self, deployment: &ObjectKey) -> Option<&Arc<Template>> {
        self.deployments.get(deployment).map(|backing| &backing.deployment.template)
    }

    pub(super) fn remove_deployment(&mut self, key: &ObjectKey) {
        self.scaled.remove(key);
        self.take_out(key);
    }

    fn take_out(&mut self, key: &ObjectKey) -> Option<Backing> {
        let backing = self.deployments.remove(key)?;
        self.policing.stale();
        labels(&backing.deployment.template).for_each(|label| self.deployments_by.remove(key, label));
        self.touch_behind(key, &backing.deployment.template);
        Some(backing)
    }

    /// Whether a Deployment's number of replicas follows the traffic.
    pub(super) fn set_scaled(&mut self, key: &ObjectKey, scaled: bool) {
        let changed = if scaled { self.scaled.insert(key.clone()) } else { self.scaled.remove(key) };
        if let Some(backing) = self.deployments.get(key).filter(|_| changed) {
            let template = backing.deployment.template.clone();
            self.touch_behind(key, &template);
        }
    }

    /// What keeps a Deployment from having replicas, as its status says.
    pub(super) fn set_trouble(&mut self, key: &ObjectKey, trouble: Option<Trouble>) {
        let Some(backing) = self.deployments.get_mut(key) else { return };
        if backing.trouble != trouble {
            backing.trouble = trouble;
            let template = backing.deployment.template.clone();
            self.touch_behind(key, &template);
        }
    }

    /// The Deployments whose replicas a Service selects.
    pub(super) fn behind(&mut self, key: &ObjectKey) -> Arc<[ObjectKey]> {
        if let Some(behind) = self.behind.get(key) {
            return behind.clone();
        }
        let Some(service) = self.services.get(key) else { return Arc::new([]) };
        let behind: Arc<[ObjectKey]> = self.backing(key, service).map(|(deployment, _)| deployment.clone()).collect();
        self.behind.insert(key.clone(), behind.clone());
        behind
    }

    /// Replicas of a Deployment that are endpoints.
    pub(super) fn ready_of(&self, deployment: &ObjectKey) -> usize {
        let of_it = |revision: &ObjectKey, view: &ReplicaView| {
            revision.name.strip_suffix(&*view.template.hash).and_then(|name| name.strip_suffix('-'))
                == Some(&*deployment.name)
        };
        let Some(backing) = self.deployments.get(deployment) else { return 0 };
        let Some(label) = labels(&backing.deployment.template).next() else { return 0 };
        let revisions =
            self.revisions_by.with(deployment, label).filter_map(|key| Some((key, self.replicas.get(key)?)));
        let own = revisions.flat_map(|(key, replicas)| replicas.values().filter(move |view| of_it(key, view)));
        own.filter(|view| view.state == ReplicaState::Ready).count()
    }

    pub(super) fn set_replica(&mut self, view: ReplicaView) {
        self.touch_selecting(&view.id.0, &view.template);
        let replicas = self.replicas.entry(view.revision.clone()).or_default();
        if replicas.is_empty() {
            self.policing.stale();
            labels(&view.template).for_each(|label| self.revisions_by.insert(&view.revision, label));
        }
        replicas.insert(view.id.clone(), Box::new(view));
    }

    /// The worker that is to run a replica of a revision.
    pub(super) fn runs_on(&self, revision: &str, id: &ReplicaId) -> Option<&WorkerName> {
        let view = self.replicas.get(&ObjectKey::new(id.0.namespace.clone(), revision))?.get(id)?;
        view.worker.as_ref().filter(|_| view.state != ReplicaState::Stopping)
    }

    pub(super) fn remove_replica(&mut self, revision: &ObjectKey, id: &ReplicaId) {
        let Some(replicas) = self.replicas.get_mut(revision) else { return };
        let Some(view) = replicas.remove(id) else { return };
        if replicas.is_empty() {
            self.replicas.remove(revision);
            self.policing.stale();
            labels(&view.template).for_each(|label| self.revisions_by.remove(revision, label));
        }
        self.touch_selecting(&id.0, &view.template);
    }

    /// The Deployments whose replicas a Service selects.
    fn backing<'a>(
        &'a self,
        key: &'a ObjectKey,
        service: &'a Service,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Backing)> {
        let candidates = service.first_label().into_iter().flat_map(|label| self.deployments_by.with(key, label));
        let backing = candidates.filter_map(|deployment| Some((deployment, self.deployments.get(deployment)?)));
        backing.filter(|(_, backing)| service.selects(&backing.deployment.template))
    }

    /// The Services beside an object that select replicas of this template.
    fn selecting(&self, beside: &ObjectKey, template: &Template) -> Vec<ObjectKey> {
        let candidates = labels(template).flat_map(|label| self.services_by.with(beside, label));
        let selects = |key: &&ObjectKey| self.services.get(*key).is_some_and(|service| service.selects(template));
        candidates.filter(selects).cloned().collect()
    }

    fn touch_selecting(&mut self, beside: &ObjectKey, template: &Template) {
        let selecting = self.selecting(beside, template);
        self.touched.extend(selecting);
    }

    /// A Deployment has changed: so may what is told of the Services that select it.
    fn touch_behind(&mut self, deployment: &ObjectKey, template: &Template) {
        for key in self.selecting(deployment, template) {
            self.behind.remove(&key);
            self.touched.insert(key);
        }
    }
}
