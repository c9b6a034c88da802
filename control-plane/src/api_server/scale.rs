//! The `scale` subresource: the number of replicas as autoscaling/v1 Scale.

use serde_json::{Value, json};

use crate::resources::{FieldError, label_selector};

use super::{error::ApiError, objects::Objects, params::DryRun, patch::Patch, path::Target, strictness::Strictness};

/// The Scale of an object.
pub(super) fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let selector = label_selector::text(&object["spec"]["selector"]);
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": { "replicas": object["spec"]["replicas"].as_u64().unwrap_or(1) },
        "status": { "replicas": object["status"]["replicas"].as_u64().unwrap_or(0), "selector": selector },
    })
}

/// What a request does to a Scale.
pub(super) enum ScaleChange {
    Put(Value),
    Patch(Patch),
}

impl Objects {
    pub(super) async fn get_scale(&self, target: &Target) -> Result<Value, ApiError> {
        Ok(scale_of(&self.get(target).await?.object))
    }

    /// Changes the number of replicas through the Scale; answers the new one.
    pub(super) async fn change_scale(
        &self,
        target: &Target,
        change: &ScaleChange,
        dry_run: DryRun,
        strictness: &Strictness,
    ) -> Result<Value, ApiError> {
        let object = Target { subresource: None, ..target.clone() };
        let changed = self.modify(&object, dry_run, strictness, |current| {
            let scale = match change {
                ScaleChange::Put(scale) => scale.clone(),
                ScaleChange::Patch(patch) => patch.apply(target.resource, target.name(), &scale_of(current))?,
            };
            with_scale(target, current, &scale)
        });
        Ok(scale_of(&changed.await?))
    }
}

fn with_scale(target: &Target, current: &Value, scale: &Value) -> Result<Value, ApiError> {
    let replicas = &scale["spec"]["replicas"];
    if !replicas.is_null() && replicas.as_u64().is_none() {
        let error =
            FieldError::invalid("spec.replicas", format!("{replicas} is not a number of replicas: use 0 or more"));
        return Err(ApiError::Invalid {
            resource: target.resource,
            name: target.name().to_owned(),
            errors: vec![error],
        });
    }
    let mut changed = current.clone();
    changed["spec"]["replicas"] = json!(replicas.as_u64().unwrap_or(0));
    let version = match &scale["metadata"]["resourceVersion"] {
        Value::String(version) => json!(version),
        _ => Value::Null,
    };
    changed["metadata"]["resourceVersion"] = version;
    Ok(changed)
}
