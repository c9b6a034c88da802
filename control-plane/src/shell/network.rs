use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Address, ObjectKey, ReplicaId, WorkerName,
    session::{Endpoint, GatewayDown, IngressRule, Routes},
};
use scheduler::{Deployment, ReplicaView};

use crate::routing::{Addresses, Backer, Service, endpoints, reason, routes};

/// What gateways are to know, and what they have been told. It computes anew only what a change has touched.
#[derive(Debug, Default)]
pub(super) struct Network {
    services: BTreeMap<ObjectKey, Service>,
    ingresses: BTreeMap<ObjectKey, Vec<IngressRule>>,
    deployments: BTreeMap<ObjectKey, Backing>,
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
    trouble: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    endpoints: Vec<Endpoint>,
    reason: Option<String>,
}

impl Network {
    pub(super) fn service(&self, key: &ObjectKey) -> Option<&Service> {
        self.services.get(key)
    }

    pub(super) fn set_service(&mut self, key: ObjectKey, service: Option<Service>) {
        self.routes_touched = true;
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
        self.touch_namespace(&key.namespace);
        self.deployments
            .entry(key)
            .and_modify(|backing| backing.deployment = deployment.clone())
            .or_insert_with(|| Backing { deployment, trouble: None });
    }

    pub(super) fn remove_deployment(&mut self, key: &ObjectKey) {
        self.deployments.remove(key);
        self.touch_namespace(&key.namespace);
    }

    /// What keeps a Deployment from having replicas, as its status says.
    pub(super) fn set_trouble(&mut self, key: &ObjectKey, trouble: Option<String>) {
        let Some(backing) = self.deployments.get_mut(key) else { return };
        if backing.trouble != trouble {
            backing.trouble = trouble;
            self.touch_namespace(&key.namespace);
        }
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
        let told = self.told.get(key)?.clone();
        Some(GatewayDown::Endpoints {
            service: key.clone(),
            endpoints: told.endpoints,
            reason: told.reason,
            hopeless: false,
        })
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
        let reason = endpoints.is_empty().then(|| {
            let backers: Vec<_> = of_namespace(&self.deployments, &key.namespace)
                .filter(|(_, backing)| service.selects(&backing.deployment.template))
                .map(|(key, backing)| Backer {
                    key,
                    wanted: backing.deployment.replicas,
                    trouble: backing.trouble.as_deref(),
                })
                .collect();
            reason(service, &backers, &selected)
        });
        Told { endpoints, reason }
    }

    fn touch_selecting(&mut self, view: &ReplicaView) {
        let services = of_namespace(&self.services, &view.id.0.namespace);
        let selecting = services.filter(|(_, service)| service.selects(&view.template));
        self.touched.extend(selecting.map(|(key, _)| key.clone()));
    }

    fn touch_namespace(&mut self, namespace: &Arc<str>) {
        let services = of_namespace(&self.services, namespace).map(|(key, _)| key.clone());
        self.touched.extend(services);
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
