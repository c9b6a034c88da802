use api::Timestamp;
use kube_api::{
    identity::{pod_uid, rfc3339},
    resources::DEFAULT_ACCOUNT,
    template::NO_ADDRESS,
};
use scheduler::{ReplicaState, ReplicaView};
use serde_json::{Map, Value, json};

use super::{Owner, container::container_status};

/// A replica as a Pod. `before` is the Pod as it stood, for what only it remembers: since when it is being deleted.
pub(super) fn pod(view: &ReplicaView, owner: &Owner<'_>, before: Option<&Value>, now: Timestamp) -> Value {
    let mut template = view.template.source.read();
    let mut metadata = metadata(view, owner, before, now);
    if let Some(annotations) = template["metadata"].get_mut("annotations").filter(|it| it.is_object()) {
        metadata["annotations"] = annotations.take();
    }
    let status = status(view, &template);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec(view, template["spec"].take()),
        "status": status,
    })
}

fn metadata(view: &ReplicaView, owner: &Owner<'_>, before: Option<&Value>, now: Timestamp) -> Value {
    let mut labels = view.template.labels.clone();
    labels.insert("pod-template-hash".to_owned(), view.template.hash.clone());
    let mut metadata = json!({
        "name": &*view.id.0.name,
        "generateName": format!("{}-", owner.name),
        "namespace": &*view.id.0.namespace,
        "uid": pod_uid(&view.id),
        "creationTimestamp": rfc3339(view.created),
        "labels": labels,
        "ownerReferences": [{
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner.name,
            "uid": owner.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        }],
    });
    if view.state == ReplicaState::Stopping {
        let since = before.map(|pod| &pod["metadata"]["deletionTimestamp"]).filter(|since| since.is_string());
        // Kubernetes writes the time at which the grace ends.
        metadata["deletionTimestamp"] = since.cloned().unwrap_or_else(|| rfc3339(now + view.template.grace).into());
        metadata["deletionGracePeriodSeconds"] = view.template.grace.as_secs().into();
    }
    metadata
}

fn spec(view: &ReplicaView, template: Value) -> Value {
    let mut spec = if let Value::Object(spec) = template { spec } else { Map::new() };
    if let Some(worker) = &view.worker {
        spec.insert("nodeName".to_owned(), worker.0.as_ref().into());
    }
    let priority = &view.template.priority;
    if let Some(class) = &priority.class {
        spec.insert("priorityClassName".to_owned(), class.as_str().into());
    }
    spec.insert("priority".to_owned(), priority.value.into());
    spec.insert("preemptionPolicy".to_owned(), priority.policy().into());
    spec.entry("restartPolicy").or_insert_with(|| "Always".into());
    spec.entry("terminationGracePeriodSeconds").or_insert_with(|| view.template.grace.as_secs().into());
    spec.entry("schedulerName").or_insert_with(|| "default-scheduler".into());
    spec.entry("serviceAccountName").or_insert_with(|| DEFAULT_ACCOUNT.into());
    spec.entry("dnsPolicy").or_insert_with(|| "ClusterFirst".into());
    spec.entry("securityContext").or_insert_with(|| json!({}));
    Value::Object(spec)
}

fn status(view: &ReplicaView, template: &Value) -> Value {
    let mut status = Map::new();
    status.insert("phase".to_owned(), phase(view).into());
    status.insert("conditions".to_owned(), conditions(view));
    status.insert("qosClass".to_owned(), qos_class(template).into());
    if view.state == ReplicaState::Unknown {
        status.insert("reason".to_owned(), "NodeLost".into());
        status.insert("message".to_owned(), "its worker has not been heard of".into());
    }
    if view.worker.is_some() {
        status.insert("startTime".to_owned(), rfc3339(view.created).into());
        status.insert("hostIP".to_owned(), NO_ADDRESS.into());
        status.insert("hostIPs".to_owned(), json!([{ "ip": NO_ADDRESS }]));
        status.insert("podIP".to_owned(), NO_ADDRESS.into());
        status.insert("podIPs".to_owned(), json!([{ "ip": NO_ADDRESS }]));
    }
    if let Some(worker) = &view.nominated {
        status.insert("nominatedNodeName".to_owned(), worker.0.as_ref().into());
    }
    if let Some(container) = container_status(view) {
        status.insert("containerStatuses".to_owned(), json!([container]));
    }
    Value::Object(status)
}

fn phase(view: &ReplicaView) -> &'static str {
    match view.state {
        // What stands by is not shown.
        ReplicaState::Standby { .. } | ReplicaState::Unplaced(_) | ReplicaState::Starting => "Pending",
        // As in Kubernetes, a Pod that ran once stays Running while its container is started again.
        ReplicaState::BackOff { .. } if view.started.is_none() || view.restarts == 0 => "Pending",
        ReplicaState::BackOff { .. } => "Running",
        ReplicaState::NotReady | ReplicaState::Ready | ReplicaState::Stopping => "Running",
        ReplicaState::Unknown => "Unknown",
    }
}

fn conditions(view: &ReplicaView) -> Value {
    let scheduled = match &view.state {
        // It is placed once its image is known, and what keeps that away stands with its container.
        ReplicaState::Unplaced(_) if view.digest.is_none() => condition("PodScheduled", "False", None, view.created),
        ReplicaState::Unplaced(why) => condition("PodScheduled", "False", Some(("Unschedulable", why)), view.created),
        _ => condition("PodScheduled", "True", None, view.created),
    };
    let ready = match view.state {
        ReplicaState::Ready => "True",
        ReplicaState::Unknown => "Unknown",
        _ => "False",
    };
    let why = (ready != "True").then_some(("ContainersNotReady", not_ready(view)));
    let why = why.as_ref().map(|(reason, message)| (*reason, message.as_str()));
    let since = readiness_since(view);
    json!([
        scheduled,
        condition("Initialized", "True", None, view.created),
        condition("ContainersReady", ready, why, since),
        condition("Ready", ready, why, since),
    ])
}

/// When the Ready condition came to be as it is, as near as is known.
fn readiness_since(view: &ReplicaView) -> Timestamp {
    let failed = view.last_failure.as_ref().map(|(_, at)| *at);
    view.ready_since.or(failed.max(view.started)).unwrap_or(view.created)
}

fn not_ready(view: &ReplicaView) -> String {
    format!("containers with unready status: [{}]", view.template.container)
}

fn condition(kind: &str, status: &str, why: Option<(&str, &str)>, since: Timestamp) -> Value {
    let mut condition = json!({ "type": kind, "status": status, "lastTransitionTime": rfc3339(since) });
    if let Some((reason, message)) = why {
        condition["reason"] = reason.into();
        condition["message"] = message.into();
    }
    condition
}

fn qos_class(template: &Value) -> &'static str {
    let resources = &template["spec"]["containers"][0]["resources"];
    let limits = resources["limits"].as_object().filter(|limits| !limits.is_empty());
    let requests = resources["requests"].as_object().filter(|requests| !requests.is_empty());
    match (limits, requests) {
        (None, None) => "BestEffort",
        (Some(limits), requests) if limits.len() == 2 && requests.is_none_or(|requests| requests == limits) => {
            "Guaranteed"
        }
        _ => "Burstable",
    }
}
