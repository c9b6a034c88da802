//! What a worker's process that was started here may reach. It opens nothing itself: it asks for each connection, and who started it,
//! its control plane too, knows what runs in it and what that is granted. What it may ask and say in its sessions, `rules` know.

mod broker;
mod elsewhere;
mod granted;
mod lent;
mod told;
mod watch;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use api::{
    WorkerName,
    session::{ForGateway, ForWorker},
};
use runtime::Artifacts;
use transport::{Offer, SessionListener};

use crate::paths::DataDir;

pub(super) use broker::ProcessBroker;
pub(super) use elsewhere::Elsewhere;
pub(super) use granted::Granted;
pub(super) use lent::Lent;

use told::{Told, routed};
use watch::watched;
pub(super) use words::hand_on;

/// A process before it is started: how it comes in, and what it may have.
pub(super) struct Bound {
    pub(super) granted: Arc<Granted>,
    pub(super) lent: Arc<Lent>,
    pub(super) broker: Arc<ProcessBroker>,
    /// Where its sessions are taken.
    pub(super) listener: SessionListener,
    told: Arc<Told>,
    elsewhere: Arc<Elsewhere>,
    artifacts: Artifacts,
}

impl Bound {
    /// The process of the worker with this name, which reaches other machines this way, and is lent artifacts.
    pub(super) fn new(name: &str, dir: &DataDir, elsewhere: Arc<Elsewhere>, artifacts: Artifacts) -> Self {
        let (granted, told) = (Arc::<Granted>::default(), Arc::<Told>::default());
        let (listener, sessions) = SessionListener::of_process(name);
        let requests = dir.request_socket(name);
        let lent = Arc::new(Lent::new(artifacts.clone(), granted.clone(), dir.of_process(name)));
        let broker = ProcessBroker::new(sessions, granted.clone(), lent.clone(), requests, told.clone());
        Self { granted, lent, broker: Arc::new(broker), listener, told, elsewhere, artifacts }
    }

    /// The offer for the process, with note taken of what it is told.
    pub(super) fn noting(&self, offer: Offer) -> Offer {
        let (granted, told, elsewhere) = (self.granted.clone(), self.told.clone(), self.elsewhere.clone());
        let artifacts = Arc::new(self.artifacts.clone());
        let (worker, gateway) = (offer.worker, offer.gateway);
        Offer {
            // All that comes in there is this process, whatever it calls itself.
            worker: Arc::new(move |session: ForWorker| worker(watched(session, granted.clone(), artifacts.clone()))),
            gateway: Arc::new(move |session: ForGateway, process: Option<WorkerName>| {
                gateway(routed(session, told.clone(), elsewhere.clone()), process);
            }),
            ..offer
        }
    }
}
