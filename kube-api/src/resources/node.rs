use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use crate::conditions::condition;

use super::{
    Durability, NameRule, Resource, Scope,
    column::{AGE, Column, NAME, joined, list_at, text_at},
    resource::{no_checks, no_defaults},
    schema::Schema,
};

pub(super) static NODE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    scope: Scope::Cluster,
    durability: Durability::Live,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[],
    columns: &[
        NAME,
        Column::text("Status", |object, _| json!(status(object))),
        Column::text("Roles", |object, _| {
            let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
            joined(labels.filter_map(|(key, _)| Some(key.strip_prefix("node-role.kubernetes.io/")?.to_owned())))
        }),
        AGE,
        Column::text("Version", |object, _| text_at(object, "/status/nodeInfo/kubeletVersion")),
        Column::wide("Internal-IP", |object, _| address(object, "InternalIP")),
        Column::wide("External-IP", |object, _| address(object, "ExternalIP")),
        Column::wide("OS-Image", |object, _| text_at(object, "/status/nodeInfo/osImage")),
        Column::wide("Kernel-Version", |object, _| text_at(object, "/status/nodeInfo/kernelVersion")),
        Column::wide("Container-Runtime", |object, _| text_at(object, "/status/nodeInfo/containerRuntimeVersion")),
    ],
    schema: Schema::of::<Node>(),
    honoured: &[],
    default: no_defaults,
    validate: no_checks,
    view: None,
};

fn status(object: &Value) -> String {
    let ready = condition(object, "Ready");
    let mut words = vec![match ready.and_then(|condition| condition["status"].as_str()) {
        Some("True") => "Ready",
        Some("False") => "NotReady",
        _ => "Unknown",
    }];
    if object["spec"]["unschedulable"] == true {
        words.push("SchedulingDisabled");
    }
    if condition(object, "NetworkUnavailable").is_some_and(|condition| condition["status"] == "True") {
        words.push("NetworkUnavailable");
    }
    words.join(",")
}

fn address(object: &Value, kind: &str) -> Value {
    let found = list_at(object, "/status/addresses").iter().find(|address| address["type"] == kind);
    found.map_or_else(|| json!("<none>"), |address| address["address"].clone())
}
