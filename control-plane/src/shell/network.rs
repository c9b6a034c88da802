use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Address, ObjectKey, ReplicaId, WorkerName,
    session::{Endpoint, GatewayDown, IngressRule, Routes},
};
use scheduler::{Deployment, ReplicaState, ReplicaView};

use crate::routing::{Addresses, Backer, Service, endpoints, reason, routes};

/// What gateways are to know, and what they have been told. It computes anew only what a change has touched.
#[derive(Debug, Default)]
pub(super) struct Network {
    services: BTreeMap<ObjectKey, Service>,
    ingresses: BTreeMap<ObjectKey, Vec<IngressRule>>,
    deployments: BTreeMap<ObjectKey, Backing>,
    /// Deployments whose number of replicas follows the traffic.
    scaled: BTreeSet<ObjectKey>,
    /// The Deployments behind each Service that somebody has asked for, until one of them changes.
    behind: BTreeMap<ObjectKey, Arc<[ObjectKey]>>,
    /// By revision, so that a selector is compared once for all of its replicas.
    replicas: BTreeMap<ObjectKey, BTreeMap<ReplicaId, ReplicaView>>,
    routes_touched: bool,
    touched: BTreeSet<ObjectKey>,
    addresses: Addresses,
    told_routes: Arc<Routes>,
    told: BTreeMap<ObjectKey, Told>,
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

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    endpoints: Vec<Endpoint>,
    reason: Option<String>,
    hopeless: bool,
}

impl Network {
    pub(super) fn service(&self, key: &ObjectKey) -> Option<&Service> {
        self.services.get(key)
    }

    pub(super) fn set_service(&mut self, key: ObjectKey, service: Option<Service>) {
        self.routes_touched = true;
        self.behind.remove(&key);
        match service {
            Some(service) => {
                self.touched.insert(key.clone());
                self.services.insert(key, service);
            }
            None => {
                self.services.remove(&key);
                self.told.remove(&key);
            }
        }
    }

    /// Where gateways of other processes reach a worker, as it says.
    pub(super) fn set_address(&mut self, worker: &WorkerName, address: Option<Address>) {
        let before = match address.clone() {
            Some(address) => self.addresses.insert(worker.clone(), address),
            None => self.addresses.remove(worker),
        };
        if before == address {
            return;
        }
        let there = |view: &&ReplicaView| view.worker.as_ref() == Some(worker);
        let moved: Vec<ReplicaView> =
            self.replicas.values().flat_map(BTreeMap::values).filter(there).cloned().collect();
        moved.iter().for_each(|view| self.touch_selecting(view));
    }

    pub(super) fn set_ingress(&mut self, key: ObjectKey, rules: Option<Vec<IngressRule>>) {
        self.routes_touched = true;
        match rules {
            Some(rules) => self.ingresses.insert(key, rules),
            None => self.ingresses.remove(&key),
        };
    }

    pub(super) fn set_deployment(&mut self, deployment: Deployment) {
        let key = deployment.key.clone();
        self.touch_behind(&deployment);
        let before = match self.deployments.get_mut(&key) {
            Some(backing) => Some(std::mem::replace(&mut backing.deployment, deployment)),
            None => {
                self.deployments.insert(key, Backing { deployment, trouble: None });
                None
            }
        };
        if let Some(before) = before {
            self.touch_behind(&before);
        }
    }

    pub(super) fn remove_deployment(&mut self, key: &ObjectKey) {
        self.scaled.remove(key);
        if let Some(backing) = self.deployments.remove(key) {
            self.touch_behind(&backing.deployment);
        }
    }

    /// Whether a Deployment's number of replicas follows the traffic.
    pub(super) fn set_scaled(&mut self, key: &ObjectKey, scaled: bool) {
        let changed = if scaled { self.scaled.insert(key.clone()) } else { self.scaled.remove(key) };
        if let Some(backing) = self.deployments.get(key).filter(|_| changed) {
            let deployment = backing.deployment.clone();
            self.touch_behind(&deployment);
        }
    }

    /// What keeps a Deployment from having replicas, as its status says.
    pub(super) fn set_trouble(&mut self, key: &ObjectKey, trouble: Option<Trouble>) {
        let Some(backing) = self.deployments.get_mut(key) else { return };
        if backing.trouble != trouble {
            backing.trouble = trouble;
            let deployment = backing.deployment.clone();
            self.touch_behind(&deployment);
        }
    }

    /// The Deployments whose replicas a Service selects.
    pub(super) fn behind(&mut self, key: &ObjectKey) -> Arc<[ObjectKey]> {
        if let Some(behind) = self.behind.get(key) {
            return behind.clone();
        }
        let Some(service) = self.services.get(key) else { return Arc::new([]) };
        let deployments = of_namespace(&self.deployments, &key.namespace);
        let selected = deployments.filter(|(_, backing)| service.selects(&backing.deployment.template));
        let behind: Arc<[ObjectKey]> = selected.map(|(deployment, _)| deployment.clone()).collect();
        self.behind.insert(key.clone(), behind.clone());
        behind
    }

    /// Replicas of a Deployment that are endpoints.
    pub(super) fn ready_of(&self, deployment: &ObjectKey) -> usize {
        let of_it = |revision: &ObjectKey, view: &ReplicaView| {
            revision.name.strip_suffix(&*view.template.hash).and_then(|name| name.strip_suffix('-'))
                == Some(&*deployment.name)
        };
        let replicas = of_namespace(&self.replicas, &deployment.namespace)
            .filter(|(revision, replicas)| replicas.values().next().is_some_and(|view| of_it(revision, view)));
        replicas.flat_map(|(_, replicas)| replicas.values()).filter(|view| view.state == ReplicaState::Ready).count()
    }

    pub(super) fn set_replica(&mut self, view: ReplicaView) {
        self.touch_selecting(&view);
        self.replicas.entry(view.revision.clone()).or_default().insert(view.id.clone(), view);
    }

    pub(super) fn remove_replica(&mut self, revision: &ObjectKey, id: &ReplicaId) {
        let Some(replicas) = self.replicas.get_mut(revision) else { return };
        let removed = replicas.remove(id);
        if replicas.is_empty() {
            self.replicas.remove(revision);
        }
        if let Some(view) = removed {
            self.touch_selecting(&view);
        }
    }

    /// The messages that bring a gateway from what was told to what is, in the order to send them.
    /// `settled`: whether it is known by now which replicas there are.
    pub(super) fn changes(&mut self, settled: bool) -> Vec<GatewayDown> {
        let mut messages = Vec::new();
        if std::mem::take(&mut self.routes_touched) {
            let routes = routes(&self.services, &self.ingresses);
            if routes != *self.told_routes {
                self.told_routes = Arc::new(routes);
                messages.push(self.routes_message());
            }
        }
        if !settled {
            return messages;
        }
        for key in std::mem::take(&mut self.touched) {
            let Some(service) = self.services.get(&key) else { continue };
            let now = self.observe(&key, service);
            if self.told.get(&key) != Some(&now) {
                self.told.insert(key.clone(), now);
                messages.extend(self.endpoints_message(&key));
            }
        }
        messages
    }

    /// All Services and rules, as last told.
    pub(super) fn routes_message(&self) -> GatewayDown {
        GatewayDown::Routes(self.told_routes.clone())
    }

    /// The endpoints of one Service, as last told.
    pub(super) fn endpoints_message(&self, key: &ObjectKey) -> Option<GatewayDown> {
        let Told { endpoints, reason, hopeless } = self.told.get(key)?.clone();
        Some(GatewayDown::Endpoints { service: key.clone(), endpoints, reason, hopeless })
    }

    /// Every Service that has been told of.
    pub(super) fn told_services(&self) -> impl Iterator<Item = &ObjectKey> {
        self.told.keys()
    }

    fn observe(&self, key: &ObjectKey, service: &Service) -> Told {
        let selected: Vec<&ReplicaView> = of_namespace(&self.replicas, &key.namespace)
            .filter(|(_, replicas)| replicas.values().next().is_some_and(|view| service.selects(&view.template)))
            .flat_map(|(_, replicas)| replicas.values())
            .collect();
        let endpoints = endpoints(selected.iter().copied(), &self.addresses);
        if !endpoints.is_empty() {
            return Told { endpoints, reason: None, hopeless: false };
        }
        let backing: Vec<_> = of_namespace(&self.deployments, &key.namespace)
            .filter(|(_, backing)| service.selects(&backing.deployment.template))
            .collect();
        let is_in_vain = |backing: &Backing| backing.trouble.as_ref().is_some_and(|trouble| trouble.lasts);
        let hopeless = !backing.is_empty() && backing.iter().all(|(_, backing)| is_in_vain(backing));
        let backers: Vec<_> = backing
            .into_iter()
            .map(|(key, backing)| Backer {
                key,
                wanted: backing.deployment.replicas,
                scaled: self.scaled.contains(key),
                trouble: backing.trouble.as_ref().map(|trouble| &*trouble.message),
            })
            .collect();
        Told { endpoints, reason: Some(reason(service, &backers, &selected)), hopeless }
    }

    fn touch_selecting(&mut self, view: &ReplicaView) {
        let services = of_namespace(&self.services, &view.id.0.namespace);
        let selecting = services.filter(|(_, service)| service.selects(&view.template));
        self.touched.extend(selecting.map(|(key, _)| key.clone()));
    }

    /// A Deployment has changed: so may what is told of the Services that select it.
    fn touch_behind(&mut self, deployment: &Deployment) {
        let services = of_namespace(&self.services, &deployment.key.namespace);
        let selecting: Vec<ObjectKey> =
            services.filter(|(_, service)| service.selects(&deployment.template)).map(|(key, _)| key.clone()).collect();
        for key in selecting {
            self.behind.remove(&key);
            self.touched.insert(key);
        }
    }
}

fn of_namespace<'a, V>(
    map: &'a BTreeMap<ObjectKey, V>,
    namespace: &Arc<str>,
) -> impl Iterator<Item = (&'a ObjectKey, &'a V)> {
    let first = ObjectKey::new(namespace.clone(), "");
    let namespace = namespace.clone();
    map.range(first..).take_while(move |(key, _)| key.namespace == namespace)
}
