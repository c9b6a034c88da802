use k8s_openapi::api::{core::v1::Event, events};
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, View,
    column::{Column, NAME, age, text_at},
    field::FieldError,
    honoured::Rule::*,
    resource::{no_checks, no_defaults},
    schema::Schema,
};

/// What both versions have in common.
const PASSING: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    scope: Scope::Namespaced,
    durability: Durability::Passing,
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

pub(super) static EVENT: Resource = Resource {
    honoured: &[
        ("involvedObject", Honoured),
        ("related", Honoured),
        ("type", Honoured),
        ("reason", Honoured),
        ("action", Honoured),
        ("message", Honoured),
        ("count", Honoured),
        ("series", Honoured),
        ("firstTimestamp", Honoured),
        ("lastTimestamp", Honoured),
        ("eventTime", Honoured),
        ("source", Honoured),
        ("reportingComponent", Honoured),
        ("reportingInstance", Honoured),
    ],
    validate: |event, _| check_namespace(event),
    ..PASSING
};

/// The same objects under the names of fields that newer clients write.
pub(super) static EVENT_V1: Resource = Resource {
    group: "events.k8s.io",
    schema: Schema::of::<events::v1::Event>(),
    validate: no_checks,
    view: Some(View {
        stored: &EVENT,
        of_stored: |event| renamed(event, "events.k8s.io/v1", |(core, newer)| (core, newer)),
        to_stored: |event| Ok(renamed(event, "v1", |(core, newer)| (newer, core))),
    }),
    ..PASSING
};

/// Fields of `v1` and what they are called in `events.k8s.io/v1`.
const NAMES: [Pair; 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

type Pair = (&'static str, &'static str);

fn renamed(mut event: Value, version: &str, way: fn(Pair) -> Pair) -> Value {
    event["apiVersion"] = json!(version);
    if let Some(fields) = event.as_object_mut() {
        for (from, to) in NAMES.map(way) {
            if let Some(value) = fields.remove(from) {
                fields.insert(to.to_owned(), value);
            }
        }
    }
    event
}

/// As in Kubernetes: an event is where its object is, or in `default` for one that is in no namespace.
fn check_namespace(event: &Value) -> Vec<FieldError> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (here, about) = (text("/metadata/namespace"), text("/involvedObject/namespace"));
    if about == here || (about.is_empty() && matches!(here, "default" | "kube-system")) {
        return Vec::new();
    }
    let wanted = if about.is_empty() { "default" } else { about };
    let message = format!("`{about}` is not the event's own namespace: write the event into `{wanted}`");
    vec![FieldError::invalid("involvedObject.namespace", message)]
}

fn last_seen(object: &Value, now: api::Timestamp) -> Value {
    let times = ["lastTimestamp", "eventTime", "firstTimestamp"];
    let time = times.iter().map(|field| &object[*field]).find(|time| time.is_string());
    age(time.unwrap_or(&Value::Null), now)
}
