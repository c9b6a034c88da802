//! What `apply` sends: a JSON merge patch made of what was applied last, what is to be, and what is.
//!
//! As in kubectl, a field that the last applied manifest had and this one has not is deleted, and a field
//! that somebody else set is left alone. Lists are compared element by element, so that what the server
//! filled in does not count as a difference; a list that differs is replaced whole.

use serde_json::{Map, Value};

/// The annotation that holds what was applied last; kubectl's own, so that both tools can be mixed.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Writes into `object` what it is itself, byte for byte as kubectl does.
pub(crate) fn record_last_applied(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if !annotations.is_object() {
        *annotations = Value::Object(Map::new());
    }
    annotations.as_object_mut().map(|annotations| annotations.remove(LAST_APPLIED));
    let text = format!("{object}\n");
    object["metadata"]["annotations"][LAST_APPLIED] = Value::String(text);
}

/// What was applied last, if the live object says so.
pub(crate) fn last_applied(live: &Value) -> Option<Value> {
    serde_json::from_str(live["metadata"]["annotations"][LAST_APPLIED].as_str()?).ok()
}

/// The merge patch that turns `live` into what `modified` asks for, or `None` if it already is that.
pub(crate) fn three_way(original: Option<&Value>, modified: &Value, live: &Value) -> Option<Value> {
    let (Value::Object(modified), Value::Object(live)) = (modified, live) else {
        return (modified != live).then(|| modified.clone());
    };
    let original = original.and_then(Value::as_object);
    let mut patch = Map::new();
    for (key, wanted) in modified {
        if let Some(change) = change(original.and_then(|o| o.get(key)), wanted, live.get(key)) {
            patch.insert(key.clone(), change);
        }
    }
    let dropped = original.into_iter().flat_map(Map::keys).filter(|key| !modified.contains_key(*key));
    patch.extend(dropped.filter(|key| live.contains_key(*key)).map(|key| (key.clone(), Value::Null)));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn change(original: Option<&Value>, wanted: &Value, live: Option<&Value>) -> Option<Value> {
    match (wanted, live) {
        (Value::Null, None) => None,
        (_, None) => Some(wanted.clone()),
        (Value::Object(_), Some(live @ Value::Object(_))) => three_way(original, wanted, live),
        (wanted, Some(live)) => (!same(original, wanted, live)).then(|| wanted.clone()),
    }
}

/// Whether `live` already is what `wanted` asks for, list elements included.
fn same(original: Option<&Value>, wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(_), Value::Object(_)) => three_way(original, wanted, live).is_none(),
        (Value::Array(wanted), Value::Array(live)) => {
            let original = original.and_then(Value::as_array);
            wanted.len() == live.len()
                && wanted
                    .iter()
                    .zip(live)
                    .enumerate()
                    .all(|(index, (wanted, live))| same(original.and_then(|list| list.get(index)), wanted, live))
        }
        (wanted, live) => wanted == live,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_as_it_should_be_needs_no_patch() {
        let wanted = json!({"spec": {"containers": [{"image": "a"}]}});
        let live = json!({"spec": {"containers": [{"image": "a", "imagePullPolicy": "Always"}], "x": 1}, "status": {}});
        assert_eq!(three_way(Some(&wanted), &wanted, &live), None);
        assert_eq!(three_way(None, &wanted, &live), None);
    }

    #[test]
    fn a_field_that_left_the_manifest_is_deleted_and_others_fields_stay() {
        let original = json!({"data": {"a": "1", "b": "2"}});
        let wanted = json!({"data": {"a": "1"}});
        let live = json!({"data": {"a": "1", "b": "2", "c": "by somebody else"}});
        assert_eq!(three_way(Some(&original), &wanted, &live), Some(json!({"data": {"b": null}})));
    }

    #[test]
    fn a_field_removed_within_a_list_replaces_the_list() {
        let original = json!({"containers": [{"image": "a", "env": []}]});
        let wanted = json!({"containers": [{"image": "a"}]});
        let live = json!({"containers": [{"image": "a", "env": []}]});
        assert_eq!(three_way(Some(&original), &wanted, &live), Some(wanted.clone()));
    }

    #[test]
    fn a_replica_count_that_the_manifest_leaves_out_is_left_to_others() {
        let wanted = json!({"spec": {"paused": false}});
        let live = json!({"spec": {"paused": true, "replicas": 7}});
        assert_eq!(three_way(Some(&wanted), &wanted, &live), Some(json!({"spec": {"paused": false}})));
    }

    #[test]
    fn what_was_applied_is_read_back_without_itself() {
        let mut object = json!({"kind": "ConfigMap", "metadata": {"name": "a"}});
        record_last_applied(&mut object);
        record_last_applied(&mut object);
        let expected = json!({"kind": "ConfigMap", "metadata": {"name": "a", "annotations": {}}});
        assert_eq!(last_applied(&object), Some(expected));
        assert_eq!(three_way(last_applied(&object).as_ref(), &object, &object), None);
    }
}
