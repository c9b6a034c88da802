//! Pods that users make: checked, carried out beside the request that makes them, and shown until they are deleted.

use std::sync::Arc;

use api::{ClusterHttp, ObjectKey};
use serde_json::{Value, json};
use store::{Compare, Op, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{
    checks::{self, Check, MAX_CHECKS, is_check},
    identity::now,
    logs::PodLogs,
};

use super::{
    delete::{DeleteOptions, success},
    error::ApiError,
    metadata::{check_kind, metadata_of, name_for, rfc3339_now},
    objects::{Objects, encode, key},
    params::DryRun,
    patch::Patch,
    path::Target,
    selector::Selector,
    write::{finish, with_version},
};

/// What carries out the checks of Pods.
#[derive(Clone)]
pub(super) struct Checker {
    /// `None`: there is no gateway beside this control plane.
    pub(super) cluster: Option<Arc<dyn ClusterHttp>>,
    pub(super) logs: Arc<dyn PodLogs>,
    pub(super) shutdown: CancellationToken,
}

/// What who writes a Pod is told that a ReplicaSet has made, or another one had: `kubectl get all -o yaml` prints them too.
pub(super) const NOT_KEPT: &str =
    "Pods are made by their ReplicaSets, as their Deployments say: what is written of this one changes nothing";
/// What `kubectl apply` notes on all that it applies.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a Pod says that it is a ReplicaSet's. A new one would be collected at once: its owner has made none of this name.
pub(super) fn is_of_a_replica_set(pod: &Value) -> bool {
    let mut owners = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.any(|owner| owner["controller"] == true && owner["kind"] == "ReplicaSet")
}

impl Objects {
    /// A Pod of a ReplicaSet, where a patch would leave it as it is but for what `kubectl apply` notes on it.
    pub(super) async fn pod_that_stays(&self, target: &Target, patch: &Patch) -> Result<Option<Value>, ApiError> {
        let stored = self.get(target).await?.object;
        let bare = |mut pod: Value| {
            (target.resource.schema.take_nulls_out)(&mut pod);
            if let Some(metadata) = pod["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
                if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                    annotations.remove(LAST_APPLIED);
                }
                metadata.retain(|key, value| key != "annotations" || *value != json!({}));
            }
            pod
        };
        let patched = patch.apply(target.resource, target.name(), &stored)?;
        let stays = is_of_a_replica_set(&stored) && bare(patched) == bare(stored.clone());
        Ok(stays.then_some(stored))
    }

    /// Makes a Pod that asks one URL, and has it asked. Answers the Pod as it is before that.
    pub(super) async fn create_check(
        &self,
        target: &Target,
        mut object: Value,
        dry_run: DryRun,
        checker: &Checker,
    ) -> Result<Value, ApiError> {
        let Some(cluster) = checker.cluster.clone() else {
            let why = "pods cannot be written here: what they ask goes through a gateway, and this process has none; \
                       create a Deployment, and sampan makes its Pods";
            return Err(ApiError::MethodNotAllowed { why: why.to_owned() });
        };
        check_kind(target.resource, &mut object)?;
        (target.resource.schema.take_nulls_out)(&mut object);
        let metadata = metadata_of(&mut object, target)?;
        let name = name_for(target, metadata)?;
        let target = target.named(&name);
        metadata.insert("name".to_owned(), json!(name));
        metadata.insert("uid".to_owned(), json!(http_server::new_uid()));
        metadata.insert("creationTimestamp".to_owned(), json!(rfc3339_now()));
        object["status"] = json!({ "phase": "Pending" });
        finish(&target, &mut object, None)?;
        let invalid = |error| ApiError::Invalid { resource: target.resource, name: name.clone(), errors: vec![error] };
        let check = Check::of(&object).map_err(invalid)?;
        self.namespace_stands(&target).await?;
        self.refuse_too_many(&target).await?;
        if dry_run == DryRun::All {
            return Ok(object);
        }
        let put = vec![Op::Put(key(&target), encode(&object))];
        match self.live.txn(vec![Compare::Absent(key(&target))], put).await {
            Ok(revision) => {
                let object = with_version(object, revision);
                tokio::spawn(carry_out(check, target, object.clone(), self.live.clone(), cluster, checker.clone()));
                Ok(object)
            }
            Err(StoreError::Conflict { .. }) => Err(ApiError::AlreadyExists { resource: target.resource, name }),
            Err(error) => Err(error.into()),
        }
    }

    async fn refuse_too_many(&self, target: &Target) -> Result<(), ApiError> {
        let all = Target { namespace: None, name: None, ..target.clone() };
        let pods = self.list_all(&all, &Selector::default()).await?.objects()?;
        if pods.iter().filter(|pod| is_check(pod)).count() < MAX_CHECKS {
            return Ok(());
        }
        let why =
            format!("{MAX_CHECKS} Pods that users made are there, and no more are allowed: delete those that are done");
        Err(ApiError::TooManyRequests { why })
    }

    /// Deletes a Pod that a user made; `None` if it is a replica's.
    pub(super) async fn delete_check(
        &self,
        target: &Target,
        options: &DeleteOptions,
        dry_run: DryRun,
    ) -> Result<Option<Value>, ApiError> {
        let stored = self.get(target).await?;
        if !is_check(&stored.object) {
            return Ok(None);
        }
        options.check(target, &stored)?;
        if dry_run == DryRun::No {
            self.live.txn(Vec::new(), vec![Op::Delete(key(target))]).await?;
        }
        Ok(Some(success(target, &stored)))
    }

    /// Deletes every Pod that users made in a namespace, which is being deleted.
    pub(super) async fn delete_checks(&self, namespace: &str) -> Result<(), ApiError> {
        let all = Target::parse(&format!("/api/v1/namespaces/{namespace}/pods"))?;
        for pod in self.list_all(&all, &Selector::default()).await?.objects()?.iter().filter(|pod| is_check(pod)) {
            let one = all.named(pod["metadata"]["name"].as_str().unwrap_or_default());
            self.live.txn(Vec::new(), vec![Op::Delete(key(&one))]).await?;
        }
        Ok(())
    }
}

/// Asks, and writes what came of it into the Pod, unless that has been deleted meanwhile.
async fn carry_out(
    check: Check,
    target: Target,
    pod: Value,
    live: Arc<dyn Store>,
    cluster: Arc<dyn ClusterHttp>,
    checker: Checker,
) {
    let started = now();
    let name = ObjectKey::new(target.namespace.as_deref().unwrap_or_default(), target.name());
    let asked = checks::run(&check, &name, &cluster, &*checker.logs);
    let Some(outcome) = checker.shutdown.run_until_cancelled(asked).await else { return };
    let done = checks::finished(&pod, &outcome, started, now());
    let Ok(Some(stored)) = live.get(&key(&target)).await else { return };
    let same = serde_json::from_slice::<Value>(&stored.value)
        .is_ok_and(|now| now["metadata"]["uid"] == pod["metadata"]["uid"]);
    if same {
        let compare = vec![Compare::At(key(&target), stored.revision)];
        if let Err(error) = live.txn(compare, vec![Op::Put(key(&target), encode(&done))]).await {
            tracing::debug!(pod = %name, %error, "a Pod was deleted while what it asked for was answered");
        }
    }
}
