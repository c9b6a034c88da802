//! Objects and views for tests of several rooms.

use std::sync::Arc;

use api::{Digest, ObjectKey, ReplicaId, Timestamp, WorkerName};
use scheduler::{ReplicaState, ReplicaView, Template};
use serde_json::{Value, json};

/// A pod template of one container, labelled `app: NAME`.
pub(crate) fn pod_template(name: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "containers": [{
            "name": "main",
            "image": "registry.example/shop/hello:v1",
            "resources": { "limits": { "memory": "64Mi" } },
        }] },
    })
}

pub(crate) fn template(name: &str) -> Arc<Template> {
    Arc::new(kube_api::template::parse(&pod_template(name)).expect("the template is sound"))
}

/// A Deployment as the API stores it.
pub(crate) fn deployment(name: &str, replicas: u32, generation: u64, template: Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": format!("uid-of-{name}"),
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": name } }, "template": template },
    })
}

/// A Service that selects `app: NAME`.
pub(crate) fn service(name: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-of-service-{name}") },
        "spec": { "type": kind, "selector": { "app": name }, "ports": [{ "name": "http", "port": 80 }] },
    })
}

pub(crate) fn digest() -> Digest {
    Digest::from_sha256([0xab; 32])
}

/// The moment at which [`view`]'s replica was made.
pub(crate) const CREATED: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A replica of the Deployment `hello`.
pub(crate) fn view(state: ReplicaState) -> ReplicaView {
    let template = template("hello");
    let revision = format!("hello-{}", template.hash);
    let ready = state == ReplicaState::Ready;
    ReplicaView {
        id: ReplicaId(ObjectKey::new("default", format!("{revision}-abcde"))),
        revision: ObjectKey::new("default", revision),
        template,
        digest: Some(digest()),
        worker: Some(WorkerName("worker-0".into())),
        nominated: None,
        state,
        slots: None,
        created: CREATED,
        started: Some(Timestamp::from_secs(1_700_000_001)),
        ready_since: ready.then_some(Timestamp::from_secs(1_700_000_002)),
        restarts: 0,
        last_failure: None,
    }
}
