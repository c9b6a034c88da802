use api::Timestamp;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    identity::{derived_uid, rfc3339},
    kind::{NAMESPACE, PRIORITY_CLASS},
    resources::SYSTEM_CLASSES,
    store::{Compare, Op, Store, StoreError},
};

/// Namespaces that exist in every installation.
const NAMESPACES: [&str; 2] = ["default", "kube-system"];

/// Makes the Namespaces and PriorityClasses that clients take for granted, where they are missing.
pub(crate) async fn ensure_objects(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let namespaces = NAMESPACES.map(|name| (NAMESPACE.cluster_key(name), namespace(name, now)));
    let classes = SYSTEM_CLASSES.map(|(name, value, description)| {
        (PRIORITY_CLASS.cluster_key(name), priority_class(name, value, description, now))
    });
    for (key, object) in namespaces.into_iter().chain(classes) {
        let object = Bytes::from(object.to_string());
        match store.txn(vec![Compare::Absent(key.clone())], vec![Op::Put(key, object)]).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn namespace(name: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "uid": derived_uid(&["namespace", name, &now.micros.to_string()]),
            "creationTimestamp": rfc3339(now),
            "labels": { "kubernetes.io/metadata.name": name },
        },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

fn priority_class(name: &str, value: i64, description: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {
            "name": name,
            "uid": derived_uid(&["priorityclass", name, &now.micros.to_string()]),
            "creationTimestamp": rfc3339(now),
        },
        "value": value,
        "description": description,
        "preemptionPolicy": "PreemptLowerPriority",
    })
}
