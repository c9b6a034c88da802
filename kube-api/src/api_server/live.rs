//! Commands to the live state, which users give by deleting Pods and patching Nodes.

use std::{sync::Arc, time::Duration};

use api::{ReplicaId, WorkerMarks, WorkerName};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use store::StoreError;
use tokio::time::{Instant, sleep};

use crate::{
    conditions::condition,
    resources::{Durability, instead},
};

use super::{
    delete::{DeleteOptions, success},
    error::ApiError,
    node_change::{is_cordoned, node_change, without_what_users_say},
    objects::Objects,
    params::DryRun,
    patch::Patch,
    path::Target,
    selector::Selector,
};

/// Why what was asked of the live state was not done.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// More is asked than can be done at once: it may be asked again in a moment.
    #[error("{0}")]
    Busy(String),
    /// Nothing is done any more.
    #[error("{0}")]
    Closed(String),
    /// More is asked than is kept.
    #[error("{0}")]
    TooMuch(String),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What users may ask of the live state. Who serves the API carries it out.
pub trait LiveCommands: Send + Sync + 'static {
    /// Drains and stops a replica; another takes its place if it is wanted.
    fn delete_replica(&self, id: ReplicaId) -> Result<(), LiveError>;
    /// Moves a replica off its worker: it stops once another has taken its place.
    fn evict_replica(&self, id: ReplicaId) -> Result<(), LiveError>;
    /// Changes what users say of a worker. It holds over a restart once it is answered.
    fn change_node(&self, worker: WorkerName, change: NodeChange) -> BoxFuture<'static, Result<(), LiveError>>;
    /// Forgets a worker that is gone for good, also over a restart. Answers whether it did: one that has a session stays.
    fn forget(&self, worker: WorkerName) -> BoxFuture<'static, Result<bool, LiveError>>;
    /// Revokes what a worker joined with, which ends its session within a moment, and frees its name. Answers whether it
    /// had joined.
    fn revoke(&self, worker: WorkerName) -> BoxFuture<'static, Result<bool, LiveError>>;
}

/// What users say of a worker through its Node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// Whether it is out of placement.
    pub cordoned: bool,
    /// What is given to it or taken from it: nothing of what stays.
    pub marks: WorkerMarks,
}

/// How long a session may take to end after its certificate was revoked, and how often it is looked whether it has.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const LOOKED: Duration = Duration::from_millis(20);

/// Why a Node is not deleted whose worker has no certificate that could be revoked.
const STILL_CONNECTED: &str = "its worker is connected, without a certificate that could be revoked, and would be back at once: move its pods away with `kubectl drain`, \
    end its process, and delete the node when it is no longer Ready, some seconds later";

/// Refuses to write what is a projection of the live state.
pub(super) fn refuse_writes(target: &Target) -> Result<(), ApiError> {
    let instead = match (target.resource.durability, target.resource.plural) {
        (Durability::Durable | Durability::Passing | Durability::Asked, _) => return Ok(()),
        (_, "pods") => "change its Deployment, and sampan makes other Pods",
        (_, "nodes") => {
            "a worker makes its Node; its labels, annotations and taints and `spec.unschedulable` alone can be set (`kubectl label`, `annotate`, \
             `taint`, `cordon`)"
        }
        (_, "endpointslices" | "endpoints") => {
            "create a Service with a selector, and sampan makes them; a host outside is called by its own name"
        }
        _ => instead(target.resource).unwrap_or("sampan makes them"),
    };
    let why = format!("{} cannot be written: {instead}", target.resource.plural);
    Err(ApiError::MethodNotAllowed { why })
}

impl Objects {
    /// Asks for the end of a Pod; answers the Pod as it stands.
    pub(super) async fn delete_pod(
        &self,
        target: &Target,
        options: &DeleteOptions,
        dry_run: DryRun,
        commands: &Arc<dyn LiveCommands>,
    ) -> Result<Value, ApiError> {
        self.command_pod(target, options, dry_run, |id| commands.delete_replica(id)).await
    }

    /// Asks for a Pod to be moved; answers a `Status`. The Pod goes once another has taken its place.
    pub(super) async fn evict_pod(
        &self,
        target: &Target,
        options: &DeleteOptions,
        dry_run: DryRun,
        commands: &Arc<dyn LiveCommands>,
    ) -> Result<Value, ApiError> {
        self.refuse_without_another_node(target).await?;
        self.command_pod(target, options, dry_run, |id| commands.evict_replica(id)).await?;
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }))
    }

    /// A Pod that nothing could take the place of would stay, and who drains its node would wait in silence.
    async fn refuse_without_another_node(&self, target: &Target) -> Result<(), ApiError> {
        let pod = self.get(target).await?.object;
        let nodes = self.list_all(&Target::parse("/api/v1/nodes")?, &Selector::default()).await?.objects()?;
        let own = nodes.iter().find(|node| node["metadata"]["name"] == pod["spec"]["nodeName"]);
        let takes_pods = |node: &Value| {
            let ready = condition(node, "Ready").is_some_and(|ready| ready["status"] == "True");
            ready && node["spec"]["unschedulable"] != true
        };
        if own.is_none_or(takes_pods) || nodes.iter().any(takes_pods) {
            return Ok(());
        }
        let why = format!(
            "pod {} stays until another node takes pods: none is ready and schedulable (`kubectl uncordon` one, or add a worker)",
            target.name()
        );
        Err(ApiError::TooManyRequests { why })
    }

    /// Gives a command about a Pod that is there and as it is expected. Answers the Pod as it stands.
    async fn command_pod(
        &self,
        target: &Target,
        options: &DeleteOptions,
        dry_run: DryRun,
        command: impl FnOnce(ReplicaId) -> Result<(), LiveError>,
    ) -> Result<Value, ApiError> {
        let stored = self.get(target).await?;
        options.check(target, &stored)?;
        if dry_run == DryRun::No {
            let namespace = target.namespace.as_deref().unwrap_or_default();
            command(ReplicaId(api::ObjectKey::new(namespace, target.name())))?;
        }
        Ok(stored.object)
    }

    /// Changes what users say of a Node.
    pub(super) async fn patch_node(
        &self,
        target: &Target,
        patch: &Patch,
        dry_run: DryRun,
        commands: &Arc<dyn LiveCommands>,
    ) -> Result<Value, ApiError> {
        let node = self.get(target).await?.object;
        let patched = patch.apply(target.resource, target.name(), &node)?;
        self.write_node(target, &node, patched, dry_run, commands).await
    }

    /// As [`Self::patch_node`], with the whole Node.
    pub(super) async fn update_node(
        &self,
        target: &Target,
        new: Value,
        dry_run: DryRun,
        commands: &Arc<dyn LiveCommands>,
    ) -> Result<Value, ApiError> {
        let node = self.get(target).await?.object;
        self.write_node(target, &node, new, dry_run, commands).await
    }

    /// Forgets the worker of a Node; answers a `Status` once that holds over a restart. What it joined with is revoked: one
    /// that is there is cut off. One that joined without a certificate must be gone.
    pub(super) async fn delete_node(
        &self,
        target: &Target,
        options: &DeleteOptions,
        dry_run: DryRun,
        commands: &Arc<dyn LiveCommands>,
    ) -> Result<Value, ApiError> {
        let stored = self.get(target).await?;
        options.check(target, &stored)?;
        let connected = || target.conflict(STILL_CONNECTED);
        let worker = WorkerName(target.name().into());
        let joined = dry_run == DryRun::No && commands.revoke(worker.clone()).await?;
        let is_ready = condition(&stored.object, "Ready").is_some_and(|ready| ready["status"] == "True");
        if is_ready && !joined && dry_run == DryRun::No {
            return Err(connected());
        }
        if dry_run == DryRun::No {
            let until = Instant::now() + ENDS_WITHIN;
            while !commands.forget(worker.clone()).await? {
                if !joined || Instant::now() >= until {
                    return Err(connected());
                }
                sleep(LOOKED).await;
            }
        }
        Ok(success(target, &stored))
    }

    async fn write_node(
        &self,
        target: &Target,
        old: &Value,
        mut new: Value,
        dry_run: DryRun,
        commands: &Arc<dyn LiveCommands>,
    ) -> Result<Value, ApiError> {
        if without_what_users_say(old) != without_what_users_say(&new) {
            refuse_writes(target)?;
        }
        let mut errors = target.resource.check_metadata(&new, Some(old));
        let change = node_change(old, &new, &mut errors);
        if !errors.is_empty() {
            return Err(target.invalid(errors));
        }
        if dry_run == DryRun::No && (change.cordoned != is_cordoned(old) || !change.marks.is_empty()) {
            commands.change_node(WorkerName(target.name().into()), change).await?;
        }
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        Ok(new)
    }
}
