//! Who may call whom, computed anew as a whole when something changes that decides it. Without a policy nothing is computed.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use api::{
    ObjectKey,
    session::{Guard, Leaving},
};
use scheduler::Template;

use super::{Network, News};
use crate::routing::{Labels, Policies, Policy};

/// The policies, and what gateways are told of them.
#[derive(Debug, Default)]
pub(super) struct Policing {
    policies: BTreeMap<ObjectKey, Policy>,
    namespaces: BTreeMap<String, Labels>,
    /// Something has changed since `guards` and `leaving` were computed.
    stale: bool,
    guards: BTreeMap<ObjectKey, Vec<Guard>>,
    leaving: Vec<Leaving>,
}

impl Policing {
    /// Something has changed that policies may look at.
    pub(super) fn stale(&mut self) {
        self.stale |= !self.policies.is_empty();
    }

    pub(super) fn guards(&self, service: &ObjectKey) -> Vec<Guard> {
        self.guards.get(service).cloned().unwrap_or_default()
    }

    pub(super) fn leaving(&self) -> &[Leaving] {
        &self.leaving
    }
}

impl Network {
    pub(in crate::shell) fn set_policy(&mut self, key: ObjectKey, policy: Option<Policy>) {
        self.policing.stale = true;
        match policy {
            Some(policy) => drop(self.policing.policies.insert(key, policy)),
            None => drop(self.policing.policies.remove(&key)),
        }
    }

    /// Whether anything keeps anybody from calling a Service.
    pub(in crate::shell) fn is_policed(&self) -> bool {
        !self.policing.policies.is_empty()
    }

    /// Whether replicas of any of these revisions may call a port of a Service, as was last decided.
    pub(in crate::shell) fn may_call(&self, service: &ObjectKey, revisions: &BTreeSet<ObjectKey>) -> bool {
        let Some(guards) = self.policing.guards.get(service) else { return true };
        let ports = self.services.get(service).into_iter().flat_map(|service| &service.ports);
        let mut guarded = ports.map(|port| guards.iter().find(|guard| guard.port == port.port));
        guarded.any(|guard| guard.is_none_or(|guard| revisions.iter().any(|caller| guard.denies(caller).is_none())))
    }

    /// A namespace has these labels; `None`: it is gone.
    pub(in crate::shell) fn set_namespace(&mut self, name: &str, labels: Option<Labels>) {
        let before = match labels.clone() {
            Some(labels) => self.policing.namespaces.insert(name.to_owned(), labels),
            None => self.policing.namespaces.remove(name),
        };
        if before != labels {
            self.policing.stale();
        }
    }

    /// Decides who may call whom, if something has changed, and notes what gateways are to be told.
    pub(super) fn police(&mut self) {
        if !mem::take(&mut self.policing.stale) {
            return;
        }
        let (guards, leaving) = if self.policing.policies.is_empty() { Default::default() } else { self.decided() };
        let before = mem::replace(&mut self.policing.guards, guards);
        let now = &self.policing.guards;
        let services: BTreeSet<&ObjectKey> = before.keys().chain(now.keys()).collect();
        let changed = services.into_iter().filter(|key| before.get(*key) != now.get(*key));
        self.rerouted.extend(changed.cloned().map(News::Service));
        if mem::replace(&mut self.policing.leaving, leaving) != self.policing.leaving {
            self.rerouted.insert(News::Leaving);
        }
    }

    fn decided(&self) -> (BTreeMap<ObjectKey, Vec<Guard>>, Vec<Leaving>) {
        let callers = self.callers();
        let namespaces = self.policing.namespaces.iter().map(|(name, labels)| (name.as_str(), labels));
        let callers = callers.iter().map(|(revision, template)| (revision.clone(), &**template));
        let policies = Policies::new(self.policing.policies.values(), namespaces, callers);
        let guards = self.services.iter().filter_map(|(key, service)| {
            let behind = self.templates_behind(key);
            let behind: Vec<&Template> = behind.iter().map(|template| &**template).collect();
            let guards = policies.guards(key, service, &behind);
            (!guards.is_empty()).then(|| (key.clone(), guards))
        });
        (guards.collect(), policies.leaving())
    }

    /// The revisions that have replicas, and those that Deployments are about to have.
    fn callers(&self) -> BTreeMap<ObjectKey, Arc<Template>> {
        let next = self.deployments.iter().map(|(key, backing)| {
            let template = &backing.deployment.template;
            (ObjectKey::new(key.namespace.clone(), format!("{}-{}", key.name, template.hash)), template.clone())
        });
        let running = self
            .replicas
            .iter()
            .filter_map(|(revision, replicas)| Some((revision.clone(), replicas.values().next()?.template.clone())));
        next.chain(running).collect()
    }

    /// What the replicas are made of that a Service selects, and that the Deployments behind it are about to have.
    fn templates_behind(&self, key: &ObjectKey) -> Vec<Arc<Template>> {
        let Some(service) = self.services.get(key) else { return Vec::new() };
        let next = self.backing(key, service).map(|(_, backing)| backing.deployment.template.clone());
        let revisions = service.first_label().into_iter().flat_map(|label| self.revisions_by.with(key, label));
        let running = revisions.filter_map(|revision| Some(&self.replicas.get(revision)?.values().next()?.template));
        let running = running.filter(|template| service.selects(template)).cloned();
        let mut behind: Vec<Arc<Template>> = Vec::new();
        for template in next.chain(running) {
            if !behind.contains(&template) {
                behind.push(template);
            }
        }
        behind
    }
}
