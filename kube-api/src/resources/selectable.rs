//! The fields that the objects of each kind are selected by, as Kubernetes has them: `fieldSelector` in requests.

use super::Resource;

/// A field that may be selected by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selectable {
    /// As it stands in a selector, for example `spec.nodeName`.
    pub label: &'static str,
    /// Where its value stands in an object, as JSON pointers: the first that holds something counts.
    pub pointers: &'static [&'static str],
    /// What it counts as where the object leaves it out.
    pub absent: &'static str,
}

const fn field(label: &'static str, pointers: &'static [&'static str]) -> Selectable {
    Selectable { label, pointers, absent: "" }
}

const fn field_or(label: &'static str, pointers: &'static [&'static str], absent: &'static str) -> Selectable {
    Selectable { label, pointers, absent }
}

const NAME: Selectable = field("metadata.name", &["/metadata/name"]);
const NAMESPACE: Selectable = field("metadata.namespace", &["/metadata/namespace"]);

/// The fields that objects of this kind are selected by; there are no others.
pub fn selectable(resource: &Resource) -> &'static [Selectable] {
    match (resource.group, resource.plural) {
        ("", "pods") => PODS,
        ("", "nodes") => NODES,
        ("", "events") => EVENTS,
        ("", "secrets") => SECRETS,
        ("", "namespaces") => NAMESPACES,
        ("", "services") => SERVICES,
        ("apps", "replicasets") => REPLICA_SETS,
        ("batch", "jobs") => JOBS,
        _ => &[NAME, NAMESPACE],
    }
}

const PODS: &[Selectable] = &[
    NAME,
    NAMESPACE,
    field("spec.nodeName", &["/spec/nodeName"]),
    field_or("spec.restartPolicy", &["/spec/restartPolicy"], "Always"),
    field_or("spec.schedulerName", &["/spec/schedulerName"], "default-scheduler"),
    field("spec.serviceAccountName", &["/spec/serviceAccountName"]),
    field_or("spec.hostNetwork", &["/spec/hostNetwork"], "false"),
    field("status.phase", &["/status/phase"]),
    field("status.podIP", &["/status/podIP"]),
    field("status.nominatedNodeName", &["/status/nominatedNodeName"]),
];

const NODES: &[Selectable] = &[NAME, field_or("spec.unschedulable", &["/spec/unschedulable"], "false")];

const EVENTS: &[Selectable] = &[
    NAME,
    NAMESPACE,
    field("involvedObject.kind", &["/involvedObject/kind"]),
    field("involvedObject.namespace", &["/involvedObject/namespace"]),
    field("involvedObject.name", &["/involvedObject/name"]),
    field("involvedObject.uid", &["/involvedObject/uid"]),
    field("involvedObject.apiVersion", &["/involvedObject/apiVersion"]),
    field("involvedObject.resourceVersion", &["/involvedObject/resourceVersion"]),
    field("involvedObject.fieldPath", &["/involvedObject/fieldPath"]),
    field("reason", &["/reason"]),
    field("reportingComponent", &["/reportingComponent"]),
    field("source", &["/source/component", "/reportingComponent"]),
    field("type", &["/type"]),
];

const SECRETS: &[Selectable] = &[NAME, NAMESPACE, field("type", &["/type"])];
const NAMESPACES: &[Selectable] = &[NAME, field("status.phase", &["/status/phase"])];
const SERVICES: &[Selectable] =
    &[NAME, NAMESPACE, field("spec.clusterIP", &["/spec/clusterIP"]), field("spec.type", &["/spec/type"])];
const REPLICA_SETS: &[Selectable] = &[NAME, NAMESPACE, field_or("status.replicas", &["/status/replicas"], "0")];
const JOBS: &[Selectable] = &[NAME, NAMESPACE, field_or("status.successful", &["/status/succeeded"], "0")];
