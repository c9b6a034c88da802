use api::{ObjectKey, Timestamp, session::Endpoint};
use kube_api::{
    identity::{derived_uid, rfc3339},
    template::NO_ADDRESS,
};
use serde_json::{Value, json};

use super::endpoint_slice::{MAX_SHOWN, pod_reference};
use crate::routing::Service;

/// The endpoints of a Service as an Endpoints object. `before` is the object as it stood, for when it was made.
pub(super) fn endpoints(
    key: &ObjectKey,
    service: &Service,
    endpoints: &[Endpoint],
    before: Option<&Value>,
    now: Timestamp,
) -> Value {
    let made = before.map(|object| object["metadata"]["creationTimestamp"].clone());
    let ports = service.ports.iter().map(|port| {
        let mut shown = json!({ "port": port.port, "protocol": "TCP" });
        if let Some(name) = &port.name {
            shown["name"] = name.as_str().into();
        }
        shown
    });
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": &*key.name,
            "namespace": &*key.namespace,
            "uid": derived_uid(&["endpoints", &service.uid]),
            "creationTimestamp": made.unwrap_or_else(|| rfc3339(now).into()),
        },
    });
    // As in Kubernetes: a Service without endpoints has no subset.
    if !endpoints.is_empty() {
        let addresses: Vec<_> = endpoints.iter().take(MAX_SHOWN).map(address).collect();
        object["subsets"] = json!([{ "addresses": addresses, "ports": ports.collect::<Vec<_>>() }]);
    }
    object
}

fn address(endpoint: &Endpoint) -> Value {
    json!({ "ip": NO_ADDRESS, "nodeName": &*endpoint.worker.0, "targetRef": pod_reference(endpoint) })
}
