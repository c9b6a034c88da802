use api::{Taint, Timestamp};
use kube_api::{conditions::condition, identity::rfc3339};
use scheduler::{NETWORK_UNAVAILABLE, WorkerView};
use serde_json::{Value, json};

use super::node_uid;

/// A worker as a Node. `before` is the Node as it stood, for the time of its last transition.
pub(super) fn node(view: &WorkerView, before: Option<&Value>, now: Timestamp) -> Value {
    let mut labels = view.labels.clone();
    labels.entry("kubernetes.io/hostname".to_owned()).or_insert_with(|| view.name.0.as_ref().to_owned());
    let resources = json!({
        "cpu": format!("{}m", view.capacity.cpu_millis),
        "memory": view.capacity.memory_bytes.to_string(),
        "pods": view.capacity.replicas.to_string(),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": &*view.name.0,
            "uid": node_uid(&view.name),
            "creationTimestamp": rfc3339(view.since),
            "labels": labels,
            "annotations": view.marks.annotations(),
        },
        "spec": spec(view),
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": conditions(view, before, now),
            "addresses": [{ "type": "Hostname", "address": &*view.name.0 }],
            "nodeInfo": {
                "kubeletVersion": concat!("sampan-", env!("CARGO_PKG_VERSION")),
                "kubeProxyVersion": "",
                "architecture": view.labels.get("kubernetes.io/arch").map_or("wasm32", String::as_str),
                "operatingSystem": view.labels.get("kubernetes.io/os").map_or("wasi", String::as_str),
                "containerRuntimeVersion": "wasmtime://48",
                "osImage": "",
                "kernelVersion": "",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        },
    })
}

fn spec(view: &WorkerView) -> Value {
    let taint = |taint: &Taint| json!({ "key": taint.key, "value": taint.value, "effect": taint.effect.as_str() });
    let mut taints: Vec<Value> = view.taints.iter().map(taint).collect();
    let unschedulable = view.cordoned || view.leaving;
    if view.unreached.is_some() {
        taints.push(json!({ "key": NETWORK_UNAVAILABLE, "effect": "NoSchedule" }));
    }
    if unschedulable {
        taints.push(json!({ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" }));
    }
    let mut spec = json!({});
    if unschedulable {
        spec["unschedulable"] = true.into();
    }
    if !taints.is_empty() {
        spec["taints"] = taints.into();
    }
    spec
}

fn conditions(view: &WorkerView, before: Option<&Value>, now: Timestamp) -> Vec<Value> {
    let ready = match view.ready {
        true => ["Ready", "True", "WorkerReady", "the worker is connected"],
        false => ["Ready", "Unknown", "WorkerSilent", "the worker is not connected, or has not been heard of lately"],
    };
    let unreached = view.unreached.as_deref().map(|why| ["NetworkUnavailable", "True", "NotReached", why]);
    // Where it is reached, that is said only if it was not before.
    let reached = ["NetworkUnavailable", "False", "Reached", "gateways reach the worker"];
    let reached = before.and_then(|node| condition(node, "NetworkUnavailable")).map(|_| reached);
    [Some(ready), unreached.or(reached)].into_iter().flatten().map(|said| stated(said, before, now)).collect()
}

/// A condition of this type, status, reason and message.
fn stated([kind, status, reason, message]: [&str; 4], before: Option<&Value>, now: Timestamp) -> Value {
    let earlier = before.and_then(|node| condition(node, kind)).filter(|earlier| earlier["status"] == status);
    let since = earlier.map(|earlier| earlier["lastTransitionTime"].clone());
    json!({
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since.unwrap_or_else(|| rfc3339(now).into()),
        "lastHeartbeatTime": since_heartbeat(earlier, now),
    })
}

/// A heartbeat is not written each time it comes: the Node would change all the time for every watcher.
fn since_heartbeat(earlier: Option<&Value>, now: Timestamp) -> Value {
    earlier.map_or_else(|| rfc3339(now).into(), |earlier| earlier["lastHeartbeatTime"].clone())
}
