use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    ObjectKey, WorkerName,
    session::{GatewayDown, Routes, ServiceRoute},
};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    SessionId,
    network::{Network, News},
};
use crate::peers::Peers;

/// The gateway sessions. A gateway that is slow is told the newest state of what it has not been told yet, so what waits
/// for it is bounded by the number of Services and Ingresses.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    sessions: BTreeMap<SessionId, Gateway>,
}

/// How much the other side of a gateway session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// A gateway: everything.
    Whole,
    /// A worker that routes what its guests call: the Services, as long as any guests are placed there, and the endpoints of those
    /// that they may call.
    Guests {
        worker: WorkerName,
        /// Whether any are.
        used: bool,
        /// Their revisions, as of so many changes; looked at where policies say who may call.
        guests: BTreeSet<ObjectKey>,
        changes: u64,
    },
}

#[derive(Debug)]
struct Gateway {
    tx: mpsc::Sender<GatewayDown>,
    scope: Scope,
    waits: BTreeSet<News>,
    /// It is being told the endpoints of every Service, in their order: which it is told next.
    anew: Option<ObjectKey>,
}

impl Gateways {
    /// A gateway came: it is told everything of its scope.
    pub(super) fn attach(
        &mut self,
        session: SessionId,
        tx: mpsc::Sender<GatewayDown>,
        scope: Scope,
        network: &Network,
    ) {
        let mut gateway = Gateway { tx, scope, waits: BTreeSet::new(), anew: None };
        // A worker that has not said yet what it runs goes on with what it knows of before.
        if gateway.is_told() {
            gateway.tell_anew(network);
        }
        self.sessions.insert(session, gateway);
    }

    pub(super) fn detach(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Tells every gateway what has changed.
    pub(super) fn tell(&mut self, news: &BTreeSet<News>, network: &Network) {
        for gateway in self.sessions.values_mut().filter(|gateway| gateway.is_told()) {
            gateway.add(news, network);
            gateway.flush(network);
        }
    }

    /// Tells workers that route what their guests call of Services once they have guests, of none once they have none, and of the
    /// endpoints of others once other guests are there.
    pub(super) fn follow_guests(&mut self, peers: &Peers, network: &Network) {
        for gateway in self.sessions.values_mut() {
            let Scope::Guests { worker, used, guests, changes } = &mut gateway.scope else { continue };
            let is_used = peers.is_used(worker);
            let now = if network.is_policed() { peers.guests(worker, *changes) } else { None };
            let before = now.map(|(now, seen)| {
                *changes = seen;
                std::mem::replace(guests, now)
            });
            if std::mem::replace(used, is_used) != is_used {
                gateway.tell_anew(network);
            } else if let Some(before) = before.filter(|before| before != guests) {
                let turned = |key: &&ObjectKey| network.may_call(key, &before) != network.may_call(key, guests);
                let turned: Vec<_> = network.told_services().filter(turned).cloned().map(News::Endpoints).collect();
                gateway.waits.extend(turned);
                gateway.flush(network);
            }
        }
    }

    /// Whether the other side has been told of the endpoints of a Service, and so may speak of it.
    pub(super) fn is_told(&self, session: SessionId, service: &ObjectKey, network: &Network) -> bool {
        let told = |gateway: &Gateway| gateway.is_told() && gateway.scope.has_endpoints(service, network);
        network.is_told(service) && self.sessions.get(&session).is_some_and(told)
    }

    /// Whether the other side has been told which Services there are, and so may speak of calls that were denied.
    pub(super) fn knows_routes(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(Gateway::is_told)
    }

    /// Whether it listens for clients.
    pub(super) fn listens(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|gateway| gateway.scope == Scope::Whole)
    }

    /// The worker that it is, if it is none of its own.
    pub(super) fn worker(&self, session: SessionId) -> Option<&WorkerName> {
        match &self.sessions.get(&session)?.scope {
            Scope::Whole => None,
            Scope::Guests { worker, .. } => Some(worker),
        }
    }

    /// Sends what waits, as far as there is room now.
    pub(super) fn flush(&mut self, network: &Network) {
        self.sessions.values_mut().for_each(|gateway| gateway.flush(network));
    }

    /// Whether something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        self.sessions.values().any(Gateway::is_waiting)
    }
}

impl Gateway {
    fn is_told(&self) -> bool {
        !matches!(self.scope, Scope::Guests { used: false, .. })
    }

    fn is_waiting(&self) -> bool {
        !self.waits.is_empty() || self.anew.is_some()
    }

    /// Routes replace all that was known; who may not leave, and endpoints, follow. Of these only the next is noted: sessions that
    /// begin and are not read would take much otherwise.
    fn tell_anew(&mut self, network: &Network) {
        self.waits = [News::Routes, News::Leaving].into();
        self.anew = if self.is_told() { network.told_after(None).next().cloned() } else { None };
        self.flush(network);
    }

    /// What it is told of news.
    fn add(&mut self, news: &BTreeSet<News>, network: &Network) {
        for news in news {
            match news {
                News::Endpoints(key) if !self.scope.has_endpoints(key, network) => continue,
                // It is told of that one as it comes to it.
                News::Endpoints(key) if self.anew.as_ref().is_some_and(|next| key >= next) => continue,
                // With it, who may call it may have changed, and so whether its endpoints are told.
                News::Service(key) if self.scope != Scope::Whole && network.is_told(key) => {
                    self.waits.insert(News::Endpoints(key.clone()));
                }
                _ => {}
            }
            self.waits.insert(news.clone());
        }
    }

    /// Sends what waits as far as there is room: nothing is made that there is none for.
    fn flush(&mut self, network: &Network) {
        while self.is_waiting() {
            let place = match self.tx.try_reserve() {
                Ok(place) => place,
                Err(TrySendError::Full(())) => return,
                // Nobody is there to take it: the session's reader tells of its end.
                Err(TrySendError::Closed(())) => {
                    self.waits.clear();
                    self.anew = None;
                    return;
                }
            };
            let message = match self.waits.pop_first() {
                Some(news) => self.scope.message(&news, network),
                None => {
                    let Some(key) = self.anew.take() else { return };
                    self.anew = network.told_after(Some(&key)).next().cloned();
                    let is_told = self.scope.has_endpoints(&key, network);
                    if is_told { self.scope.message(&News::Endpoints(key), network) } else { None }
                }
            };
            if let Some(message) = message {
                place.send(message);
            }
        }
    }
}

impl Scope {
    fn message(&self, news: &News, network: &Network) -> Option<GatewayDown> {
        match self {
            Self::Whole => network.message(news),
            Self::Guests { used: false, .. } => (*news == News::Routes).then(|| GatewayDown::Routes(Arc::default())),
            Self::Guests { used: true, .. } if *news == News::Routes => {
                Some(GatewayDown::Routes(network.routes_for_guests(routes_for_guests)))
            }
            Self::Guests { used: true, .. } => match (network.message(news)?, news) {
                (GatewayDown::Endpoints { service, .. }, News::Endpoints(key)) if !self.has_endpoints(key, network) => {
                    let reason = Some("a NetworkPolicy keeps all guests of this worker from it".to_owned());
                    Some(GatewayDown::Endpoints { service, endpoints: Vec::new(), reason, hopeless: true })
                }
                (message, _) => for_guests(message),
            },
        }
    }

    /// Whether it is told the endpoints of a Service.
    fn has_endpoints(&self, service: &ObjectKey, network: &Network) -> bool {
        match self {
            Self::Whole => true,
            Self::Guests { guests, .. } => network.may_call(service, guests),
        }
    }
}

fn inside(service: &ServiceRoute) -> ServiceRoute {
    ServiceRoute { load_balancer: false, ..service.clone() }
}

fn routes_for_guests(all: &Routes) -> Routes {
    Routes { services: all.services.iter().map(inside).collect(), ingresses: Vec::new() }
}

/// Guests call Services by their names: no Ingress, and no listener. Who may not call or leave is held against them there.
fn for_guests(message: GatewayDown) -> Option<GatewayDown> {
    match message {
        GatewayDown::Routes(all) => Some(GatewayDown::Routes(Arc::new(routes_for_guests(&all)))),
        GatewayDown::Service(service) => Some(GatewayDown::Service(inside(&service))),
        GatewayDown::Ingress(_) => None,
        kept @ (GatewayDown::ServiceGone(_) | GatewayDown::Leaving(_) | GatewayDown::Endpoints { .. }) => Some(kept),
    }
}

#[cfg(test)]
mod tests {
    use api::session::{Guard, Ingress, Leaving};

    use super::*;

    #[test]
    fn guests_call_by_what_policies_say_and_without_ingresses_and_listeners() {
        let key = || ObjectKey::new("shop", "cart");
        let denied = || Some("default/deny".to_owned());
        let (namespaces, revisions) = (Vec::new(), Vec::new());
        let guard = Guard { port: 80, others: denied(), namespaces, revisions, outside: denied() };
        let route = ServiceRoute { key: key(), ports: Vec::new(), load_balancer: true, guards: vec![guard] };
        let ingress = || Ingress { key: key(), rules: Vec::new() };
        let told = ServiceRoute { load_balancer: false, ..route.clone() };
        let all = Routes { services: vec![route.clone()], ingresses: vec![ingress()] };
        match for_guests(GatewayDown::Routes(Arc::new(all))) {
            Some(GatewayDown::Routes(all)) => {
                assert_eq!(*all, Routes { services: vec![told.clone()], ingresses: Vec::new() });
            }
            other => panic!("{other:?}"),
        }
        match for_guests(GatewayDown::Service(route)) {
            Some(GatewayDown::Service(route)) => assert_eq!(route, told),
            other => panic!("{other:?}"),
        }
        assert!(for_guests(GatewayDown::Ingress(ingress())).is_none());
        let namespaces = vec![("shop".to_owned(), denied())];
        let leaving = Leaving { ports: (0, 65535), namespaces, revisions: Vec::new() };
        match for_guests(GatewayDown::Leaving(vec![leaving.clone()])) {
            Some(GatewayDown::Leaving(rules)) => assert_eq!(rules, [leaving]),
            other => panic!("{other:?}"),
        }
    }
}
