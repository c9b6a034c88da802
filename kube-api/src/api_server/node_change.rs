//! What a write of a Node says of its worker. Pure.

use api::{TaintEffect, TaintMark, WorkerMarks};
use serde_json::Value;

use crate::fields::{
    FieldError,
    labels::{is_label_value, is_qualified_name},
};

use super::live::NodeChange;

/// Set by the server where a node is cordoned or gateways do not reach it.
const OF_THE_SERVER: &str = "node.kubernetes.io/";

/// A Node, but for what users may say of it.
pub(super) fn without_what_users_say(node: &Value) -> Value {
    let mut node = node.clone();
    for (part, fields) in [
        ("metadata", &["resourceVersion", "managedFields", "labels", "annotations"][..]),
        ("spec", &["unschedulable", "taints"]),
    ] {
        if let Some(part) = node[part].as_object_mut() {
            part.retain(|field, _| !fields.contains(&field.as_str()));
        }
    }
    // One that says nothing is none.
    let is_empty = node["spec"].as_object().is_none_or(serde_json::Map::is_empty);
    if is_empty {
        node["spec"] = Value::Null;
    }
    node
}

/// Whether a Node is out of placement.
pub(super) fn is_cordoned(node: &Value) -> bool {
    node["spec"]["unschedulable"] == true
}

/// What a Node that is `old` now would be told by being `new`. What is wrong with its taints is added to the errors; its labels
/// and annotations are checked as those of all objects.
pub(super) fn node_change(old: &Value, new: &Value, errors: &mut Vec<FieldError>) -> NodeChange {
    let texts = |field: &str| {
        let map = |node: &'_ Value| node["metadata"][field].as_object().cloned().unwrap_or_default();
        let (old, new) = (map(old), map(new));
        let given = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
        let given = given.filter_map(|(key, value)| Some((key.clone(), Some(value.as_str()?.to_owned()))));
        let taken = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), None));
        given.chain(taken).collect()
    };
    let before = taints(old, &mut Vec::new());
    let after = taints(new, errors);
    let about = |mark: &TaintMark| (mark.key.clone(), mark.effect);
    let given = after.iter().filter(|mark| !before.contains(mark)).cloned();
    let taken = before.iter().filter(|mark| after.iter().all(|other| about(other) != about(mark)));
    let taken: Vec<TaintMark> = taken.map(|mark| TaintMark { value: None, ..mark.clone() }).collect();
    let taints: Vec<TaintMark> = given.chain(taken).collect();
    if let Some(mark) = taints.iter().find(|mark| mark.key.starts_with(OF_THE_SERVER)) {
        let message = format!(
            "`{}` is set by the server: `kubectl cordon` and `uncordon` take a node out and put it back",
            mark.key
        );
        errors.push(FieldError::invalid("spec.taints", message));
    }
    NodeChange {
        cordoned: is_cordoned(new),
        marks: WorkerMarks { labels: texts("labels"), annotations: texts("annotations"), taints },
    }
}

/// The taints of a Node, each with a value.
fn taints(node: &Value, errors: &mut Vec<FieldError>) -> Vec<TaintMark> {
    let mut marks: Vec<TaintMark> = Vec::new();
    for (index, taint) in node["spec"]["taints"].as_array().into_iter().flatten().enumerate() {
        let path = format!("spec.taints[{index}]");
        let text = |field: &str| taint[field].as_str().unwrap_or_default();
        let (key, value) = (text("key"), text("value"));
        if !is_qualified_name(key) {
            let message = format!(
                "`{key}` is not a taint's name: use up to 63 letters, digits, `-`, `_` and `.`, after an optional DNS name and `/`"
            );
            errors.push(FieldError::invalid(format!("{path}.key"), message));
        }
        if !is_label_value(value) {
            let message = format!("`{value}` is not a taint's value: use up to 63 letters, digits, `-`, `_` and `.`");
            errors.push(FieldError::invalid(format!("{path}.value"), message));
        }
        match text("effect").parse::<TaintEffect>() {
            Err(why) => errors.push(FieldError::invalid(format!("{path}.effect"), why)),
            Ok(effect) if marks.iter().any(|mark| mark.key == key && mark.effect == effect) => {
                let message = format!("`{key}` stands twice with the effect {}", effect.as_str());
                errors.push(FieldError::new(crate::fields::Cause::Duplicate, path, message));
            }
            Ok(effect) => marks.push(TaintMark { key: key.to_owned(), effect, value: Some(value.to_owned()) }),
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(old: &Value, new: &Value) -> (NodeChange, Vec<FieldError>) {
        let mut errors = Vec::new();
        (node_change(old, new, &mut errors), errors)
    }

    #[test]
    fn what_stays_of_a_node_is_not_said_again() {
        let old = json!({
            "metadata": { "labels": { "zone": "a", "disk": "ssd" }, "annotations": { "owner": "ann" } },
            "spec": { "taints": [{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }, { "key": "old", "effect": "NoExecute" }] },
        });
        let new = json!({
            "metadata": { "labels": { "zone": "b", "rack": "" }, "annotations": { "owner": "ann" } },
            "spec": { "unschedulable": true, "taints": [{ "key": "gpu", "value": "no", "effect": "NoSchedule" }] },
        });
        assert!(change(&old, &old).0.marks.is_empty());
        let (change, errors) = change(&old, &new);
        assert!(errors.is_empty() && change.cordoned && change.marks.annotations.is_empty());
        let label = |key: &str| change.marks.labels[key].as_deref();
        assert_eq!((label("zone"), label("disk"), label("rack")), (Some("b"), None, Some("")));
        let told: Vec<_> = change.marks.taints.iter().map(|mark| (mark.key.as_str(), mark.value.as_deref())).collect();
        assert_eq!(told, [("gpu", Some("no")), ("old", None)]);
        assert_eq!(without_what_users_say(&old), without_what_users_say(&new));
    }

    #[test]
    fn taints_that_mean_nothing_or_are_the_servers_are_refused_by_their_field() {
        for (taint, path, said) in [
            (json!({ "key": "a b", "effect": "NoSchedule" }), "spec.taints[0].key", "`a b` is not a taint's name"),
            (json!({ "key": "a", "effect": "Never" }), "spec.taints[0].effect", "`Never` is no effect"),
            (json!({ "key": "a", "value": "-", "effect": "NoSchedule" }), "spec.taints[0].value", "`-` is not"),
            (
                json!({ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" }),
                "spec.taints",
                "kubectl cordon",
            ),
        ] {
            let (_, errors) = change(&json!({}), &json!({ "spec": { "taints": [taint] } }));
            assert!(errors.len() == 1 && errors[0].path == path && errors[0].message.contains(said), "{errors:?}");
        }
    }
}
