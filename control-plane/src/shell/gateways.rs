use std::collections::{BTreeMap, BTreeSet};

use api::{ObjectKey, session::GatewayDown};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{SessionId, network::Network};

/// The gateway sessions. A gateway that is slow is told the newest state of what it has not been told yet, so what waits
/// for it is bounded by the number of Services.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    sessions: BTreeMap<SessionId, Gateway>,
}

#[derive(Debug)]
struct Gateway {
    tx: mpsc::Sender<GatewayDown>,
    routes_wait: bool,
    services_wait: BTreeSet<ObjectKey>,
}

impl Gateways {
    /// A gateway came: it is told everything.
    pub(super) fn attach(&mut self, session: SessionId, tx: mpsc::Sender<GatewayDown>, network: &Network) {
        let mut gateway = Gateway { tx, routes_wait: true, services_wait: network.told_services().cloned().collect() };
        gateway.flush(network);
        self.sessions.insert(session, gateway);
    }

    pub(super) fn detach(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Tells every gateway what has changed.
    pub(super) fn tell(&mut self, changes: &[GatewayDown], network: &Network) {
        for gateway in self.sessions.values_mut() {
            for change in changes {
                match change {
                    GatewayDown::Routes(_) => gateway.routes_wait = true,
                    GatewayDown::Endpoints { service, .. } => {
                        gateway.services_wait.insert(service.clone());
                    }
                }
            }
            gateway.flush(network);
        }
    }

    /// Sends what waits, as far as there is room now.
    pub(super) fn flush(&mut self, network: &Network) {
        self.sessions.values_mut().for_each(|gateway| gateway.flush(network));
    }

    /// Whether something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        self.sessions.values().any(|gateway| gateway.routes_wait || !gateway.services_wait.is_empty())
    }
}

impl Gateway {
    fn flush(&mut self, network: &Network) {
        if self.routes_wait {
            if !self.send(network.routes_message()) {
                return;
            }
            self.routes_wait = false;
        }
        while let Some(service) = self.services_wait.pop_first() {
            let Some(message) = network.endpoints_message(&service) else { continue };
            if !self.send(message) {
                self.services_wait.insert(service);
                return;
            }
        }
    }

    /// Whether it was taken, or nobody is there to take it: the session's reader tells of its end.
    fn send(&self, message: GatewayDown) -> bool {
        !matches!(self.tx.try_send(message), Err(TrySendError::Full(_)))
    }
}
