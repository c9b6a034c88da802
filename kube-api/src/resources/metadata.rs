//! What all objects have in common: names, labels, annotations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Resource,
    field::FieldError,
    honoured::{self, Rule::*, Rules},
    resource::NameRule,
};
use crate::{
    fields::labels::{check_annotations, check_labels, check_own_annotations, is_qualified_name},
    finalizers::{FOREGROUND, ORPHAN, finalizers, is_deleted, is_of_the_server},
};

/// As Kubernetes: keys and values of one object's annotations together.
const MAX_ANNOTATIONS_BYTES: usize = 256 << 10;
/// As Kubernetes: the longest name.
const MAX_SEGMENT_BYTES: usize = 253;

const METADATA: Rules = &[
    ("name", Honoured),
    ("generateName", Honoured),
    ("namespace", Honoured),
    ("labels", Honoured),
    ("annotations", Honoured),
    ("uid", Honoured),
    ("resourceVersion", Honoured),
    ("generation", Honoured),
    ("creationTimestamp", Honoured),
    ("deletionTimestamp", Honoured),
    ("ownerReferences", Honoured),
    ("managedFields", Honoured),
    ("selfLink", Honoured),
    ("deletionGracePeriodSeconds", Honoured),
    ("finalizers", Honoured),
];

pub(super) fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let metadata = &object["metadata"];
    let mut errors: Vec<_> =
        honoured::check(metadata, METADATA).errors.into_iter().map(|error| error.under("metadata")).collect();
    errors.extend(check_finalizers(object, old));
    errors.extend(check_owners(&metadata["ownerReferences"]));
    errors.extend(check_name(resource.names, metadata["name"].as_str().unwrap_or_default()));
    errors.extend(check_labels("metadata.labels", &texts(&metadata["labels"])));
    errors.extend(check_annotations("metadata.annotations", &metadata["annotations"]));
    let annotations = texts(&metadata["annotations"]);
    errors.extend(check_own_annotations("metadata.annotations", &annotations, resource.kind));
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_ANNOTATIONS_BYTES {
        let message = format!("has {bytes} bytes: at most {MAX_ANNOTATIONS_BYTES} are allowed");
        errors.push(FieldError::invalid("metadata.annotations", message));
    }
    errors
}

/// As Kubernetes: those of users are named like labels, with the domain of whoever takes them away.
fn check_finalizers(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    const PATH: &str = "metadata.finalizers";
    let of_a_user = |name: &str| name.contains('/') && is_qualified_name(name);
    let mut errors = Vec::new();
    for (index, name) in finalizers(object).enumerate().filter(|(_, name)| !is_of_the_server(name) && !of_a_user(name))
    {
        let message = format!(
            "`{name}` is not a finalizer's name: write `DOMAIN/NAME`, with the domain of who takes it away, or `{FOREGROUND}` or `{ORPHAN}`"
        );
        errors.push(FieldError::invalid(format!("{PATH}[{index}]"), message));
    }
    let has = |wanted: &str| finalizers(object).any(|name| name == wanted);
    if has(FOREGROUND) && has(ORPHAN) {
        errors.push(FieldError::invalid(PATH, format!("`{FOREGROUND}` and `{ORPHAN}` cannot be both there")));
    }
    if let Some(old) = old.filter(|old| is_deleted(old)) {
        let added = finalizers(object).filter(|name| finalizers(old).all(|held| held != *name));
        let message = |name| format!("`{name}` cannot be added: the object is being deleted");
        errors.extend(added.map(|name| FieldError::invalid(PATH, message(name))));
    }
    errors
}

/// An owner is found by all of these; one that lacks them would never be found, and never miss its dependents.
fn check_owners(owners: &Value) -> Vec<FieldError> {
    const PATH: &str = "metadata.ownerReferences";
    let owners = owners.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut errors = Vec::new();
    for (index, owner) in owners.iter().enumerate() {
        let missing = ["apiVersion", "kind", "name", "uid"]
            .into_iter()
            .filter(|field| owner[*field].as_str().is_none_or(str::is_empty));
        errors
            .extend(missing.map(|field| FieldError::required(format!("{PATH}[{index}].{field}"), "must not be empty")));
        let version = owner["apiVersion"].as_str().unwrap_or_default();
        let is_version = match version.split_once('/') {
            Some((group, version)) => !group.is_empty() && !version.is_empty() && !version.contains('/'),
            None => true,
        };
        if !is_version {
            let message = format!("`{version}` is no version: write `v1`, or `GROUP/VERSION`");
            errors.push(FieldError::invalid(format!("{PATH}[{index}].apiVersion"), message));
        }
        if owner["kind"] == "Event" {
            errors.push(FieldError::invalid(format!("{PATH}[{index}].kind"), "an Event owns nothing"));
        }
    }
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        errors.push(FieldError::invalid(PATH, "only one of them can have `controller: true`"));
    }
    errors
}

fn check_name(rule: NameRule, name: &str) -> Option<FieldError> {
    if name.is_empty() {
        return Some(FieldError::required("metadata.name", "is missing: an object needs a name"));
    }
    let checked = match rule {
        NameRule::Label => api::check_dns_label(name),
        NameRule::Subdomain => api::check_dns_subdomain(name),
        NameRule::PathSegment => return check_path_segment(name),
    };
    checked.err().map(|error| FieldError::invalid("metadata.name", error.to_string()))
}

fn check_path_segment(name: &str) -> Option<FieldError> {
    let wrong = matches!(name, "." | "..") || name.len() > MAX_SEGMENT_BYTES || name.contains(['/', '%']);
    let message = format!("`{name}` cannot stand in a path: use at most {MAX_SEGMENT_BYTES} bytes without `/` and `%`");
    wrong.then(|| FieldError::invalid("metadata.name", message))
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
