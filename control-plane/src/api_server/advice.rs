//! What the writer of an object should know though it is right, where that depends on other objects.

use serde_json::Value;

use crate::resources::{Resource, autoscaler_warnings};

use super::{objects::Objects, path::Target, versions::in_stored_form};

impl Objects {
    /// Sentences for people, each sent as a `Warning`.
    pub(super) async fn warnings(&self, resource: &Resource, object: &Value) -> Vec<String> {
        if resource.kind != "HorizontalPodAutoscaler" {
            return Vec::new();
        }
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/spec/scaleTargetRef/name"));
        let Ok(target) = Target::parse(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}")) else {
            return Vec::new();
        };
        let deployment = self.get(&target).await.ok().map(|stored| stored.object);
        autoscaler_warnings(&in_stored_form(resource, object), deployment.as_ref())
    }
}
