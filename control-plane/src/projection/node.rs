use api::{Taint, Timestamp};
use scheduler::WorkerView;
use serde_json::{Value, json};

use super::node_uid;
use crate::{conditions::condition, identity::rfc3339};

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
            "annotations": {},
        },
        "spec": spec(view),
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [ready_condition(view, before, now)],
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

fn ready_condition(view: &WorkerView, before: Option<&Value>, now: Timestamp) -> Value {
    let status = if view.ready { "True" } else { "Unknown" };
    let earlier = before.and_then(|node| condition(node, "Ready")).filter(|earlier| earlier["status"] == status);
    let since = earlier.map(|earlier| earlier["lastTransitionTime"].clone());
    let (reason, message) = match view.ready {
        true => ("WorkerReady", "the worker is connected"),
        false => ("WorkerSilent", "the worker is not connected, or has not been heard of lately"),
    };
    json!({
        "type": "Ready",
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
