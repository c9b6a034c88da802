//! The four ways to patch an object.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::{
    resources::{FieldError, Resource},
    schema::{self, Gvk},
};

use super::{
    body::{APPLY, media_type, parse_json, parse_yaml},
    error::ApiError,
    objects::Objects,
    operations::Operations,
    params::DryRun,
    path::Target,
    strategic_merge,
    strictness::Strictness,
};

/// How an object is to be changed.
#[derive(Debug)]
pub(super) enum Patch {
    /// RFC 6902.
    Json(Operations),
    /// RFC 7396.
    Merge(Value),
    /// Kubernetes' own: lists are merged by keys.
    Strategic(Value),
    /// Server-side apply, which [`Objects::apply`] knows. What nobody keeps owners of is merged strategically.
    Apply(Value),
}

impl Patch {
    pub(super) fn parse(headers: &HeaderMap, bytes: &Bytes, strictness: &Strictness) -> Result<Self, ApiError> {
        let object = |value: Value| match value {
            Value::Object(_) => Ok(value),
            _ => Err(ApiError::BadRequest("the patch is not an object".to_owned())),
        };
        match media_type(headers) {
            "application/json-patch+json" => Ok(Self::Json(Operations::of(parse_json(bytes, strictness)?)?)),
            "application/merge-patch+json" => Ok(Self::Merge(object(parse_json(bytes, strictness)?)?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(object(parse_json(bytes, strictness)?)?)),
            APPLY => Ok(Self::Apply(object(parse_yaml(bytes, strictness)?)?)),
            other => Err(ApiError::UnsupportedMediaType {
                why: format!(
                    "patches of type {other} are not known: use a JSON, merge, strategic-merge or apply patch"
                ),
            }),
        }
    }

    /// The object as it is after the patch. The paths of what is wrong are those of the patch.
    pub(super) fn apply(&self, resource: &'static Resource, name: &str, current: &Value) -> Result<Value, ApiError> {
        let mut changed = current.clone();
        // The version that was read binds nobody; one that the patch itself names does.
        if let Some(metadata) = changed["metadata"].as_object_mut()
            && !matches!(self, Self::Json(_))
        {
            metadata.remove("resourceVersion");
        }
        match self {
            Self::Json(operations) => {
                operations.apply(&mut changed).map_err(|error| invalid_patch(resource, name, error.to_string()))?;
                if changed["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"]
                    && let Some(metadata) = changed["metadata"].as_object_mut()
                {
                    metadata.remove("resourceVersion");
                }
            }
            Self::Merge(patch) => json_patch::merge(&mut changed, patch),
            Self::Strategic(patch) | Self::Apply(patch) => {
                let kind = schema::served().kind(&Gvk::of(&resource.api_version(), resource.kind));
                strategic_merge::apply(kind, &mut changed, patch)
                    .map_err(|error| invalid_patch(resource, name, error.to_string()))?;
            }
        }
        Ok(changed)
    }
}

/// What came of a patch.
pub(super) enum Patched {
    Changed(Value),
    Created(Value),
}

impl Objects {
    pub(super) async fn patch(
        &self,
        target: &Target,
        patch: &Patch,
        dry_run: DryRun,
        strictness: &Strictness,
    ) -> Result<Patched, ApiError> {
        if let Patch::Apply(applied) = patch {
            return self.apply(target, applied, dry_run, strictness).await;
        }
        let change = |current: &Value| patch.apply(target.resource, target.name(), current);
        self.modify(target, dry_run, strictness, change).await.map(Patched::Changed)
    }
}

fn invalid_patch(resource: &'static Resource, name: &str, why: String) -> ApiError {
    ApiError::Invalid { resource, name: name.to_owned(), errors: vec![FieldError::invalid("patch", why)] }
}
