use api::annotations;
use k8s_openapi::api::core::v1::Namespace;
use registry_client::VerifyingKeys;
use serde_json::{Value, json};

use super::{
    Durability, NameRule, Resource, Scope, Subresource,
    column::{AGE, Column, NAME},
    field::FieldError,
    honoured::Rule::*,
    schema::Schema,
};

pub(super) static NAMESPACE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    scope: Scope::Cluster,
    durability: Durability::Durable,
    has_cluster_ip: false,
    names: NameRule::Label,
    subresources: &[Subresource::Status],
    columns: &[NAME, Column::text("Status", |object, _| object["status"]["phase"].clone()), AGE],
    schema: Schema::of::<Namespace>(),
    honoured: &[("spec.finalizers[]", Only(&["kubernetes"], "namespaces are emptied when they are deleted"))],
    default: set_defaults,
    validate: check_keys,
    view: None,
};

/// A policy that cannot be read would deny everything: better to say so at once.
fn check_keys(object: &Value, _: Option<&Value>) -> Vec<FieldError> {
    let keys = object["metadata"]["annotations"][annotations::SIGNED_BY].as_str();
    let wrong = keys.and_then(|keys| VerifyingKeys::parse(keys).err());
    let path = format!("metadata.annotations[{}]", annotations::SIGNED_BY);
    wrong.map(|error| FieldError::invalid(path, error.to_string())).into_iter().collect()
}

fn set_defaults(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    let status = fields.entry("status").or_insert_with(|| json!({}));
    if let Some(status) = status.as_object_mut() {
        status.entry("phase").or_insert_with(|| json!("Active"));
    }
    let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let name = metadata.get("name").cloned().unwrap_or_default();
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        // As in Kubernetes, whatever was written: selectors go by it.
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}
