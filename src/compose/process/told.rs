use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use api::{
    ObjectKey, WorkerName,
    session::{ForGateway, GatewayDown, in_process},
};
use parking_lot::Mutex;

use super::{Elsewhere, watch::hand_on};

/// Workers of this machine that a process was told of, to route what its guests call.
#[derive(Default)]
pub(super) struct Told(Mutex<HashMap<ObjectKey, HashSet<(WorkerName, String)>>>);

impl Told {
    /// Whether a route leads to this worker at this socket.
    pub(super) fn leads_to(&self, worker: &WorkerName, socket: &str) -> bool {
        let wanted = (worker.clone(), socket.to_owned());
        self.0.lock().values().any(|workers| workers.contains(&wanted))
    }

    fn note(&self, message: &GatewayDown) {
        match message {
            // It replaces what was known: endpoints follow.
            GatewayDown::Routes(_) => self.0.lock().clear(),
            GatewayDown::ServiceGone(service) => drop(self.0.lock().remove(service)),
            GatewayDown::Endpoints { service, endpoints, .. } => {
                let workers = endpoints
                    .iter()
                    .filter_map(|endpoint| Some((endpoint.worker.clone(), endpoint.address.as_ref()?.socket.clone()?)));
                self.0.lock().insert(service.clone(), workers.collect());
            }
            GatewayDown::Service(_) | GatewayDown::Ingress(_) | GatewayDown::Leaving(_) => {}
        }
    }
}

/// A process' gateway session, of which `told` takes note. What is on other machines is reached by way of this process.
pub(super) fn routed(session: ForGateway, told: Arc<Told>, elsewhere: Arc<Elsewhere>) -> ForGateway {
    let (to_control_plane, for_control_plane) = in_process();
    tokio::spawn(async move {
        tokio::select! {
            () = hand_on(session.rx, to_control_plane.tx, |_| {}) => {}
            // Before the process knows it, so that it never asks too early.
            () = hand_on(to_control_plane.rx, session.tx, |message| {
                elsewhere.lead(message);
                told.note(message);
            }) => {}
        }
    });
    for_control_plane
}
