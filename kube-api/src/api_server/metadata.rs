//! What the server knows better than a client: kind, namespace, name, identity and time of an object.

use serde_json::{Value, json};

use crate::resources::{FieldError, Resource, Scope, Subresource};

use super::{error::ApiError, path::Target};

/// As Kubernetes: characters put behind a `generateName`.
const GENERATED: usize = 5;
const GENERATED_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Refuses an object of another kind than the path is for, and fills in what it leaves out.
pub(super) fn check_kind(resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    for (field, right) in [("apiVersion", resource.api_version()), ("kind", resource.kind.to_owned())] {
        match &object[field] {
            Value::Null => object[field] = json!(right),
            value if *value == right => {}
            value => {
                let message = format!(
                    "{field} {value} does not fit this path: {} have apiVersion `{}` and kind `{}`",
                    resource.plural,
                    resource.api_version(),
                    resource.kind
                );
                return Err(ApiError::BadRequest(message));
            }
        }
    }
    Ok(())
}

pub(super) type Fields = serde_json::Map<String, Value>;

/// The metadata, with the namespace of the path.
pub(super) fn metadata_of<'a>(object: &'a mut Value, target: &Target) -> Result<&'a mut Fields, ApiError> {
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return Err(ApiError::BadRequest("metadata is not an object".to_owned()));
    };
    match (&target.namespace, metadata.get("namespace").and_then(Value::as_str)) {
        (Some(here), Some(there)) if !there.is_empty() && here != there => Err(ApiError::BadRequest(format!(
            "the namespace of the object ({there}) does not match the one in the path ({here})"
        ))),
        (Some(here), _) => {
            metadata.insert("namespace".to_owned(), json!(here));
            Ok(metadata)
        }
        (None, _) if target.resource.scope == Scope::Namespaced => {
            Err(ApiError::BadRequest("name the namespace in the path".to_owned()))
        }
        (None, _) => {
            metadata.remove("namespace");
            Ok(metadata)
        }
    }
}

pub(super) fn name_for(target: &Target, metadata: &Fields) -> Result<String, ApiError> {
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
    match (text("name"), text("generateName"), target.name.as_deref()) {
        (name, _, Some(wanted)) if !name.is_empty() && name != wanted => Err(ApiError::BadRequest(format!(
            "the name of the object ({name}) does not match the one in the path ({wanted})"
        ))),
        (_, _, Some(wanted)) => Ok(wanted.to_owned()),
        ("", "", None) => {
            let error = FieldError::required("metadata.name", "is missing: name it, or use `generateName`");
            Err(ApiError::Invalid { resource: target.resource, name: String::new(), errors: vec![error] })
        }
        ("", prefix, None) => Ok(format!("{prefix}{}", random_suffix())),
        (name, _, None) => Ok(name.to_owned()),
    }
}

/// Where status has a path of its own, it is not written through the object's.
pub(super) fn drop_status(resource: &Resource, object: &mut Value) {
    if let Some(fields) = object.as_object_mut()
        && resource.subresources.contains(&Subresource::Status)
    {
        fields.remove("status");
    }
}

fn random_suffix() -> String {
    let mut bytes = [0; GENERATED];
    getrandom::fill(&mut bytes).expect("the system gives random bytes once it has started");
    bytes.iter().map(|byte| char::from(GENERATED_ALPHABET[usize::from(*byte) % GENERATED_ALPHABET.len()])).collect()
}

/// The time as Kubernetes writes it, in whole seconds.
pub(super) fn rfc3339_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
