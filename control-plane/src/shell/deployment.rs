//! From stored objects to what the scheduler is told.

use std::{sync::Arc, time::Duration};

use api::{Digest, ObjectKey, Timestamp};
use kube_api::{identity::parse_rfc3339, template};
use scheduler::{Deployment, Revision, Share, Strategy, Template};
use serde_json::Value;

use super::{
    priority::{Classes, noted, resolved},
    replica_set::is_autoscaled,
};

/// The number of a Deployment's revision, on the Deployment and on its ReplicaSets.
pub(super) const REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";
/// Tells replicas of different revisions apart.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";

/// Kubernetes' defaults, for what is not written.
const REVISION_HISTORY_LIMIT: u32 = 10;
const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);
const ROLLING_SHARE: Share = Share::Percent(25);

/// A stored Deployment. It was checked when it was stored; what is wrong nevertheless is said.
pub(super) fn deployment(key: ObjectKey, object: &Value, classes: &dyn Classes) -> Result<Deployment, String> {
    let spec = &object["spec"];
    Ok(Deployment {
        key,
        uid: object["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
        generation: object["metadata"]["generation"].as_u64().unwrap_or(1),
        replicas: count(&spec["replicas"]).unwrap_or(1),
        autoscaled: is_autoscaled(object),
        template: resolved(parse_template(&spec["template"])?, classes),
        strategy: strategy(&spec["strategy"]),
        min_ready: seconds(&spec["minReadySeconds"]).unwrap_or_default(),
        revision_history_limit: count(&spec["revisionHistoryLimit"]).unwrap_or(REVISION_HISTORY_LIMIT),
        progress_deadline: seconds(&spec["progressDeadlineSeconds"]).unwrap_or(PROGRESS_DEADLINE),
        paused: spec["paused"] == true,
    })
}

/// A stored ReplicaSet.
pub(super) fn revision(key: ObjectKey, object: &Value, classes: &dyn Classes) -> Result<Revision, String> {
    let metadata = &object["metadata"];
    let spec = &object["spec"];
    let annotations = &metadata["annotations"];
    let number = annotations[REVISION_ANNOTATION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    let created = metadata["creationTimestamp"].as_str().and_then(parse_rfc3339).unwrap_or(Timestamp::from_secs(0));
    Ok(Revision {
        deployment: controller(object, "Deployment").map(|(name, _)| ObjectKey::new(key.namespace.clone(), name)),
        number,
        template: revision_template(object, classes)?,
        replicas: count(&spec["replicas"]).unwrap_or(1),
        min_ready: seconds(&spec["minReadySeconds"]).unwrap_or_default(),
        digest: annotations[api::annotations::IMAGE_DIGEST].as_str().and_then(|text| text.parse::<Digest>().ok()),
        created,
        key,
    })
}

/// The name and uid of the owner that controls an object, if it is of this kind.
pub(super) fn controller<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str)> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true && owner["kind"] == kind)?;
    Some((owner["name"].as_str()?, owner["uid"].as_str().unwrap_or_default()))
}

/// The template of a ReplicaSet is its Deployment's and the hash label, which is not part of what is hashed. Its priority is
/// the one that it was made with.
fn revision_template(object: &Value, classes: &dyn Classes) -> Result<Arc<Template>, String> {
    let mut source = object["spec"]["template"].clone();
    let labels = source["metadata"]["labels"].as_object_mut();
    let hash = labels.and_then(|labels| labels.remove(TEMPLATE_HASH));
    let mut template = Arc::unwrap_or_clone(parse_template(&source)?);
    if let Some(hash) = hash.as_ref().and_then(Value::as_str) {
        hash.clone_into(&mut template.hash);
    }
    if let Some(noted) = noted(&object["metadata"]["annotations"][api::annotations::PRIORITY], &template) {
        template.priority = noted;
        return Ok(Arc::new(template));
    }
    Ok(resolved(Arc::new(template), classes))
}

fn parse_template(source: &Value) -> Result<Arc<Template>, String> {
    template::parse(source).map(Arc::new).map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })
}

fn strategy(strategy: &Value) -> Strategy {
    if strategy["type"] == "Recreate" {
        return Strategy::Recreate;
    }
    let rolling = &strategy["rollingUpdate"];
    Strategy::RollingUpdate {
        max_surge: share(&rolling["maxSurge"]).unwrap_or(ROLLING_SHARE),
        max_unavailable: share(&rolling["maxUnavailable"]).unwrap_or(ROLLING_SHARE),
    }
}

fn share(value: &Value) -> Option<Share> {
    if let Some(text) = value.as_str() {
        return Some(match text.strip_suffix('%') {
            Some(percent) => Share::Percent(percent.parse().ok()?),
            None => Share::Count(text.parse().ok()?),
        });
    }
    count(value).map(Share::Count)
}

fn count(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn seconds(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_secs)
}
