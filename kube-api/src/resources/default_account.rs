use serde_json::{Value, json};

/// The ServiceAccount of each namespace that Pods have which name none.
pub const DEFAULT_ACCOUNT: &str = "default";

/// That ServiceAccount, as it is stored.
pub fn default_account(namespace: &str, uid: &str, created: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": DEFAULT_ACCOUNT,
            "namespace": namespace,
            "uid": uid,
            "creationTimestamp": created,
        },
    })
}
