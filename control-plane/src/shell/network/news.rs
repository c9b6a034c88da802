//! What gateways are told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, OnceLock},
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

/// All routes, as they are told to each gateway that comes: made once for all that come between two changes.
#[derive(Debug, Default)]
pub(super) struct Whole {
    routes: OnceLock<Arc<Routes>>,
    for_guests: OnceLock<Arc<Routes>>,
}

impl Whole {
    fn forget(&mut self) {
        *self = Self::default();
    }

    fn routes(&self, make: impl FnOnce() -> Routes) -> Arc<Routes> {
        self.routes.get_or_init(|| Arc::new(make())).clone()
    }
}

impl Network {
    /// As [`Network::message`] of all routes, without what guests have no use for, which `strip` takes out.
    pub(in crate::shell) fn routes_for_guests(&self, strip: impl FnOnce(&Routes) -> Routes) -> Arc<Routes> {
        let whole = || self.whole.routes(|| self.routes());
        self.whole.for_guests.get_or_init(|| Arc::new(strip(&whole()))).clone()
    }

    /// What is news to gateways. `settled`: whether it is known by now which replicas there are.
    pub(in crate::shell) fn news(&mut self, settled: bool) -> BTreeSet<News> {
        self.police();
        let mut news = std::mem::take(&mut self.rerouted);
        if !news.is_empty() {
            self.whole.forget();
        }
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
            News::Routes => GatewayDown::Routes(self.whole.routes(|| self.routes())),
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
    pub(in crate::shell) fn told_services(&self) -> impl ExactSizeIterator<Item = &ObjectKey> {
        self.told.keys()
    }

    /// Of these, in their order, those that come after one.
    pub(in crate::shell) fn told_after(&self, last: Option<&ObjectKey>) -> impl Iterator<Item = &ObjectKey> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.told.range::<ObjectKey, _>((after, Bound::Unbounded)).map(|(key, _)| key)
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
