//! Creating and changing: the one way into the store.

use api::ObjectKey;
use serde_json::{Value, json};
use store::{Compare, Op, Revision, StoreError};

use crate::{
    cluster_ip::{self, Address},
    finalizers::{finalizers, is_deleted},
    kind::SERVICE_ACCOUNT,
    resources::{DEFAULT_ACCOUNT, Durability, Subresource, default_account},
};

use super::{
    addresses::keep_address,
    authorship::Claimed,
    error::ApiError,
    metadata::{check_kind, drop_status, metadata_of, name_for, rfc3339_now},
    objects::{Objects, Stored, encode, key, prefix},
    params::DryRun,
    path::Target,
    strictness::Strictness,
    versions::{of_stored, to_stored},
};

/// How often a change or a deletion is tried again that others were faster than, unless it names the version that it is for.
pub(super) const MAX_ATTEMPTS: usize = 16;

/// Events at the same time, sampan's own and those of users.
const MAX_PASSING: usize = 16_384;

impl Objects {
    /// Creates an object in the collection that the path names; answers it as it is stored, in the version of the path.
    pub(super) async fn create(
        &self,
        target: &Target,
        object: Value,
        dry_run: DryRun,
        strictness: &Strictness,
    ) -> Result<Value, ApiError> {
        let object = to_stored(target, object, strictness)?;
        let created = self.create_stored(&target.stored(), object, dry_run, strictness).await?;
        let created = of_stored(target.resource, created);
        self.advise(target.resource, &created, None, strictness).await;
        Ok(created)
    }

    async fn create_stored(
        &self,
        target: &Target,
        mut object: Value,
        dry_run: DryRun,
        strictness: &Strictness,
    ) -> Result<Value, ApiError> {
        check_kind(target.resource, &mut object)?;
        let claimed = Claimed::taken_from(&mut object);
        let metadata = metadata_of(&mut object, target)?;
        if metadata.get("resourceVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty()) {
            return Err(ApiError::BadRequest("metadata.resourceVersion must not be set on what is created".to_owned()));
        }
        let name = name_for(target, metadata)?;
        let target = target.named(&name);
        metadata.insert("name".to_owned(), json!(name));
        metadata.insert("uid".to_owned(), json!(http_server::new_uid()));
        for of_deletion in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            metadata.remove(of_deletion);
        }
        metadata.insert("creationTimestamp".to_owned(), json!(rfc3339_now()));
        if object["spec"].is_object() {
            object["metadata"]["generation"] = json!(1);
        }
        drop_status(target.resource, &mut object);
        strictness.prune(target.resource, &mut object)?;
        finish(&target, &mut object, None)?;
        strictness.by.may_give(&target, None, &object)?;
        self.check_references(&target, &object, None).await?;
        let mut compare = vec![Compare::Absent(key(&target))];
        let stands = self.namespace_stands(&target).await?;
        match target.resource.durability {
            Durability::Durable => compare.extend(stands),
            // Namespaces are in the other store.
            Durability::Passing | Durability::Asked | Durability::Live => self.refuse_too_many_passing(&target).await?,
        }
        let mut ops = Vec::new();
        if target.resource.kind == "Namespace" {
            ops.push(default_account_of(&name));
        }
        if let Some(Address { compare: free, put, .. }) = self.give_address(&target, &mut object, None).await? {
            compare.push(free);
            ops.push(put);
        }
        strictness.by.own(target.resource, None, &mut object, &claimed);
        if dry_run == DryRun::All {
            return match self.get(&target).await {
                Ok(_) => Err(ApiError::AlreadyExists { resource: target.resource, name }),
                Err(ApiError::NotFound { .. }) => Ok(object),
                Err(error) => Err(error),
            };
        }
        ops.push(Op::Put(key(&target), encode(&object)));
        let written = self.store(target.resource).txn(compare, ops).await;
        match written {
            Ok(revision) => Ok(with_version(object, revision)),
            Err(StoreError::Conflict { key: changed, .. }) if changed == key(&target) => {
                Err(ApiError::AlreadyExists { resource: target.resource, name })
            }
            Err(StoreError::Conflict { .. }) => {
                Err(target.conflict("its namespace, or who has its address, is changing: try again"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Bounds what users write beside the live state, until it is forgotten.
    async fn refuse_too_many_passing(&self, target: &Target) -> Result<(), ApiError> {
        let all = prefix(&Target { namespace: None, ..target.clone() });
        if self.live.list(&all, 0, None).await?.remaining < MAX_PASSING {
            return Ok(());
        }
        let plural = target.resource.plural;
        let why = format!("{MAX_PASSING} {plural} are there, and no more are allowed: try again in a minute");
        Err(ApiError::TooManyRequests { why })
    }

    /// What must hold so that nothing is created in a namespace that is not there, or is being deleted.
    pub(super) async fn namespace_stands(&self, target: &Target) -> Result<Option<Compare>, ApiError> {
        let Some(namespace) = &target.namespace else { return Ok(None) };
        let holder = Target::parse(&format!("/api/v1/namespaces/{namespace}"))?;
        let stored = self.get(&holder).await?;
        if stored.object["metadata"]["deletionTimestamp"].is_string() {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            return Err(ApiError::Forbidden { resource: target.resource, name: target.name().to_owned(), why });
        }
        Ok(Some(Compare::At(key(&holder), stored.revision)))
    }

    /// Changes an object, again and again if others are faster, unless the changed one names the version that it is for.
    ///
    /// `change` is given the object as it stands, with its version; what it answers is checked and completed here. Both
    /// are as the version of the path has them.
    pub(super) async fn modify(
        &self,
        target: &Target,
        dry_run: DryRun,
        strictness: &Strictness,
        change: impl Fn(&Value) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let seen = |stored: Value| of_stored(target.resource, stored);
        let change = |stored: &Value| match target.resource.view {
            None => change(stored),
            Some(_) => to_stored(target, change(&seen(stored.clone()))?, strictness),
        };
        let (old, new) = self.modify_stored(&target.stored(), dry_run, strictness, change).await?;
        let new = seen(new);
        if target.subresource.is_none() {
            self.advise(target.resource, &new, Some(&seen(old)), strictness).await;
        }
        Ok(new)
    }

    /// Answers the object as it was, and as it is.
    async fn modify_stored(
        &self,
        target: &Target,
        dry_run: DryRun,
        strictness: &Strictness,
        change: impl Fn(&Value) -> Result<Value, ApiError>,
    ) -> Result<(Value, Value), ApiError> {
        for _ in 0..MAX_ATTEMPTS {
            let old = self.get(target).await?;
            let mut new = change(&old.object)?;
            let claimed = Claimed::taken_from(&mut new);
            let bound = check_version(target, &old, &new)?;
            complete(target, &old.object, &mut new, strictness)?;
            if target.subresource.is_none() {
                strictness.by.may_give(target, Some(&old.object), &new)?;
                self.check_references(target, &new, Some(&old.object)).await?;
            }
            let address = self.give_address(target, &mut new, Some(&old.object)).await?;
            strictness.by.own(target.resource, Some(&old.object), &mut new, &claimed);
            if new == old.object || dry_run == DryRun::All {
                return Ok((old.object, new));
            }
            let (mut compare, mut ops) = (vec![Compare::At(key(target), old.revision)], Vec::new());
            if let Some(Address { compare: free, put, .. }) = address {
                compare.push(free);
                ops.push(put);
            }
            // Who takes the last finalizer away of what is being deleted deletes it; a namespace is left to the collector, which
            // knows whether it is empty.
            let goes = is_deleted(&new) && finalizers(&new).next().is_none() && target.resource.plural != "namespaces";
            match goes {
                true => {
                    ops.push(Op::Delete(key(target)));
                    ops.extend(cluster_ip::release(target.resource, &new));
                }
                false => ops.push(Op::Put(key(target), encode(&new))),
            }
            let written = self.store(target.resource).txn(compare, ops).await;
            match written {
                Ok(revision) => return Ok((old.object, with_version(new, revision))),
                Err(StoreError::Conflict { .. }) if !bound => {}
                Err(StoreError::Conflict { .. }) => return Err(changed_meanwhile(target)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(changed_meanwhile(target))
    }
}

/// Each namespace has its ServiceAccount as soon as it is there. One that is there already, of before, is written anew.
pub(super) fn default_account_of(namespace: &str) -> Op {
    let account = default_account(namespace, &http_server::new_uid(), &rfc3339_now());
    Op::Put(SERVICE_ACCOUNT.key(&ObjectKey::new(namespace, DEFAULT_ACCOUNT)), encode(&account))
}

fn changed_meanwhile(target: &Target) -> ApiError {
    target.conflict("the object has been modified; please apply your changes to the latest version and try again")
}

/// Whether the changed object names a version; it must be the stored one.
fn check_version(target: &Target, old: &Stored, new: &Value) -> Result<bool, ApiError> {
    let metadata = &new["metadata"];
    if let Some(uid) = metadata["uid"].as_str()
        && !uid.is_empty()
        && old.object["metadata"]["uid"] != uid
    {
        return Err(target.conflict(format!("the uid {uid} is of another object of this name")));
    }
    match metadata["resourceVersion"].as_str() {
        None | Some("") => Ok(false),
        // What a patch leaves alone is the version that was read, which binds nobody.
        Some(version) if version == old.revision.to_string() => Ok(true),
        Some(_) => Err(changed_meanwhile(target)),
    }
}

/// Puts back what users cannot change, fills in defaults, counts the generation, and checks.
fn complete(target: &Target, old: &Value, new: &mut Value, strictness: &Strictness) -> Result<(), ApiError> {
    check_kind(target.resource, new)?;
    strictness.prune(target.resource, new)?;
    if target.subresource == Some(Subresource::Status) {
        let status = new["status"].take();
        *new = old.clone();
        new["status"] = status;
        return Ok(());
    }
    let metadata = metadata_of(new, target)?;
    for kept in
        ["uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        match &old["metadata"][kept] {
            Value::Null => metadata.remove(kept),
            value => metadata.insert(kept.to_owned(), value.clone()),
        };
    }
    match metadata.get("name").and_then(Value::as_str) {
        Some(name) if name != target.name() => {
            let why = format!("the name of the object ({name}) does not match the one in the path ({})", target.name());
            return Err(ApiError::BadRequest(why));
        }
        _ => metadata.insert("name".to_owned(), json!(target.name())),
    };
    drop_status(target.resource, new);
    if target.resource.has_cluster_ip {
        keep_address(new, old);
    }
    if let (Some(status), Some(fields)) = (old.get("status"), new.as_object_mut()) {
        fields.insert("status".to_owned(), status.clone());
    }
    finish(target, new, Some(old))?;
    if new["spec"] != old["spec"] {
        let generation = old["metadata"]["generation"].as_u64().unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
    Ok(())
}

/// Fills in defaults and checks.
pub(super) fn finish(target: &Target, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("selfLink");
    }
    (target.resource.default)(object);
    let errors = target.resource.check(object, old);
    if errors.is_empty() {
        return Ok(());
    }
    Err(target.invalid(errors))
}

pub(super) fn with_version(mut object: Value, revision: Revision) -> Value {
    object["metadata"]["resourceVersion"] = json!(revision.to_string());
    object
}
