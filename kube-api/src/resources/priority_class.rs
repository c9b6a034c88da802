//! PriorityClasses: how much Deployments matter when there is not room for all.

use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope,
    column::{AGE, Column, NAME, number_at, text_at},
    field::{Cause, FieldError},
    honoured::Rule::*,
    schema::Schema,
};

/// The highest value that a user's class may have, as in Kubernetes.
const HIGHEST_OF_USERS: i64 = 1_000_000_000;
/// What names of classes of the system begin with.
const SYSTEM: &str = "system-";
const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];

/// The classes that exist in every installation: their names, values and meanings, as in Kubernetes.
pub const SYSTEM_CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];

/// Whether a class exists in every installation.
pub(crate) fn is_system_class(name: &str) -> bool {
    SYSTEM_CLASSES.iter().any(|(known, ..)| *known == name)
}

pub(super) static PRIORITY_CLASS: Resource = Resource {
    group: "scheduling.k8s.io",
    version: "v1",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    categories: &[],
    scope: Scope::Cluster,
    durability: Durability::Durable,
    has_cluster_ip: false,
    names: NameRule::Subdomain,
    subresources: &[],
    columns: &[
        NAME,
        Column::number("Value", |object, _| number_at(object, "/value")),
        Column::text("Global-Default", |object, _| json!(object["globalDefault"] == true)),
        AGE,
        Column::text("PreemptionPolicy", |object, _| text_at(object, "/preemptionPolicy")),
    ],
    schema: Schema::of::<PriorityClass>(),
    honoured: &[
        ("value", Honoured),
        ("globalDefault", Honoured),
        ("description", Honoured),
        ("preemptionPolicy", Honoured),
    ],
    default: |object| {
        if let Some(fields) = object.as_object_mut() {
            fields.entry("preemptionPolicy").or_insert_with(|| json!(POLICIES[0]));
        }
    },
    validate,
    view: None,
};

fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (name, value) = (new["metadata"]["name"].as_str().unwrap_or_default(), new["value"].as_i64().unwrap_or(0));
    let of_system = SYSTEM_CLASSES.iter().any(|(known, theirs, _)| *known == name && *theirs == value);
    if name.starts_with(SYSTEM) && !of_system {
        let message = format!("names that begin with `{SYSTEM}` are the system's: choose another");
        errors.push(FieldError::invalid("metadata.name", message));
    } else if value > HIGHEST_OF_USERS && !of_system {
        let message = format!("{value} is above {HIGHEST_OF_USERS}, the highest that a class of a user may have");
        errors.push(FieldError::invalid("value", message));
    }
    if of_system && new["globalDefault"] == true {
        errors.push(FieldError::invalid("globalDefault", "must not be set on a class of the system"));
    }
    let policy = new["preemptionPolicy"].as_str().unwrap_or_default();
    if !POLICIES.contains(&policy) {
        let message = format!("`{policy}` is not known: write `{}` or `{}`", POLICIES[0], POLICIES[1]);
        errors.push(FieldError::invalid("preemptionPolicy", message));
    }
    let fixed =
        ["value", "preemptionPolicy"].into_iter().filter(|field| old.is_some_and(|old| old[*field] != new[*field]));
    errors.extend(fixed.map(|field| {
        let message = "cannot be changed: make another class, or delete this one and create it again";
        FieldError::new(Cause::Immutable, field, message)
    }));
    errors
}
