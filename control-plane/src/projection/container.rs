use api::{
    Timestamp,
    replica::{Failure, FailureReason},
};
use kube_api::identity::rfc3339;
use scheduler::{ReplicaState, ReplicaView};
use serde_json::{Value, json};

/// The status of a replica's only container. `None` while it has no worker, unless it has failed already.
pub(super) fn container_status(view: &ReplicaView) -> Option<Value> {
    if view.worker.is_none() && view.last_failure.is_none() {
        return None;
    }
    let ready = view.state == ReplicaState::Ready;
    let runs = matches!(view.state, ReplicaState::NotReady | ReplicaState::Ready | ReplicaState::Stopping);
    let mut status = json!({
        "name": view.template.container,
        "image": view.template.image,
        "imageID": view.digest.as_ref().map_or_else(String::new, |digest| pinned(&view.template.image, digest.as_str())),
        "ready": ready,
        "started": runs,
        "restartCount": view.restarts,
        "state": state(view),
        "lastState": {},
    });
    if let Some(digest) = view.digest.as_ref().filter(|_| runs) {
        status["containerID"] = format!("wasmtime://{}", digest.hex()).into();
    }
    if let Some((failure, at)) = view.last_failure.as_ref().filter(|(failure, _)| has_run(failure)) {
        status["lastState"] = json!({ "terminated": terminated(failure, view.started, *at) });
    }
    Some(status)
}

fn state(view: &ReplicaView) -> Value {
    match (&view.state, &view.last_failure) {
        (ReplicaState::Ready | ReplicaState::NotReady | ReplicaState::Stopping, _) => {
            json!({ "running": { "startedAt": rfc3339(view.started.unwrap_or(view.created)) } })
        }
        (ReplicaState::BackOff { until }, Some((failure, at))) => {
            json!({ "waiting": { "reason": waiting_reason(failure), "message": waiting_message(view, failure, *at, *until) } })
        }
        (ReplicaState::Unknown, _) => {
            json!({ "waiting": { "reason": "NodeLost", "message": "its worker has not been heard of" } })
        }
        (ReplicaState::Unplaced(_), Some((failure, _))) if !has_run(failure) => {
            json!({ "waiting": { "reason": failure.reason.as_str(), "message": failure.message } })
        }
        _ => json!({ "waiting": { "reason": "ContainerCreating" } }),
    }
}

/// A container that ran and ended is in a crash loop; one that never ran says why.
fn waiting_reason(failure: &Failure) -> &'static str {
    if has_run(failure) { "CrashLoopBackOff" } else { failure.reason.as_str() }
}

fn waiting_message(view: &ReplicaView, failure: &Failure, at: Timestamp, until: Timestamp) -> String {
    if has_run(failure) {
        let pause = api::format_span(std::time::Duration::from_secs(until.since(at).as_secs()));
        format!("back-off {pause} restarting failed container of pod {}: {}", view.id.0.name, failure.message)
    } else {
        failure.message.clone()
    }
}

/// Whether the guest had been started when this happened.
fn has_run(failure: &Failure) -> bool {
    matches!(failure.reason, FailureReason::Error | FailureReason::OomKilled | FailureReason::NodeLost)
}

fn terminated(failure: &Failure, started: Option<Timestamp>, at: Timestamp) -> Value {
    // What a process that was killed for its memory, and one that failed, end with.
    let exit_code = if failure.reason == FailureReason::OomKilled { 137 } else { 1 };
    json!({
        "exitCode": exit_code,
        "reason": failure.reason.as_str(),
        "message": failure.message,
        "startedAt": rfc3339(started.filter(|started| *started <= at).unwrap_or(at)),
        "finishedAt": rfc3339(at),
    })
}

/// `registry/name@digest`, without the tag, as Kubernetes shows it.
fn pinned(image: &str, digest: &str) -> String {
    let image = image.split('@').next().unwrap_or(image);
    let name_start = image.rfind('/').map_or(0, |slash| slash + 1);
    let end = image[name_start..].find(':').map_or(image.len(), |colon| name_start + colon);
    format!("{}@{digest}", &image[..end])
}
