use api::Timestamp;
use serde_json::{Value, json};

use super::Outcome;
use crate::identity::rfc3339;

/// A Pod whose check is done.
pub(crate) fn finished(pod: &Value, outcome: &Outcome, started: Timestamp, ended: Timestamp) -> Value {
    let mut pod = pod.clone();
    let container = &pod["spec"]["containers"][0];
    let (phase, reason) = if outcome.exit_code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    let (started, ended) = (rfc3339(started), rfc3339(ended));
    let condition = |kind: &str, status: &str| {
        let mut condition = json!({ "type": kind, "status": status, "lastTransitionTime": ended });
        if status == "False" {
            condition["reason"] = json!(if outcome.exit_code == 0 { "PodCompleted" } else { "PodFailed" });
        }
        condition
    };
    let status = json!({
        "phase": phase,
        "startTime": started,
        "qosClass": "BestEffort",
        "conditions": [
            condition("PodScheduled", "True"),
            condition("Initialized", "True"),
            condition("ContainersReady", "False"),
            condition("Ready", "False"),
        ],
        "containerStatuses": [{
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": false,
            "started": false,
            "restartCount": 0,
            "lastState": {},
            "state": { "terminated": {
                "exitCode": outcome.exit_code, "reason": reason, "message": outcome.message,
                "startedAt": started, "finishedAt": ended,
            } },
        }],
    });
    pod["status"] = status;
    pod
}
