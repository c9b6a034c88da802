use api::Timestamp;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    identity::{derived_uid, rfc3339},
    kind::NAMESPACE,
    store::{Compare, Op, Store, StoreError},
};

/// Namespaces that exist in every installation.
const NAMESPACES: [&str; 2] = ["default", "kube-system"];

/// Makes the Namespaces that clients take for granted, where they are missing.
pub(crate) async fn ensure_namespaces(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    for name in NAMESPACES {
        let key = NAMESPACE.cluster_key(name);
        let object = Bytes::from(namespace(name, now).to_string());
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
