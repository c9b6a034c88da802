use std::collections::HashMap;

use api::{Address, WorkerName, session::Endpoint};
use scheduler::{ReplicaState, ReplicaView};

/// Where gateways of other processes reach each worker that is not of this process; `None`: nowhere yet.
pub(crate) type Addresses = HashMap<WorkerName, Option<Address>>;

/// The endpoints of a Service among replicas of its namespace that it selects.
pub(crate) fn endpoints<'a>(selected: impl Iterator<Item = &'a ReplicaView>, addresses: &Addresses) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = selected.filter_map(|view| endpoint(view, addresses)).collect();
    // Kept for each Service, of which most have one.
    endpoints.shrink_to_fit();
    endpoints
}

fn endpoint(view: &ReplicaView, addresses: &Addresses) -> Option<Endpoint> {
    let standby = match view.state {
        ReplicaState::Ready => false,
        ReplicaState::Standby { ready: true } => true,
        _ => return None,
    };
    let worker = view.worker.clone()?;
    let address = match addresses.get(&worker) {
        Some(None) => return None,
        Some(address) => address.clone(),
        None => None,
    };
    let concurrency = view.template.limits.concurrency;
    Some(Endpoint {
        replica: view.id.clone(),
        concurrency: view.slots.map_or(concurrency, |slots| slots.min(concurrency)),
        request_deadline: view.template.limits.request_deadline,
        address,
        worker,
        standby,
    })
}
