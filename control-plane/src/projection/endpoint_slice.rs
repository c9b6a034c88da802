use api::{ObjectKey, Timestamp, session::Endpoint};
use kube_api::identity::{derived_uid, pod_uid, rfc3339};
use serde_json::{Value, json};

use crate::routing::Service;

/// Endpoints shown of one Service, as in one of Kubernetes' slices.
pub(super) const MAX_SHOWN: usize = 1000;

/// The endpoints of a Service as an EndpointSlice. `before` is the slice as it stood, for when it was made.
pub(super) fn endpoint_slice(
    key: &ObjectKey,
    service: &Service,
    endpoints: &[Endpoint],
    before: Option<&Value>,
    now: Timestamp,
) -> Value {
    let made = before.map(|slice| slice["metadata"]["creationTimestamp"].clone());
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| json!({ "name": port.name.as_deref().unwrap_or_default(), "port": port.port, "protocol": "TCP" }))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": &*key.name,
            "namespace": &*key.namespace,
            "uid": derived_uid(&["endpointslice", &service.uid]),
            "creationTimestamp": made.unwrap_or_else(|| rfc3339(now).into()),
            "labels": {
                "kubernetes.io/service-name": &*key.name,
                "endpointslice.kubernetes.io/managed-by": "sampan",
            },
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "Service",
                "name": &*key.name,
                "uid": service.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        // Replicas have no addresses of their own: a gateway finds them by name.
        "addressType": "FQDN",
        "endpoints": endpoints.iter().take(MAX_SHOWN).map(endpoint).collect::<Vec<_>>(),
        "ports": ports,
    })
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "addresses": [&*endpoint.replica.0.name],
        "conditions": { "ready": true, "serving": true, "terminating": false },
        "nodeName": &*endpoint.worker.0,
        "targetRef": pod_reference(endpoint),
    })
}

/// The Pod that an endpoint is.
pub(super) fn pod_reference(endpoint: &Endpoint) -> Value {
    let pod = &endpoint.replica.0;
    json!({ "kind": "Pod", "namespace": &*pod.namespace, "name": &*pod.name, "uid": pod_uid(&endpoint.replica) })
}
