//! What gateways are told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    ObjectKey,
    session::{Endpoint, GatewayDown, Ingress, IngressRule, Routes},
};
use scheduler::ReplicaView;

use super::{Backing, Network};
use crate::routing::{Backer, Service, endpoints, reason};

/// Something that gateways are to be told anew, in the order in which they are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shell) enum News {
    /// Everything that decides which Service a request goes to.
    Routes,
    /// Who may not send to all hosts outside.
    Leaving,
    /// One Service is there, is another, or is gone.
    Service(ObjectKey),
    /// So is one Ingress.
    Ingress(ObjectKey),
    /// The endpoints of a Service.
    Endpoints(ObjectKey),
}

/// What was told of a Service's endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    endpoints: Vec<Endpoint>,
    reason: Option<String>,
    hopeless: bool,
}

impl Network {
    /// What is news to gateways. `settled`: whether it is known by now which replicas there are.
    pub(in crate::shell) fn news(&mut self, settled: bool) -> BTreeSet<News> {
        self.police();
        let mut news = std::mem::take(&mut self.rerouted);
        if !settled {
            return news;
        }
        for key in std::mem::take(&mut self.touched) {
            let Some(service) = self.services.get(&key) else { continue };
            let now = self.observe(&key, service);
            if self.told.get(&key) != Some(&now) {
                self.told.insert(key.clone(), now);
                news.insert(News::Endpoints(key));
            }
        }
        news
    }

    /// The message that tells it, as it stands now. `None`: it is gone, which was told otherwise.
    pub(in crate::shell) fn message(&self, news: &News) -> Option<GatewayDown> {
        Some(match news {
            News::Routes => GatewayDown::Routes(Arc::new(self.routes())),
            News::Service(key) => match self.services.get(key) {
                Some(service) => GatewayDown::Service(service.route(key.clone(), self.policing.guards(key))),
                None => GatewayDown::ServiceGone(key.clone()),
            },
            News::Ingress(key) => {
                GatewayDown::Ingress(ingress(key, self.ingresses.get(key).map_or(&[], Vec::as_slice)))
            }
            News::Leaving => GatewayDown::Leaving(self.policing.leaving().to_vec()),
            News::Endpoints(key) => {
                let Told { endpoints, reason, hopeless } = self.told.get(key)?.clone();
                GatewayDown::Endpoints { service: key.clone(), endpoints, reason, hopeless }
            }
        })
    }

    fn routes(&self) -> Routes {
        Routes {
            services: self
                .services
                .iter()
                .map(|(key, service)| service.route(key.clone(), self.policing.guards(key)))
                .collect(),
            ingresses: self.ingresses.iter().map(|(key, rules)| ingress(key, rules)).collect(),
        }
    }

    /// The endpoints of a Service, as last told.
    pub(in crate::shell) fn endpoints(&self, key: &ObjectKey) -> &[Endpoint] {
        self.told.get(key).map_or(&[], |told| &told.endpoints)
    }

    /// Whether gateways have been told of a Service's endpoints.
    pub(in crate::shell) fn is_told(&self, key: &ObjectKey) -> bool {
        self.told.contains_key(key)
    }

    /// Every Service that has been told of.
    pub(in crate::shell) fn told_services(&self) -> impl Iterator<Item = &ObjectKey> {
        self.told.keys()
    }

    fn observe(&self, key: &ObjectKey, service: &Service) -> Told {
        let revisions = service.first_label().into_iter().flat_map(|label| self.revisions_by.with(key, label));
        let selected: Vec<&ReplicaView> = revisions
            .filter_map(|revision| self.replicas.get(revision))
            .filter(|replicas| replicas.values().next().is_some_and(|view| service.selects(&view.template)))
            .flat_map(BTreeMap::values)
            .map(Box::as_ref)
            .collect();
        let endpoints = endpoints(selected.iter().copied(), &self.addresses);
        if !endpoints.is_empty() {
            return Told { endpoints, reason: None, hopeless: false };
        }
        let backing: Vec<_> = self.backing(key, service).collect();
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
}

fn ingress(key: &ObjectKey, rules: &[IngressRule]) -> Ingress {
    Ingress { key: key.clone(), rules: rules.to_vec() }
}
