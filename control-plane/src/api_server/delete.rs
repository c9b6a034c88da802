//! Deleting.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    resources::{self, Durability, Scope},
    store::{Compare, Op, StoreError},
};

use super::{
    error::ApiError,
    metadata::rfc3339_now,
    objects::{Objects, Stored, encode, key},
    params::{DryRun, Params},
    path::Target,
    references::check_deletion,
    selector::Selector,
    write::MAX_ATTEMPTS,
};

/// The body of a DELETE.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeleteOptions {
    propagation_policy: Option<String>,
    preconditions: Option<Preconditions>,
    dry_run: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads the body, which may be empty, and the query.
    pub(super) fn of(body: Option<Value>, params: &Params) -> Result<(Self, DryRun), ApiError> {
        let options = body.map(serde_json::from_value).transpose();
        let options: Self = options
            .map_err(|error| ApiError::BadRequest(format!("the DeleteOptions cannot be read: {error}")))?
            .unwrap_or_default();
        let policy = options.propagation_policy.as_deref().unwrap_or(params.propagation_policy());
        if !matches!(policy, "" | "Background" | "Foreground") {
            let message = format!(
                "propagationPolicy `{policy}` is not supported: what an object owns is deleted with it (`Background`)"
            );
            return Err(ApiError::BadRequest(message));
        }
        let asked = options.dry_run.first().map_or(Ok(DryRun::No), |text| DryRun::parse(text))?;
        let dry_run = if asked == DryRun::All { asked } else { params.dry_run()? };
        Ok((options, dry_run))
    }

    pub(super) fn check(&self, target: &Target, stored: &Stored) -> Result<(), ApiError> {
        let Some(wanted) = &self.preconditions else { return Ok(()) };
        let metadata = &stored.object["metadata"];
        let differs =
            |wanted: &Option<String>, field: &str| wanted.as_ref().is_some_and(|wanted| metadata[field] != **wanted);
        if differs(&wanted.uid, "uid") || differs(&wanted.resource_version, "resourceVersion") {
            return Err(target.conflict("a precondition failed: it is another object, or another version of it"));
        }
        Ok(())
    }
}

impl Objects {
    /// Deletes an object of the durable store; answers a `Status` that names it. What it owns is deleted by the shell.
    pub(super) async fn delete(
        &self,
        target: &Target,
        options: &DeleteOptions,
        dry_run: DryRun,
    ) -> Result<Value, ApiError> {
        check_deletion(target)?;
        for _ in 0..MAX_ATTEMPTS {
            let stored = self.get(target).await?;
            options.check(target, &stored)?;
            if dry_run == DryRun::No {
                if target.resource.plural == "namespaces" {
                    self.empty_namespace(target).await?;
                }
                match self.remove(target).await {
                    Err(StoreError::Conflict { .. }) => continue,
                    result => result?,
                }
            }
            return Ok(success(target, &stored));
        }
        Err(target.conflict("others change it all the time: try again"))
    }

    async fn remove(&self, target: &Target) -> Result<(), StoreError> {
        let store = self.store(target.resource);
        let Some(current) = store.get(&key(target)).await? else { return Ok(()) };
        let compare = vec![Compare::At(key(target), current.revision)];
        store.txn(compare, vec![Op::Delete(key(target))]).await.map(|_| ())
    }

    /// Deletes every object of a collection that the selector matches.
    pub(super) async fn delete_collection(
        &self,
        target: &Target,
        selector: &Selector,
        dry_run: DryRun,
    ) -> Result<Value, ApiError> {
        if target.resource.plural == "namespaces" {
            return Err(ApiError::MethodNotAllowed { why: "namespaces are deleted one by one".to_owned() });
        }
        let objects = self.list_all(target, selector).await?.objects;
        for object in &objects {
            let metadata = &object["metadata"];
            let one = Target {
                namespace: metadata["namespace"].as_str().map(str::to_owned),
                ..target.named(metadata["name"].as_str().unwrap_or_default())
            };
            match self.delete(&one, &DeleteOptions::default(), dry_run).await {
                Ok(_) | Err(ApiError::NotFound { .. }) => {}
                // What cannot be deleted is left, as where it is one of many.
                Err(ApiError::Forbidden { .. }) if check_deletion(&one).is_err() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": { "group": target.resource.group, "kind": target.resource.plural } }))
    }

    /// Marks a namespace, so that nothing new comes into it, then deletes what is in it.
    async fn empty_namespace(&self, target: &Target) -> Result<(), ApiError> {
        if target.name() == super::DEFAULT_NAMESPACE {
            let why = "this namespace may not be deleted".to_owned();
            return Err(ApiError::Forbidden { resource: target.resource, name: target.name().to_owned(), why });
        }
        let stored = self.get(target).await?;
        let mut object = stored.object;
        if object["metadata"]["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = json!(rfc3339_now());
            object["status"] = json!({ "phase": "Terminating" });
            let compare = vec![Compare::At(key(target), stored.revision)];
            match self.durable.txn(compare, vec![Op::Put(key(target), encode(&object))]).await {
                // Whoever was faster is a writer of the namespace itself, whom the next attempt sees.
                Err(StoreError::Conflict { .. }) => return Err(target.conflict("it was changed in between: try again")),
                result => result?,
            };
        }
        let inside =
            resources::ALL.iter().filter(|r| r.scope == Scope::Namespaced && r.durability == Durability::Durable);
        for resource in inside {
            let all = Target { resource, namespace: Some(target.name().to_owned()), name: None, subresource: None };
            Box::pin(self.delete_collection(&all, &Selector::default(), DryRun::No)).await?;
        }
        Ok(())
    }
}

/// As Kubernetes answers once an object is gone: clients wait for the uid that it names.
pub(super) fn success(target: &Target, stored: &Stored) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": { "name": target.name(), "group": target.resource.group, "kind": target.resource.plural,
            "uid": stored.object["metadata"]["uid"] } })
}
