use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope,
    column::{Column, NAME, age, text_at},
    resource::{no_checks, no_defaults},
    schema::Schema,
};

pub(super) static EVENT: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    scope: Scope::Namespaced,
    durability: Durability::Live,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[],
    columns: &[
        Column::text("Last Seen", last_seen),
        Column::text("Type", |object, _| object["type"].clone()),
        Column::text("Reason", |object, _| object["reason"].clone()),
        Column::text("Object", |object, _| {
            let about = &object["involvedObject"];
            let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
            json!(format!("{kind}/{}", about["name"].as_str().unwrap_or_default()))
        }),
        Column::wide("Subobject", |object, _| object["involvedObject"]["fieldPath"].clone()),
        Column::wide("Source", |object, _| text_at(object, "/source/component")),
        Column::text("Message", |object, _| json!(object["message"].as_str().unwrap_or_default().trim())),
        Column::wide("First Seen", |object, now| age(&object["firstTimestamp"], now)),
        Column::wide("Count", |object, _| json!(object["count"].as_i64().unwrap_or(1).to_string())),
        Column { priority: 1, ..NAME },
    ],
    schema: Schema::of::<Event>(),
    honoured: &[],
    default: no_defaults,
    validate: no_checks,
    view: None,
};

fn last_seen(object: &Value, now: api::Timestamp) -> Value {
    let times = ["lastTimestamp", "eventTime", "firstTimestamp"];
    let time = times.iter().map(|field| &object[*field]).find(|time| time.is_string());
    age(time.unwrap_or(&Value::Null), now)
}
