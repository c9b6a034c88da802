//! The revisions of a Deployment: its ReplicaSets.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::{Api, api::ListParams};
use serde::Serialize;
use serde_json::Value;

use super::connection::Connection;

/// The label that tells a revision's replicas from those of others; it is the server's, not the user's.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The annotation that counts the revisions of a Deployment, there and on its ReplicaSets.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// One revision.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Revision {
    #[serde(rename = "revision")]
    pub(crate) number: u64,
    /// Its ReplicaSet.
    pub(crate) name: String,
    pub(crate) replicas: i32,
    pub(crate) change_cause: Option<String>,
    pub(crate) image: String,
    /// As the user wrote it.
    pub(crate) template: Value,
}

/// The revisions of a Deployment, the current one last.
pub(crate) async fn of(connection: &Connection, deployment: &Deployment) -> anyhow::Result<Vec<Revision>> {
    let api: Api<ReplicaSet> = Api::namespaced(connection.client(), &connection.namespace);
    let sets = api.list(&ListParams::default()).await.map_err(|error| connection.explain(error))?;
    let mut revisions: Vec<Revision> =
        sets.items.into_iter().filter(|set| is_owned(set, deployment)).filter_map(revision).collect();
    revisions.sort_by_key(|revision| revision.number);
    Ok(revisions)
}

fn is_owned(set: &ReplicaSet, deployment: &Deployment) -> bool {
    let owners = set.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
}

fn revision(set: ReplicaSet) -> Option<Revision> {
    let annotations = set.metadata.annotations.unwrap_or_default();
    let spec = set.spec?;
    let mut template = serde_json::to_value(spec.template?).ok()?;
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(TEMPLATE_HASH);
    }
    Some(Revision {
        name: set.metadata.name?,
        number: annotations.get(REVISION)?.parse().ok()?,
        replicas: spec.replicas.unwrap_or(1),
        change_cause: annotations.get(CHANGE_CAUSE).cloned(),
        image: template["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned(),
        template,
    })
}
