use std::collections::{BTreeMap, BTreeSet};

use api::session::GatewayDown;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    SessionId,
    network::{Network, News},
};

/// The gateway sessions. A gateway that is slow is told the newest state of what it has not been told yet, so what waits
/// for it is bounded by the number of Services and Ingresses.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    sessions: BTreeMap<SessionId, Gateway>,
}

#[derive(Debug)]
struct Gateway {
    tx: mpsc::Sender<GatewayDown>,
    waits: BTreeSet<News>,
}

impl Gateways {
    /// A gateway came: it is told everything.
    pub(super) fn attach(&mut self, session: SessionId, tx: mpsc::Sender<GatewayDown>, network: &Network) {
        let endpoints = network.told_services().cloned().map(News::Endpoints);
        let mut gateway = Gateway { tx, waits: endpoints.chain([News::Routes, News::Leaving]).collect() };
        gateway.flush(network);
        self.sessions.insert(session, gateway);
    }

    pub(super) fn detach(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Tells every gateway what has changed.
    pub(super) fn tell(&mut self, news: &BTreeSet<News>, network: &Network) {
        for gateway in self.sessions.values_mut() {
            gateway.waits.extend(news.iter().cloned());
            gateway.flush(network);
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
    fn flush(&mut self, network: &Network) {
        while let Some(news) = self.waits.pop_first() {
            let Some(message) = network.message(&news) else { continue };
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
