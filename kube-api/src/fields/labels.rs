//! Labels and annotations: how they may be called, and what they may say.

use std::collections::BTreeMap;

use api::annotations::{self, Annotation};
use serde_json::Value;

use super::field::{Cause, FieldError, nearest};

const PREFIX: &str = "sampan.dev/";

/// Checks keys and values of labels, or of a selector.
pub(crate) fn check_labels(path: &str, labels: &BTreeMap<String, String>) -> Vec<FieldError> {
    let wrong = |(key, value): (&String, &String)| {
        if !is_qualified_name(key) {
            let message = format!(
                "`{key}` is not a label's name: use up to 63 letters, digits, `-`, `_` and `.`, after an optional DNS name and `/`"
            );
            return Some(FieldError::invalid(path, message));
        }
        (!is_label_value(value)).then(|| {
            let message = format!("`{value}` is not a label's value: use up to 63 letters, digits, `-`, `_` and `.`");
            FieldError::invalid(format!("{path}[{key}]"), message)
        })
    };
    labels.iter().filter_map(wrong).collect()
}

/// Checks the keys of annotations, which are named like labels, in capitals too.
pub(crate) fn check_annotations(path: &str, annotations: &Value) -> Vec<FieldError> {
    let keys = annotations.as_object().into_iter().flatten().map(|(key, _)| key);
    let wrong = keys.filter(|key| !is_qualified_name(&key.to_ascii_lowercase()));
    let message = |key| {
        format!(
            "`{key}` is not an annotation's name: use up to 63 letters, digits, `-`, `_` and `.`, after an optional DNS name and `/`"
        )
    };
    wrong.map(|key| FieldError::invalid(path, message(key))).collect()
}

/// Whether this is a label's key: a name, after an optional DNS subdomain and `/`.
pub fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => api::check_dns_subdomain(prefix).is_ok() && is_name_part(name),
        None => is_name_part(key),
    }
}

/// Whether this is a label's value, which may be empty.
pub fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name_part(value)
}

fn is_name_part(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && text.starts_with(ends) && text.ends_with(ends)
}

/// Refuses `sampan.dev/` annotations that do not exist, or that mean nothing where they stand.
pub(crate) fn check_own_annotations(
    path: &str,
    annotations: &BTreeMap<String, String>,
    stands_on: &str,
) -> Vec<FieldError> {
    let own = annotations.keys().filter(|key| key.starts_with(PREFIX));
    // What stands on a Deployment is copied to its ReplicaSets, for undo.
    let fits =
        |known: &Annotation| known.is_for(stands_on) || (stands_on == "ReplicaSet" && known.is_for("Deployment"));
    let wrong = own.filter_map(|key| {
        let path = format!("{path}[{key}]");
        let Some(known) = annotations::ALL.iter().find(|known| known.key == key) else {
            let here = nearest(key, annotations::ALL.iter().filter(|known| fits(known)).map(|known| known.key));
            let elsewhere = || {
                let known = nearest(key, annotations::ALL.iter().map(|known| known.key))?;
                annotations::ALL.iter().find(|other| other.key == known)
            };
            let message = match (here, elsewhere()) {
                (Some(known), _) => format!("there is no such annotation: did you mean `{known}`?"),
                (None, Some(Annotation { key, on, .. })) => {
                    format!("there is no such annotation: did you mean `{key}`, which belongs on the {on}?")
                }
                (None, None) => "there is no such annotation: remove it".to_owned(),
            };
            return Some(FieldError::new(Cause::Unknown, path, message));
        };
        (!fits(known)).then(|| FieldError::invalid(path, format!("means nothing here: it belongs on the {}", known.on)))
    });
    wrong.collect()
}
