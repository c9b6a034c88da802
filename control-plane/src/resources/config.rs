//! ConfigMaps and Secrets.

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use super::{
    Resource,
    column::{AGE, Column, NAME},
    field::{Cause, FieldError},
    honoured::Rule::*,
    resource::schema_of,
    stored::STORED,
};

pub(super) static CONFIG_MAP: Resource = Resource {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    columns: &[NAME, DATA, AGE],
    schema: schema_of::<ConfigMap>,
    honoured: &[("data", Honoured), ("binaryData", Honoured), ("immutable", Honoured)],
    validate,
    ..STORED
};

pub(super) static SECRET: Resource = Resource {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    columns: &[NAME, Column::text("Type", |object, _| object["type"].clone()), DATA, AGE],
    schema: schema_of::<Secret>,
    honoured: &[("data", Honoured), ("stringData", Honoured), ("type", Honoured), ("immutable", Honoured)],
    default: set_secret_defaults,
    validate,
    ..STORED
};

const DATA: Column = Column::number("Data", |object, _| {
    let count = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    json!(count("data") + count("binaryData"))
});

/// The type, and `stringData` put into `data`.
fn set_secret_defaults(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    fields.entry("type").or_insert_with(|| json!("Opaque"));
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert_with(|| json!({}));
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        // What is not a text stays as it is: the schema then refuses it under `data`.
        let encoded = text.as_str().map(|text| json!(STANDARD.encode(text)));
        data.insert(key, encoded.unwrap_or(text));
    }
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["data", "binaryData"] {
        for key in new[field].as_object().into_iter().flatten().map(|(key, _)| key) {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if key.is_empty() || key.len() > 253 || !key.bytes().all(allowed) {
                let message = "is not a key: use letters, digits, `-`, `_` and `.`";
                errors.push(FieldError::invalid(format!("{field}[{key}]"), message));
            }
        }
    }
    let held = |field: &str, key: &str| new[field].get(key).is_some();
    for key in new["binaryData"].as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| held("data", key)) {
        let message = format!("`{key}` stands in `data` too");
        errors.push(FieldError::new(Cause::Duplicate, format!("binaryData[{key}]"), message));
    }
    let encoded = if new["kind"] == "Secret" { "data" } else { "binaryData" };
    for (key, value) in new[encoded].as_object().into_iter().flatten() {
        if value.as_str().is_some_and(|text| STANDARD.decode(text).is_err()) {
            let message =
                "is not Base64: encode it, or write plain text into `stringData` (Secret) or `data` (ConfigMap)";
            errors.push(FieldError::invalid(format!("{encoded}.{key}"), message));
        }
    }
    errors.extend(old.and_then(|old| check_immutable(new, old)));
    if old.is_some_and(|old| old["type"] != new["type"]) {
        let message = "cannot be changed: delete the Secret and create it again";
        errors.push(FieldError::new(Cause::Immutable, "type", message));
    }
    errors
}

fn check_immutable(new: &Value, old: &Value) -> Option<FieldError> {
    let fixed = old["immutable"] == true;
    let same = ["data", "binaryData", "immutable"].iter().all(|field| new[*field] == old[*field]);
    let message = "cannot be changed: the object is immutable; delete it and create it again";
    (fixed && !same).then(|| FieldError::new(Cause::Immutable, "data", message))
}
