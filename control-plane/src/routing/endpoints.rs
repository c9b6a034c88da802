use api::session::Endpoint;
use scheduler::{ReplicaState, ReplicaView};

/// The endpoints of a Service among replicas of its namespace that it selects.
pub(crate) fn endpoints<'a>(selected: impl Iterator<Item = &'a ReplicaView>) -> Vec<Endpoint> {
    selected.filter_map(endpoint).collect()
}

fn endpoint(view: &ReplicaView) -> Option<Endpoint> {
    if view.state != ReplicaState::Ready {
        return None;
    }
    Some(Endpoint {
        replica: view.id.clone(),
        worker: view.worker.clone()?,
        concurrency: view.template.limits.concurrency,
        request_deadline: view.template.limits.request_deadline,
    })
}
