use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    WorkerName,
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
    /// A worker that routes what its guests call: the Services that they may call, as long as any are placed there.
    Guests {
        worker: WorkerName,
        /// Whether any are.
        used: bool,
    },
}

#[derive(Debug)]
struct Gateway {
    tx: mpsc::Sender<GatewayDown>,
    scope: Scope,
    waits: BTreeSet<News>,
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
        let mut gateway = Gateway { tx, scope, waits: BTreeSet::new() };
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
            gateway.waits.extend(news.iter().cloned());
            gateway.flush(network);
        }
    }

    /// Tells workers that route what their guests call of all Services once they have guests, and of none once they have none.
    pub(super) fn follow_guests(&mut self, peers: &Peers, network: &Network) {
        for gateway in self.sessions.values_mut() {
            let Scope::Guests { worker, used } = &mut gateway.scope else { continue };
            let is_used = peers.is_used(worker);
            if std::mem::replace(used, is_used) != is_used {
                gateway.tell_anew(network);
            }
        }
    }

    /// Whether the other side has been told of endpoints, and so may speak of Services.
    pub(super) fn is_told(&self, session: SessionId) -> bool {
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
        self.sessions.values().any(|gateway| !gateway.waits.is_empty())
    }
}

impl Gateway {
    fn is_told(&self) -> bool {
        !matches!(self.scope, Scope::Guests { used: false, .. })
    }

    /// Routes replace all that was known; who may not leave, and endpoints, follow.
    fn tell_anew(&mut self, network: &Network) {
        let endpoints = network.told_services().filter(|_| self.is_told()).cloned().map(News::Endpoints);
        self.waits = endpoints.chain([News::Routes, News::Leaving]).collect();
        self.flush(network);
    }

    fn flush(&mut self, network: &Network) {
        while let Some(news) = self.waits.pop_first() {
            let Some(message) = self.scope.message(&news, network) else { continue };
            if !self.send(message) {
                self.waits.insert(news);
                return;
            }
        }
    }

    /// Whether it was taken, or nobody is there to take it: the session's reader tells of its end.
    fn send(&self, message: GatewayDown) -> bool {
        !matches!(self.tx.try_send(message), Err(TrySendError::Full(_)))
    }
}

impl Scope {
    fn message(&self, news: &News, network: &Network) -> Option<GatewayDown> {
        match self {
            Self::Whole => network.message(news),
            Self::Guests { used: false, .. } => (*news == News::Routes).then(|| GatewayDown::Routes(Arc::default())),
            Self::Guests { used: true, .. } => network.message(news).and_then(for_guests),
        }
    }
}

/// Guests call Services by their names: no Ingress, and no listener. Who may not call or leave is held against them there.
fn for_guests(message: GatewayDown) -> Option<GatewayDown> {
    let inside = |service: &ServiceRoute| ServiceRoute { load_balancer: false, ..service.clone() };
    match message {
        GatewayDown::Routes(all) => {
            let services = all.services.iter().map(inside).collect();
            Some(GatewayDown::Routes(Arc::new(Routes { services, ingresses: Vec::new() })))
        }
        GatewayDown::Service(service) => Some(GatewayDown::Service(inside(&service))),
        GatewayDown::Ingress(_) => None,
        kept @ (GatewayDown::ServiceGone(_) | GatewayDown::Leaving(_) | GatewayDown::Endpoints { .. }) => Some(kept),
    }
}

#[cfg(test)]
mod tests {
    use api::{
        ObjectKey,
        session::{Guard, Ingress, Leaving},
    };

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
