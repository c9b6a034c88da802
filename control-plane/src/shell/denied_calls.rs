//! Calls of guests that a NetworkPolicy has denied: they are denied in the process that runs the guest, and counted here for all.

use api::{
    Refused,
    session::{Denied, DeniedCalls, MAX_DENIED_CALLS},
};
use kube_api::kind::NAMESPACE;

use super::{SessionId, Shell, sessions::SANE_COUNT};

impl Shell {
    /// Counted is what was denied to whom the other side was told of: to Services, and to namespaces of its guests.
    pub(super) fn denied_calls(&self, session: SessionId, calls: Vec<DeniedCalls>) {
        let refusals = self.measurements.refusals();
        for DeniedCalls { to, count } in calls.into_iter().take(MAX_DENIED_CALLS) {
            let count = count.min(SANE_COUNT);
            match to {
                // One that is gone meanwhile is nobody's any more.
                Denied::Service(key) if self.network.service(&key).is_none() => {}
                Denied::Service(key) if !self.gateways.knows_routes(session) => self.refuse(session, &key),
                Denied::Service(key) => refusals.add(Refused::Call, "service", &key.to_string(), count),
                Denied::Outside { namespace } if !self.has_guests_of(session, &namespace) => {}
                Denied::Outside { namespace } => refusals.add(Refused::Call, "outside", &namespace, count),
            }
        }
    }

    /// Whether guests of a namespace may be where a session comes from.
    fn has_guests_of(&self, session: SessionId, namespace: &str) -> bool {
        match self.gateways.worker(session) {
            Some(worker) => {
                let guests = self.peers.guests(worker, 0);
                guests.is_some_and(|(guests, _)| guests.iter().any(|guest| &*guest.namespace == namespace))
            }
            None => self.objects.cluster_object(NAMESPACE, namespace).is_some(),
        }
    }
}
