//! How far a rollout is, by the checks of `kubectl rollout status` and in their order.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// What it waits for.
    Waiting(String),
    /// It made no progress in time.
    Failed(String),
    /// Every replica is of the current template and available.
    Done,
}

/// Reads the progress out of a Deployment's status.
pub(crate) fn progress(deployment: &Deployment) -> Progress {
    let status = deployment.status.clone().unwrap_or_default();
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    if deployment.metadata.generation > status.observed_generation {
        return Progress::Waiting("the change has not been seen yet".to_owned());
    }
    let conditions = status.conditions.unwrap_or_default();
    // The condition says that it made no progress in time, by being false: its reason is for people.
    if conditions.iter().any(|c| c.type_ == "Progressing" && c.status == "False") {
        return Progress::Failed(format!("deployment \"{name}\" exceeded its progress deadline"));
    }
    let [replicas, updated, available] =
        [status.replicas, status.updated_replicas, status.available_replicas].map(Option::unwrap_or_default);
    if updated < wanted {
        Progress::Waiting(format!("{updated} out of {wanted} new replicas have been updated"))
    } else if replicas > updated {
        Progress::Waiting(format!("{} old replicas are pending termination", replicas - updated))
    } else if available < updated {
        Progress::Waiting(format!("{available} of {updated} updated replicas are available"))
    } else {
        Progress::Done
    }
}

/// Why a replica of a Deployment does not start, if it says so: `REASON: message`.
pub(crate) fn obstacle(deployment: &str, pod: &Pod) -> Option<String> {
    let revision = pod.metadata.owner_references.iter().flatten().find(|owner| owner.kind == "ReplicaSet")?;
    let (owner, _) = revision.name.rsplit_once('-')?;
    let status = pod.status.as_ref().filter(|_| owner == deployment)?;
    // One whose image cannot be had has no worker either, and that is not why.
    let waiting = status.container_statuses.iter().flatten().find_map(|status| status.state.as_ref()?.waiting.as_ref());
    if let Some(why) = waiting.and_then(|waiting| said(waiting.reason.as_deref(), waiting.message.as_deref())) {
        return Some(why);
    }
    let unplaced = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    unplaced.and_then(|condition| said(condition.reason.as_deref(), condition.message.as_deref()))
}

/// A reason without a message is an ordinary stage of a start.
fn said(reason: Option<&str>, message: Option<&str>) -> Option<String> {
    Some(format!("{}: {}", reason?, message?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_status(status: serde_json::Value) -> Progress {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "generation": 2},
            "spec": {"replicas": 2, "selector": {}, "template": {}}, "status": status,
        });
        progress(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn a_status_of_an_earlier_generation_says_nothing() {
        let done_before = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(with_status(done_before), Progress::Waiting("the change has not been seen yet".into()));
    }

    #[test]
    fn a_rollout_is_done_when_all_are_new_and_available() {
        let halfway = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2});
        let waiting = Progress::Waiting("1 out of 2 new replicas have been updated".into());
        assert_eq!(with_status(halfway), waiting);
        let done = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(with_status(done), Progress::Done);
    }

    #[test]
    fn a_replica_that_cannot_start_says_why_and_one_that_is_starting_does_not() {
        let pod = |state: serde_json::Value| {
            let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-abc", "uid": "1"});
            let container =
                json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
            let pod = json!({
                "metadata": {"name": "shop-abc-1", "ownerReferences": [owner]}, "status": {"containerStatuses": [container]},
            });
            serde_json::from_value::<Pod>(pod).unwrap()
        };
        let refused = pod(json!({"waiting": {"reason": "ErrImagePull", "message": "there is none"}}));
        assert_eq!(obstacle("shop", &refused).as_deref(), Some("ErrImagePull: there is none"));
        assert_eq!(obstacle("sho", &refused), None);
        assert_eq!(obstacle("shop", &pod(json!({"waiting": {"reason": "ContainerCreating"}}))), None);
    }

    #[test]
    fn an_image_that_cannot_be_had_is_named_before_the_worker_that_its_replica_does_not_have() {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-abc", "uid": "1"});
        let waiting = |waiting: serde_json::Value| {
            let unplaced =
                json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"});
            let container = json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": waiting}});
            let pod = json!({
                "metadata": {"name": "shop-abc-1", "ownerReferences": [owner]},
                "status": {"conditions": [unplaced], "containerStatuses": [container]},
            });
            obstacle("shop", &serde_json::from_value::<Pod>(pod).unwrap())
        };
        let pull = waiting(json!({"reason": "ErrImagePull", "message": "there is none"}));
        assert_eq!(pull.as_deref(), Some("ErrImagePull: there is none"));
        assert_eq!(waiting(json!({"reason": "ContainerCreating"})).as_deref(), Some("Unschedulable: no room"));
    }

    #[test]
    fn a_missed_deadline_is_a_failure() {
        let condition = |status: &str| json!({"type": "Progressing", "status": status, "reason": "AnyWord"});
        let said = |status: &str| with_status(json!({"observedGeneration": 2, "conditions": [condition(status)]}));
        assert!(matches!(said("False"), Progress::Failed(_)));
        assert!(matches!(said("Unknown"), Progress::Waiting(_)), "a paused rollout has not failed");
    }
}
