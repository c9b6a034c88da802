use api::ObjectKey;
use scheduler::{ReplicaState, ReplicaView};

use super::Service;

/// A Deployment whose replicas a Service selects.
#[derive(Debug)]
pub(crate) struct Backer<'a> {
    pub(crate) key: &'a ObjectKey,
    /// How many replicas are wanted.
    pub(crate) wanted: u32,
    /// Whether the traffic decides that: then none running means that one is started.
    pub(crate) scaled: bool,
    /// What keeps it from having replicas at all, as its status says.
    pub(crate) trouble: Option<&'a str>,
}

/// Why a Service has no endpoint, for the answer to a request that finds none.
pub(crate) fn reason(service: &Service, backers: &[Backer<'_>], selected: &[&ReplicaView]) -> String {
    if service.selector.is_empty() {
        return "the service has no selector".to_owned();
    }
    if let Some(worst) = selected.iter().max_by_key(|view| severity(&view.state)) {
        return format!("{}: {}", owner(worst, backers), replica_reason(worst, selected));
    }
    let Some(backer) = backers.iter().max_by_key(|backer| backer.wanted) else {
        return format!("no deployment has pods with the labels {}", labels(&service.selector));
    };
    let name = &backer.key.name;
    match backer.trouble {
        _ if backer.wanted == 0 && !backer.scaled => format!(
            "deployment {name} is scaled to 0 replicas and no autoscaler starts one: \
             kubectl scale deployment/{name} --replicas=1 -n {}",
            backer.key.namespace
        ),
        Some(trouble) => format!("deployment {name}: {trouble}"),
        None if backer.scaled => format!("deployment {name}: a replica is being started"),
        None => format!("deployment {name}: its first replica has not been started yet"),
    }
}

/// What a user most needs to know comes last.
fn severity(state: &ReplicaState) -> u8 {
    match state {
        ReplicaState::Ready | ReplicaState::Standby { .. } => 0,
        ReplicaState::Stopping => 1,
        ReplicaState::Starting => 2,
        ReplicaState::NotReady => 3,
        ReplicaState::Unknown => 4,
        ReplicaState::Unplaced(_) => 5,
        ReplicaState::BackOff { .. } => 6,
    }
}

fn replica_reason(view: &ReplicaView, selected: &[&ReplicaView]) -> String {
    let same = selected.iter().filter(|other| severity(&other.state) == severity(&view.state)).count();
    let count = format!("{same} of {}", selected.len());
    match &view.state {
        ReplicaState::BackOff { .. } => match &view.last_failure {
            Some((failure, _)) => format!("{count} replicas failed and are started again later: {}", failure.message),
            None => format!("{count} replicas failed and are started again later"),
        },
        ReplicaState::Unplaced(why) => format!("{count} replicas have no worker: {why}"),
        ReplicaState::Unknown => format!("{count} replicas are on a worker that is not heard of"),
        ReplicaState::NotReady => format!("{count} replicas run but their readiness probe has not succeeded"),
        ReplicaState::Starting => format!("{count} replicas are starting"),
        ReplicaState::Stopping => format!("{count} replicas are stopping"),
        ReplicaState::Standby { .. } => "a replica is being prepared".to_owned(),
        ReplicaState::Ready => {
            format!(
                "{count} replicas are ready, on workers that gateways do not reach: `kubectl describe nodes` says why"
            )
        }
    }
}

fn owner(view: &ReplicaView, backers: &[Backer<'_>]) -> String {
    // A revision is named after its Deployment, a dash and the template's hash.
    let named = view.revision.name.strip_suffix(&*view.template.hash).and_then(|name| name.strip_suffix('-'));
    match named.filter(|name| backers.iter().any(|backer| *backer.key.name == **name)) {
        Some(name) => format!("deployment {name}"),
        None => format!("replicaset {}", view.revision.name),
    }
}

fn labels(selector: &[(String, String)]) -> String {
    selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
