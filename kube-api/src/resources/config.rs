//! ConfigMaps and Secrets.

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use super::{
    Resource,
    column::{AGE, Column, NAME},
    field::{Cause, FieldError},
    honoured::Rule::*,
    schema::Schema,
    stored::STORED,
    values::is_key,
};

pub(super) static CONFIG_MAP: Resource = Resource {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    columns: &[NAME, DATA, AGE],
    schema: Schema::of::<ConfigMap>(),
    honoured: &[("data", Honoured), ("binaryData", Honoured), ("immutable", Honoured)],
    validate,
    ..STORED
};

pub(super) static SECRET: Resource = Resource {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    columns: &[NAME, Column::text("Type", |object, _| object["type"].clone()), DATA, AGE],
    schema: Schema::of::<Secret>(),
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
            if !is_key(key) {
                let message = "is not a key: use letters, digits, `-`, `_` and `.`, and no `..` at the start";
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
    errors.extend(check_size(new));
    if new["kind"] == "Secret" {
        errors.extend(check_secret_type(new));
    }
    errors.extend(old.and_then(|old| check_immutable(new, old)));
    if old.is_some_and(|old| old["type"] != new["type"]) {
        let message = "cannot be changed: delete the Secret and create it again";
        errors.push(FieldError::new(Cause::Immutable, "type", message));
    }
    errors
}

/// As Kubernetes: all values of one object together.
const MAX_DATA_BYTES: usize = 1 << 20;

fn check_size(new: &Value) -> Option<FieldError> {
    let values = |field: &str| new[field].as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
    let encoded = if new["kind"] == "Secret" { "data" } else { "binaryData" };
    let plain = if encoded == "data" { 0 } else { values("data").map(str::len).sum::<usize>() };
    let bytes = plain
        + values(encoded).map(|text| base64::decoded_len_estimate(text.trim_end_matches('=').len())).sum::<usize>();
    let message = || format!("has {bytes} bytes: at most {MAX_DATA_BYTES} are allowed");
    (bytes > MAX_DATA_BYTES).then(|| FieldError::invalid("data", message()))
}

/// What Secrets of a type of Kubernetes have to hold.
const SECRET_KEYS: [(&str, &[&str]); 4] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

fn check_secret_type(new: &Value) -> Vec<FieldError> {
    let kind = new["type"].as_str().unwrap_or_default();
    let has = |key: &str| new["data"].get(key).is_some();
    let keys = SECRET_KEYS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, keys)| keys);
    let missing = keys.iter().filter(|key| !has(key));
    let message = |_| format!("is missing: a Secret of the type `{kind}` has it");
    let mut errors: Vec<_> = missing.map(|key| FieldError::required(format!("data[{key}]"), message(key))).collect();
    match kind {
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            errors.push(FieldError::required(
                "data[username]",
                format!("is missing, and so is `password`: `{kind}` has one of them"),
            ));
        }
        "kubernetes.io/service-account-token"
            if new["metadata"]["annotations"][ACCOUNT_NAME].as_str().is_none_or(str::is_empty) =>
        {
            errors.push(FieldError::required(
                format!("metadata.annotations[{ACCOUNT_NAME}]"),
                format!("is missing: `{kind}` names its account"),
            ));
        }
        _ => {}
    }
    for key in [".dockerconfigjson", ".dockercfg"].into_iter().filter(|key| keys.contains(key) && has(key)) {
        let decoded = new["data"][key].as_str().and_then(|text| STANDARD.decode(text).ok());
        if decoded.is_some_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_err()) {
            errors.push(FieldError::invalid(
                format!("data[{key}]"),
                "is not JSON: write what a `config.json` of Docker holds",
            ));
        }
    }
    errors
}

fn check_immutable(new: &Value, old: &Value) -> Option<FieldError> {
    let fixed = old["immutable"] == true;
    let same = ["data", "binaryData", "immutable"].iter().all(|field| new[*field] == old[*field]);
    let message = "cannot be changed: the object is immutable; delete it and create it again";
    (fixed && !same).then(|| FieldError::new(Cause::Immutable, "data", message))
}
