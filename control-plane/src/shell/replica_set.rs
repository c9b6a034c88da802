//! From what the scheduler decides to stored objects: ReplicaSets, and the statuses of Deployments and ReplicaSets.
//! Pure functions from the object as it stands to the object as it is to be.

use kube_api::{
    finalizers::{ORPHAN, waits_for},
    identity::{derived_uid, rfc3339},
};
use scheduler::{Condition, DeploymentStatus, Revision, RevisionStatus};
use serde_json::{Map, Value, json};

use super::{
    deployment::{REVISION_ANNOTATION, TEMPLATE_HASH, controller},
    priority,
};

/// Annotations of a Deployment that its ReplicaSets do not take over.
const NOT_TAKEN_OVER: [&str; 3] =
    ["kubectl.kubernetes.io/last-applied-configuration", REVISION_ANNOTATION, api::annotations::AUTOSCALED];

/// The identity of a revision's ReplicaSet, known before it is written.
pub(super) fn revision_uid(revision: &Revision, deployment_uid: &str) -> String {
    let created = revision.created.as_secs().to_string();
    derived_uid(&["replicaset", deployment_uid, &revision.key.namespace, &revision.key.name, &created])
}

/// A revision of a Deployment as a ReplicaSet; `current` is what is stored.
pub(super) fn replica_set(revision: &Revision, deployment: &Value, current: Option<&Value>) -> Value {
    let owner = deployment["metadata"]["uid"].as_str();
    // What an earlier Deployment of the same name has left is replaced, and so is one that has left its Pods.
    let ours = current.filter(|current| {
        controller(current, "Deployment").map(|(_, uid)| uid) == owner && !waits_for(current, ORPHAN)
    });
    let Some(current) = ours else { return new_replica_set(revision, deployment) };
    let mut object = current.clone();
    annotate(&mut object, revision, Some(deployment));
    if object["spec"]["replicas"] != json!(revision.replicas)
        || object["spec"]["minReadySeconds"].as_u64().unwrap_or(0) != revision.min_ready.as_secs()
    {
        object["spec"]["replicas"] = revision.replicas.into();
        object["spec"]["minReadySeconds"] = revision.min_ready.as_secs().into();
        object["metadata"]["generation"] = (object["metadata"]["generation"].as_u64().unwrap_or(0) + 1).into();
    }
    object["spec"]["template"] = labelled_template(revision);
    object
}

/// The template of a revision's ReplicaSet: its Pods are told from those of others by its hash.
pub(super) fn labelled_template(revision: &Revision) -> Value {
    let mut template = revision.template.source.read();
    label(&mut template, &revision.template.hash);
    template
}

/// A ReplicaSet of the user's own: only what the scheduler found out is added.
pub(super) fn own_replica_set(revision: &Revision, current: &Value) -> Value {
    let mut object = current.clone();
    annotate(&mut object, revision, None);
    object
}

fn new_replica_set(revision: &Revision, deployment: &Value) -> Value {
    let owner = &deployment["metadata"];
    let hash = &revision.template.hash;
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][TEMPLATE_HASH] = hash.as_str().into();
    let mut labels = revision.template.labels.clone();
    labels.insert(TEMPLATE_HASH.to_owned(), hash.clone());
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": &*revision.key.name,
            "namespace": &*revision.key.namespace,
            "uid": revision_uid(revision, owner["uid"].as_str().unwrap_or_default()),
            "generation": 1,
            "creationTimestamp": rfc3339(revision.created),
            "labels": labels,
            "annotations": {},
            "ownerReferences": [{
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": owner["name"],
                "uid": owner["uid"],
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "replicas": revision.replicas,
            "minReadySeconds": revision.min_ready.as_secs(),
            "selector": selector,
            "template": labelled_template(revision),
        },
        "status": { "replicas": 0 },
    });
    annotate(&mut object, revision, Some(deployment));
    object
}

fn label(template: &mut Value, hash: &str) {
    if !template["metadata"].is_object() {
        template["metadata"] = json!({});
    }
    if !template["metadata"]["labels"].is_object() {
        template["metadata"]["labels"] = json!({});
    }
    template["metadata"]["labels"][TEMPLATE_HASH] = hash.into();
}

/// What of a Deployment's annotations its newest ReplicaSet has too.
pub(super) fn taken_over(deployment: &Value) -> Map<String, Value> {
    let theirs = deployment["metadata"]["annotations"].as_object().into_iter().flatten();
    let taken = theirs.filter(|(key, _)| !NOT_TAKEN_OVER.contains(&key.as_str()));
    taken.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn annotate(object: &mut Value, revision: &Revision, deployment: Option<&Value>) {
    let mut annotations = object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    if let Some(deployment) = deployment {
        annotations.extend(taken_over(deployment));
        annotations.insert(REVISION_ANNOTATION.to_owned(), revision.number.to_string().into());
        let desired = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
        annotations.insert("deployment.kubernetes.io/desired-replicas".to_owned(), desired.to_string().into());
    }
    if let Some(digest) = &revision.digest {
        annotations.insert(api::annotations::IMAGE_DIGEST.to_owned(), digest.as_str().into());
    }
    annotations.insert(api::annotations::PRIORITY.to_owned(), priority::note(&revision.template.priority).into());
    object["metadata"]["annotations"] = Value::Object(annotations);
}

/// A ReplicaSet with this status.
pub(super) fn with_revision_status(current: &Value, status: &RevisionStatus) -> Value {
    let mut object = current.clone();
    let mut written = Map::new();
    // Kubernetes always writes `replicas` of a ReplicaSet; other counts only when they are not zero.
    written.insert("replicas".to_owned(), status.replicas.into());
    counts(
        &mut written,
        [
            ("fullyLabeledReplicas", status.replicas),
            ("readyReplicas", status.ready),
            ("availableReplicas", status.available),
        ],
    );
    written.insert("observedGeneration".to_owned(), current["metadata"]["generation"].clone());
    object["status"] = Value::Object(written);
    object
}

/// A Deployment with this status and its revision's number.
pub(super) fn with_deployment_status(current: &Value, status: &DeploymentStatus) -> Value {
    let mut object = current.clone();
    let mut written = Map::new();
    written.insert("observedGeneration".to_owned(), status.observed_generation.into());
    let wanted = current["spec"]["replicas"].as_u64().unwrap_or(1);
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    counts(
        &mut written,
        [
            ("replicas", status.replicas),
            ("updatedReplicas", status.updated),
            ("readyReplicas", status.ready),
            ("availableReplicas", status.available),
            ("unavailableReplicas", status.replicas.max(wanted).saturating_sub(status.available)),
        ],
    );
    written.insert("conditions".to_owned(), status.conditions.iter().map(condition).collect());
    object["status"] = Value::Object(written);
    if status.revision > 0 {
        if !object["metadata"]["annotations"].is_object() {
            object["metadata"]["annotations"] = json!({});
        }
        object["metadata"]["annotations"][REVISION_ANNOTATION] = status.revision.to_string().into();
    }
    object
}

/// A Deployment that is to have so many replicas, as its autoscaler decided: it bears the generation that this makes, so that
/// whoever reads it knows whose number it is.
pub(super) fn with_replicas(mut object: Value, replicas: u32) -> Value {
    if object["spec"]["replicas"].as_u64() != Some(replicas.into()) {
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
        object["spec"]["replicas"] = replicas.into();
        object["metadata"]["generation"] = generation.into();
        if !object["metadata"]["annotations"].is_object() {
            object["metadata"]["annotations"] = json!({});
        }
        object["metadata"]["annotations"][api::annotations::AUTOSCALED] = generation.to_string().into();
    }
    object
}

/// Whether a Deployment's number is the one that [`with_replicas`] wrote: a later write of its spec makes another generation.
pub(super) fn is_autoscaled(deployment: &Value) -> bool {
    let metadata = &deployment["metadata"];
    let noted =
        metadata["annotations"][api::annotations::AUTOSCALED].as_str().and_then(|noted| noted.parse::<u64>().ok());
    noted.is_some() && noted == metadata["generation"].as_u64()
}

fn counts<const N: usize>(into: &mut Map<String, Value>, counts: [(&str, u32); N]) {
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    into.extend(counts.map(|(name, count)| (name.to_owned(), count.into())));
}

fn condition(condition: &Condition) -> Value {
    json!({
        "type": condition.kind.as_str(),
        "status": if condition.status { "True" } else { "False" },
        "reason": condition.reason.as_str(),
        "message": condition.message,
        "lastTransitionTime": rfc3339(condition.last_transition),
        "lastUpdateTime": rfc3339(condition.last_update),
    })
}
