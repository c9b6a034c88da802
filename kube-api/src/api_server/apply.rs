//! Server-side apply: an object is made, or what is applied is merged into it.

use serde_json::{Value, json};

use crate::resources::Subresource;

use super::{
    error::ApiError,
    metadata::check_kind,
    objects::Objects,
    params::DryRun,
    patch::Patched,
    path::Target,
    strictness::Strictness,
    versions::{of_stored, to_stored},
};

impl Objects {
    pub(super) async fn apply(
        &self,
        target: &Target,
        applied: &Value,
        dry_run: DryRun,
        strictness: &Strictness,
    ) -> Result<Patched, ApiError> {
        let mut applied = applied.clone();
        if !applied["metadata"]["managedFields"].is_null() {
            let why = "metadata.managedFields must be nil: leave it out of what is applied";
            return Err(ApiError::BadRequest(why.to_owned()));
        }
        // An index that misses leaves a null.
        if applied["metadata"].is_null() {
            applied["metadata"] = json!({});
        }
        check_kind(target.resource, &mut applied)?;
        strictness.prune(target.resource, &mut applied)?;
        // Owners name fields as they are stored.
        let (mut applied, stored) = (to_stored(target, applied, strictness)?, target.stored());
        // Of what a version does not have, who applies in it says nothing, and not that it is empty.
        if target.resource.view.is_some()
            && let Some(spec) = applied["spec"].as_object_mut()
        {
            spec.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        }
        let merge = |live: &Value| {
            let mut live = live.clone();
            // The version that was read binds nobody; one that is applied does.
            if let Some(metadata) = live["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
            }
            strictness.by.apply(stored.resource, &live, &applied)
        };
        let seen = |object: Value| of_stored(target.resource, object);
        match self.modify(&stored, dry_run, strictness, merge).await {
            Err(ApiError::NotFound { .. }) if target.subresource.is_none() => {
                strictness.by.may_create(target)?;
                let new = strictness.by.apply(stored.resource, &json!({ "metadata": {} }), &applied)?;
                Ok(Patched::Created(seen(self.create(&stored, new, dry_run, strictness).await?)))
            }
            changed => Ok(Patched::Changed(seen(changed?))),
        }
    }

    /// Applies the number of replicas through the Scale of an object; answers the object.
    pub(super) async fn apply_scale(
        &self,
        target: &Target,
        applied: &Value,
        dry_run: DryRun,
        strictness: &Strictness,
    ) -> Result<Value, ApiError> {
        debug_assert_eq!(target.subresource, Some(Subresource::Scale));
        let object = Target { subresource: None, ..target.clone() };
        let mut of_object = json!({ "metadata": {} });
        if let Some(replicas) = applied.pointer("/spec/replicas") {
            of_object["spec"] = json!({ "replicas": replicas });
        }
        self.modify(&object, dry_run, strictness, |live| strictness.by.apply(object.resource, live, &of_object)).await
    }
}
