//! Deleting.

use serde::Deserialize;
use serde_json::{Value, json};
use store::{Compare, Op, StoreError};

use crate::{
    cluster_ip,
    finalizers::{FOREGROUND, ORPHAN, finalizers, is_deleted, is_held, mark_deleted},
    resources::{self, Durability, Resource, Scope},
};

use super::{
    error::ApiError,
    metadata::rfc3339_now,
    objects::{Objects, Stored, encode, key},
    params::{DryRun, Params},
    path::Target,
    references::check_deletion,
    selector::Selector,
    versions::of_stored,
    write::MAX_ATTEMPTS,
};

/// The body of a DELETE.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeleteOptions {
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    preconditions: Option<Preconditions>,
    dry_run: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// What is to become of what a deleted object owns. The collector (`garbage`) carries it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Propagation {
    /// It is deleted once the object is gone.
    Background,
    /// It is deleted first, and the object goes once what blocks its deletion is gone.
    Foreground,
    /// It stays, and names the object no more.
    Orphan,
}

impl Propagation {
    /// As a request that does not say: what a finalizer on the object says, else as Kubernetes does.
    fn of(object: &Value) -> Self {
        let has = |finalizer: &str| finalizers(object).any(|one| one == finalizer);
        match (has(ORPHAN), has(FOREGROUND)) {
            (true, _) => Self::Orphan,
            (_, true) => Self::Foreground,
            _ => Self::Background,
        }
    }
}

impl DeleteOptions {
    /// Reads the body, which may be empty, and the query.
    pub(super) fn of(body: Option<Value>, params: &Params) -> Result<(Self, DryRun), ApiError> {
        let options = body.map(serde_json::from_value).transpose();
        let options: Self = options
            .map_err(|error| ApiError::BadRequest(format!("the DeleteOptions cannot be read: {error}")))?
            .unwrap_or_default();
        let mut options = options;
        if options.propagation_policy.is_none() && !params.propagation_policy().is_empty() {
            options.propagation_policy = Some(params.propagation_policy().to_owned());
        }
        options.orphan_dependents = options.orphan_dependents.or(params.orphan_dependents());
        options.propagation()?;
        let asked = options.dry_run.first().map_or(Ok(DryRun::No), |text| DryRun::parse(text))?;
        let dry_run = if asked == DryRun::All { asked } else { params.dry_run()? };
        Ok((options, dry_run))
    }

    /// What is to become of what the object owns; `None`: the request does not say.
    fn propagation(&self) -> Result<Option<Propagation>, ApiError> {
        let bad = |why: String| Err(ApiError::BadRequest(why));
        match (self.propagation_policy.as_deref().unwrap_or_default(), self.orphan_dependents) {
            ("", None) => Ok(None),
            ("", Some(true)) | ("Orphan", None) => Ok(Some(Propagation::Orphan)),
            ("", Some(false)) | ("Background", None) => Ok(Some(Propagation::Background)),
            ("Foreground", None) => Ok(Some(Propagation::Foreground)),
            ("Orphan" | "Background" | "Foreground", Some(_)) => {
                bad("orphanDependents and propagationPolicy cannot be both set: write propagationPolicy".to_owned())
            }
            (other, _) => {
                bad(format!("propagationPolicy `{other}` is not known: write `Background`, `Foreground` or `Orphan`"))
            }
        }
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
    /// Deletes an object of the durable store; answers a `Status` that names it. One that waits for what it owns is marked
    /// instead, and answered as it then is.
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
            let finalizer = match options.propagation()?.unwrap_or_else(|| Propagation::of(&stored.object)) {
                Propagation::Background => None,
                // It is emptied whatever the policy is, and owns nothing beside what is in it.
                _ if target.resource.plural == "namespaces" => None,
                Propagation::Foreground => Some(FOREGROUND),
                Propagation::Orphan if target.resource.plural == "replicasets" => {
                    self.finalizer_of_left_pods(target, &stored.object).await?
                }
                Propagation::Orphan => Some(ORPHAN),
            };
            let waits = finalizer.is_some() || is_held(&stored.object);
            if target.resource.plural == "namespaces" {
                if dry_run == DryRun::No && !self.empty_namespace(target).await? {
                    return Ok(self.get(target).await.map_or_else(|_| success(target, &stored), |left| left.object));
                }
            } else if waits {
                match self.mark(target, &stored, finalizer, dry_run).await {
                    Err(StoreError::Conflict { .. }) => continue,
                    result => return Ok(result?),
                }
            }
            if dry_run == DryRun::No {
                match self.remove(target).await {
                    // The collector, which removes empty namespaces too, may have been faster.
                    Err(StoreError::Conflict { .. })
                        if target.resource.plural == "namespaces"
                            && matches!(self.get(target).await, Err(ApiError::NotFound { .. })) => {}
                    Err(StoreError::Conflict { .. }) => continue,
                    result => result?,
                }
            }
            return Ok(success(target, &stored));
        }
        Err(target.conflict("others change it all the time: try again"))
    }

    /// Pods are always some ReplicaSet's here. Those of a Deployment's newest one are left to the one that is made in its place;
    /// where there are none, none is left.
    async fn finalizer_of_left_pods(&self, target: &Target, set: &Value) -> Result<Option<&'static str>, ApiError> {
        let mut owners = set["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let owner = owners.find(|owner| owner["controller"] == true && owner["kind"] == "Deployment");
        if let Some(name) = owner.and_then(|owner| owner["name"].as_str()) {
            let namespace = target.namespace.as_deref().unwrap_or_default();
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
            let deployment = match self.get(&Target::parse(&path)?).await {
                Ok(stored) => stored.object,
                Err(ApiError::NotFound { .. }) => Value::Null,
                Err(error) => return Err(error),
            };
            let revision =
                |object: &Value| object["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone();
            if !is_deleted(&deployment) && revision(&deployment).is_string() && revision(&deployment) == revision(set) {
                return Ok(Some(ORPHAN));
            }
        }
        if set["spec"]["replicas"] == 0 && set["status"]["replicas"].as_u64().unwrap_or(0) == 0 {
            return Ok(None);
        }
        let why = "pods do not outlive their ReplicaSet here, unless its Deployment makes it again: use the propagationPolicy \
                   `Background`";
        Err(ApiError::BadRequest(why.to_owned()))
    }

    /// Marks an object as being deleted: the collector removes it. Answers it as the version of the path has it.
    async fn mark(
        &self,
        target: &Target,
        stored: &Stored,
        finalizer: Option<&str>,
        dry_run: DryRun,
    ) -> Result<Value, StoreError> {
        // What is stored, not the view of it that the path may be of.
        let stored_target = target.stored();
        let store = self.store(target.resource);
        let Some(held) = store.get(&key(&stored_target)).await?.filter(|held| held.revision == stored.revision) else {
            return Err(StoreError::Conflict { key: key(target), current: None });
        };
        let mut object: Value = serde_json::from_slice(&held.value).unwrap_or_default();
        let before = object.clone();
        mark_deleted(&mut object, finalizer, &rfc3339_now());
        let mut revision = held.revision;
        if dry_run == DryRun::No && object != before {
            let compare = vec![Compare::At(key(&stored_target), revision)];
            revision = store.txn(compare, vec![Op::Put(key(&stored_target), encode(&object))]).await?;
        }
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        object["apiVersion"] = json!(stored_target.resource.api_version());
        object["kind"] = json!(stored_target.resource.kind);
        Ok(of_stored(target.resource, object))
    }

    async fn remove(&self, target: &Target) -> Result<(), StoreError> {
        let store = self.store(target.resource);
        let Some(current) = store.get(&key(target)).await? else { return Ok(()) };
        let compare = vec![Compare::At(key(target), current.revision)];
        let object = serde_json::from_slice(&current.value).unwrap_or_default();
        let ops =
            std::iter::once(Op::Delete(key(target))).chain(cluster_ip::release(target.resource, &object)).collect();
        store.txn(compare, ops).await.map(|_| ())
    }

    /// Deletes every object of a collection that the selector matches.
    pub(super) async fn delete_collection(
        &self,
        target: &Target,
        selector: &Selector,
        options: &DeleteOptions,
        dry_run: DryRun,
    ) -> Result<Value, ApiError> {
        if target.resource.plural == "namespaces" {
            return Err(ApiError::MethodNotAllowed { why: "namespaces are deleted one by one".to_owned() });
        }
        let objects = self.list_all(target, selector).await?.objects()?;
        for object in &objects {
            let metadata = &object["metadata"];
            let one = Target {
                namespace: metadata["namespace"].as_str().map(str::to_owned),
                ..target.named(metadata["name"].as_str().unwrap_or_default())
            };
            match self.delete(&one, options, dry_run).await {
                Ok(_) | Err(ApiError::NotFound { .. }) => {}
                // What cannot be deleted is left, as where it is one of many.
                Err(ApiError::Forbidden { .. }) if check_deletion(&one).is_err() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": { "group": target.resource.group, "kind": target.resource.plural } }))
    }

    /// Marks a namespace, so that nothing new comes into it, then deletes what is in it. Answers whether it may go itself:
    /// the collector removes one that finalizers hold, its own or those of what is in it, once they are taken away.
    async fn empty_namespace(&self, target: &Target) -> Result<bool, ApiError> {
        if target.name() == super::DEFAULT_NAMESPACE {
            let why = "this namespace may not be deleted".to_owned();
            return Err(ApiError::Forbidden { resource: target.resource, name: target.name().to_owned(), why });
        }
        let stored = self.get(target).await?;
        let mut object = stored.object;
        if !is_deleted(&object) {
            mark_deleted(&mut object, None, &rfc3339_now());
            object["status"] = json!({ "phase": "Terminating" });
            let compare = vec![Compare::At(key(target), stored.revision)];
            match self.durable.txn(compare, vec![Op::Put(key(target), encode(&object))]).await {
                // Whoever was faster is a writer of the namespace itself, whom the next attempt sees.
                Err(StoreError::Conflict { .. }) => return Err(target.conflict("it was changed in between: try again")),
                result => result?,
            };
        }
        let options = DeleteOptions { propagation_policy: Some("Background".to_owned()), ..DeleteOptions::default() };
        let mut held = is_held(&object);
        let is_kept = |resource: &Resource| matches!(resource.durability, Durability::Durable | Durability::Passing);
        let inside = resources::ALL.iter().filter(|r| r.scope == Scope::Namespaced && is_kept(r) && r.view.is_none());
        for resource in inside {
            let all = Target { resource, namespace: Some(target.name().to_owned()), name: None, subresource: None };
            Box::pin(self.delete_collection(&all, &Selector::default(), &options, DryRun::No)).await?;
            held |= !self.list_all(&all, &Selector::default()).await?.is_empty();
        }
        self.delete_checks(target.name()).await?;
        Ok(!held)
    }
}

/// As Kubernetes answers once an object is gone: clients wait for the uid that it names.
pub(super) fn success(target: &Target, stored: &Stored) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": { "name": target.name(), "group": target.resource.group, "kind": target.resource.plural,
            "uid": stored.object["metadata"]["uid"] } })
}
