use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME, age, list_at, text_at},
    resource::no_defaults,
    schema::Schema,
};
use crate::checks;

pub(super) static POD: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    scope: Scope::Namespaced,
    durability: Durability::Live,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[Subresource::Log, Subresource::Eviction],
    columns: &[
        NAME,
        Column::text("Ready", |object, _| {
            let states = list_at(object, "/status/containerStatuses");
            let ready = states.iter().filter(|state| state["ready"] == true).count();
            json!(format!("{ready}/{}", list_at(object, "/spec/containers").len()))
        }),
        Column::text("Status", |object, _| json!(status(object))),
        Column::text("Restarts", restarts),
        AGE,
        Column::wide("IP", |object, _| text_at(object, "/status/podIP")),
        Column::wide("Node", |object, _| text_at(object, "/spec/nodeName")),
        Column::wide("Nominated Node", |_, _| json!("<none>")),
        Column::wide("Readiness Gates", |_, _| json!("<none>")),
    ],
    schema: Schema::of::<Pod>(),
    // Of those that users make: the others are projections.
    honoured: checks::CHECK,
    default: no_defaults,
    validate: |new, _| checks::problems(new),
    view: None,
};

/// The word that says most: the reason that a container waits or ended, else the phase.
fn status(object: &Value) -> String {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".to_owned();
    }
    let states = list_at(object, "/status/containerStatuses").iter();
    let reasons = states.flat_map(|one| [&one["state"]["waiting"]["reason"], &one["state"]["terminated"]["reason"]]);
    let mut words = reasons.chain([&object["status"]["reason"], &object["status"]["phase"]]);
    words.find_map(Value::as_str).unwrap_or("Unknown").to_owned()
}

fn restarts(object: &Value, now: api::Timestamp) -> Value {
    let states = list_at(object, "/status/containerStatuses");
    let count: i64 = states.iter().filter_map(|state| state["restartCount"].as_i64()).sum();
    let last = states.iter().map(|state| &state["lastState"]["terminated"]["finishedAt"]).find(|time| time.is_string());
    match last.map(|last| age(last, now)) {
        Some(ago) if count > 0 => json!(format!("{count} ({} ago)", ago.as_str().unwrap_or_default())),
        _ => json!(count.to_string()),
    }
}
