//! What a worker's process that was started here may have. It opens nothing itself: it asks for each connection, and who started it,
//! its control plane too, knows what runs in it and what that is granted.

mod broker;
mod granted;
mod handles;
mod told;
mod watch;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use api::session::{ForGateway, ForWorker};
use transport::{Offer, SessionListener};

use crate::paths::DataDir;

pub(super) use broker::ProcessBroker;
pub(super) use granted::Granted;

use handles::{GrantedImages, GrantedKeyValue};
use told::{Told, routed};
use watch::watched;

/// A process before it is started: how it comes in, and what it may have.
pub(super) struct Bound {
    pub(super) granted: Arc<Granted>,
    pub(super) broker: Arc<ProcessBroker>,
    /// Where its sessions are taken.
    pub(super) listener: SessionListener,
    told: Arc<Told>,
    requests: PathBuf,
}

impl Bound {
    /// The process of the worker with this name.
    pub(super) fn new(name: &str, dir: &DataDir) -> Self {
        let (granted, told) = (Arc::<Granted>::default(), Arc::<Told>::default());
        let (listener, sessions) = SessionListener::of_process(name);
        let requests = dir.request_socket(name);
        let broker = ProcessBroker::new(sessions, granted.clone(), requests.clone(), told.clone());
        Self { granted, broker: Arc::new(broker), listener, told, requests }
    }

    /// As much of an offer as the process may have.
    pub(super) fn narrowed(&self, offer: Offer) -> Offer {
        let (granted, told) = (self.granted.clone(), self.told.clone());
        let (worker, gateway) = (offer.worker, offer.gateway);
        let requests = self.requests.to_str().map(str::to_owned);
        Offer {
            // All that comes in there is this process, whatever it calls itself.
            worker: Arc::new(move |session: ForWorker| worker(watched(session, granted.clone(), requests.clone()))),
            gateway: Arc::new(move |session: ForGateway| gateway(routed(session, told.clone()))),
            key_value: Arc::new(GrantedKeyValue { granted: self.granted.clone(), store: offer.key_value }),
            images: Arc::new(GrantedImages { granted: self.granted.clone(), images: offer.images }),
            admission: offer.admission,
        }
    }
}
