//! Rolls out what uses a ConfigMap or Secret of the project when that changes: the values of variables are taken when a
//! replica starts, so another value has to be another revision.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Notes in a pod template what its ConfigMaps and Secrets hold. Charts use the same name for the same.
const ANNOTATION: &str = "checksum/config";

/// By kind, namespace and name.
type Held = BTreeMap<(String, String, String), Vec<u8>>;

/// Writes into each pod template among the objects a hash of the ConfigMaps and Secrets among them that it uses.
pub(super) fn note<'a>(objects: impl Iterator<Item = &'a mut Value>, namespace: &str) {
    let mut objects: Vec<&mut Value> = objects.collect();
    let held: Held = objects.iter().filter_map(|object| held(object, namespace)).collect();
    for object in &mut objects {
        let of = namespace_of(object, namespace);
        let Some(template) = object.pointer_mut("/spec/template") else { continue };
        let mut hash = Sha256::new();
        let used: BTreeSet<(String, String)> = used(template);
        let mut any = false;
        for (kind, name) in used {
            let key = (kind, of.clone(), name);
            if let Some(bytes) = held.get(&key) {
                any = true;
                hash.update(format!("{}/{}:{}:", key.0, key.2, bytes.len()));
                hash.update(bytes);
            }
        }
        if any && let Some(annotations) = annotations(template) {
            let hash: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
            annotations.insert(ANNOTATION.to_owned(), Value::String(hash));
        }
    }
}

fn annotations(template: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    let metadata = template.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Default::default()));
    let annotations = metadata.as_object_mut()?.entry("annotations");
    let annotations = annotations.or_insert_with(|| Value::Object(Default::default()));
    if annotations.is_null() {
        *annotations = Value::Object(Default::default());
    }
    annotations.as_object_mut()
}

fn held(object: &Value, namespace: &str) -> Option<((String, String, String), Vec<u8>)> {
    let kind = object["kind"].as_str().filter(|kind| ["ConfigMap", "Secret"].contains(kind))?;
    let name = object.pointer("/metadata/name")?.as_str()?;
    let data = ["data", "stringData", "binaryData"].map(|field| &object[field]);
    let key = (kind.to_owned(), namespace_of(object, namespace), name.to_owned());
    Some((key, serde_json::to_vec(&data).unwrap_or_default()))
}

fn namespace_of(object: &Value, namespace: &str) -> String {
    object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(namespace).to_owned()
}

/// Kind and name of all that the variables of a template's containers are taken from.
fn used(template: &Value) -> BTreeSet<(String, String)> {
    let containers = template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let list = |container: &Value, field: &str| container[field].as_array().cloned().unwrap_or_default();
    let sources = containers.flat_map(|container| {
        let one = list(container, "env").into_iter().map(|variable| variable["valueFrom"].clone());
        one.chain(list(container, "envFrom")).collect::<Vec<_>>()
    });
    let references = [
        ("configMapKeyRef", "ConfigMap"),
        ("configMapRef", "ConfigMap"),
        ("secretKeyRef", "Secret"),
        ("secretRef", "Secret"),
    ];
    let named = sources.flat_map(|source| {
        references.map(|(field, kind)| Some((kind.to_owned(), source[field]["name"].as_str()?.to_owned())))
    });
    named.flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn noted(value: &str, namespace: Option<&str>) -> Option<String> {
        let map =
            json!({"kind": "ConfigMap", "metadata": {"name": "words", "namespace": namespace}, "data": {"a": value}});
        let reference = json!({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "a"}}});
        let template = json!({"spec": {"containers": [{"name": "x", "env": [reference]}]}});
        let mut objects = [map, json!({"kind": "Deployment", "spec": {"template": template}})];
        note(objects.iter_mut(), "default");
        objects[1].pointer("/spec/template/metadata/annotations/checksum~1config")?.as_str().map(str::to_owned)
    }

    #[test]
    fn another_value_is_another_template_and_the_same_is_the_same() {
        assert!(noted("1", None).is_some());
        assert_eq!(noted("1", None), noted("1", Some("default")));
        assert_ne!(noted("1", None), noted("2", None));
    }

    #[test]
    fn what_is_of_another_namespace_is_not_noted() {
        assert_eq!(noted("1", Some("other")), None);
    }
}
