//! The `scale` subresource: the number of replicas as autoscaling/v1 Scale.

use serde_json::{Value, json};

use crate::{
    fields::label_selector,
    resources::{FieldError, SCALE},
};

use super::{
    error::ApiError, metadata::check_kind, objects::Objects, params::DryRun, patch::Patch, path::Target,
    strictness::Strictness,
};

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
        if let ScaleChange::Patch(Patch::Apply(applied)) = change {
            return Ok(scale_of(&self.apply_scale(target, applied, dry_run, strictness).await?));
        }
        let object = Target { subresource: None, ..target.clone() };
        let changed = self.modify(&object, dry_run, strictness, |current| {
            let mut scale = match change {
                ScaleChange::Put(scale) => scale.clone(),
                ScaleChange::Patch(patch) => patch.apply(target.resource, target.name(), &scale_of(current))?,
            };
            check_kind(&SCALE, &mut scale)?;
            strictness.prune(&SCALE, &mut scale)?;
            check_identity(target, &scale)?;
            with_scale(target, current, &scale)
        });
        Ok(scale_of(&changed.await?))
    }
}

/// A Scale that names an object names the one in the path.
fn check_identity(target: &Target, scale: &Value) -> Result<(), ApiError> {
    let here = [("name", Some(target.name())), ("namespace", target.namespace.as_deref())];
    for (field, here) in here {
        let there = scale["metadata"][field].as_str().filter(|there| !there.is_empty());
        if there.is_some() && there != here {
            let (there, here) = (there.unwrap_or_default(), here.unwrap_or_default());
            let why = format!("the {field} of the Scale ({there}) does not match the one in the path ({here})");
            return Err(ApiError::BadRequest(why));
        }
    }
    Ok(())
}

fn with_scale(target: &Target, current: &Value, scale: &Value) -> Result<Value, ApiError> {
    let mut errors = (SCALE.schema.check)(scale);
    // As Kubernetes: one that is left away is zero.
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        errors.push(FieldError::invalid("spec.replicas", format!("{replicas} is less than 0: use 0 or more")));
    }
    if !errors.is_empty() {
        return Err(ApiError::Invalid { resource: &SCALE, name: target.name().to_owned(), errors });
    }
    let mut changed = current.clone();
    changed["spec"]["replicas"] = json!(replicas);
    // What the Scale is for: another version, or another object of the same name, is a conflict.
    for bound in ["resourceVersion", "uid"] {
        match scale["metadata"][bound].as_str().filter(|text| !text.is_empty()) {
            Some(text) => changed["metadata"][bound] = json!(text),
            None if bound == "resourceVersion" => changed["metadata"][bound] = Value::Null,
            None => {}
        }
    }
    Ok(changed)
}
