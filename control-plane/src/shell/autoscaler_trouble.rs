//! Autoscalers that decide nothing: one of several for a Deployment, and one whose Deployment is not there. As in Kubernetes
//! each says so in its conditions and by an event, and names the others.

use api::{ObjectKey, Timestamp, annotations::SCALE};
use kube_api::{
    identity::now,
    kind::{DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER},
};
use scheduler::{EventKind, autoscale::Condition};
use serde_json::{Value, json};

use super::{Shell, autoscaler_status::condition};
use crate::projection::{About, Report};

/// Why a HorizontalPodAutoscaler decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Its Deployment is not there.
    Missing {
        /// What it is called.
        deployment: String,
    },
    /// Others scale the same Deployment.
    Ambiguous {
        /// What the Deployment is called.
        deployment: String,
        /// Who, as a sentence names them.
        others: Vec<String>,
    },
}

impl Trouble {
    fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "FailedGetScale",
            Self::Ambiguous { .. } => "AmbiguousSelector",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Missing { deployment } => format!("deployments.apps \"{deployment}\" not found"),
            Self::Ambiguous { deployment, others } => format!(
                "pods of deployment {deployment} are scaled by several, so none of them scales it: beside this one by {}; \
                 keep one of them",
                others.join(", ")
            ),
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        let one = |kind, status, reason, message| Condition { kind, status, reason, message };
        match self {
            Self::Missing { .. } => {
                let message =
                    format!("the autoscaler was unable to get the target's current scale: {}", self.message());
                vec![one("AbleToScale", false, self.reason(), message)]
            }
            Self::Ambiguous { .. } => {
                let able = "the autoscaler was able to get the target's current scale".to_owned();
                let message = format!("the autoscaler was unable to compute the replica count: {}", self.message());
                vec![
                    one("AbleToScale", true, "SucceededGetScale", able),
                    one("ScalingActive", false, self.reason(), message),
                ]
            }
        }
    }
}

/// A HorizontalPodAutoscaler that says why it decides nothing.
pub(super) fn with_trouble(current: &Value, trouble: &Trouble, now: Timestamp) -> Value {
    let mut object = current.clone();
    let before = current["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let conditions: Vec<Value> = trouble.conditions().iter().map(|one| condition(one, before, now)).collect();
    let count = |field: &str| current["status"][field].as_u64().unwrap_or(0);
    let mut status = json!({
        "observedGeneration": current["metadata"]["generation"],
        "currentReplicas": count("currentReplicas"),
        "desiredReplicas": count("desiredReplicas"),
        "currentMetrics": null,
        "conditions": conditions,
    });
    if let Some(at) = current["status"].get("lastScaleTime") {
        status["lastScaleTime"] = at.clone();
    }
    object["status"] = status;
    object
}

impl Shell {
    /// Looks at who scales a Deployment, and tells those that decide nothing, each once for the same reason.
    pub(super) fn judge_autoscalers(&mut self, deployment: &ObjectKey) {
        let there = self.objects.holds(DEPLOYMENT, deployment);
        for (object, trouble) in self.autoscalers.troubles(deployment, there) {
            if self.autoscalers.note_trouble(&object, trouble.as_ref()) {
                continue;
            }
            if let Some(trouble) = trouble {
                self.report(HORIZONTAL_POD_AUTOSCALER, &object, trouble.reason(), &trouble.message());
                self.writer.autoscaler_trouble(HORIZONTAL_POD_AUTOSCALER.key(&object), trouble);
            }
        }
        let trouble = self.autoscalers.annotation_trouble(deployment);
        if !self.autoscalers.note_annotation(deployment, trouble.as_ref())
            && let Some(trouble) = trouble
        {
            self.report(DEPLOYMENT, deployment, trouble.reason(), &trouble.message());
        }
    }

    /// Warns of an object by an event.
    pub(super) fn report(&mut self, kind: kube_api::kind::Kind, key: &ObjectKey, reason: &str, message: &str) {
        self.tell(EventKind::Warning, (kind, key), reason, message);
    }

    pub(super) fn announce(&mut self, kind: kube_api::kind::Kind, key: &ObjectKey, reason: &str, message: &str) {
        self.tell(EventKind::Normal, (kind, key), reason, message);
    }

    fn tell(&mut self, what: EventKind, (kind, key): (kube_api::kind::Kind, &ObjectKey), reason: &str, message: &str) {
        let object = self.objects.object(kind, key);
        let uid = object.and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned)).unwrap_or_default();
        let about = About { kind, uid, key: key.clone() };
        self.projection.events.report(&Report { about: &about, kind: what, reason, message }, now());
    }
}

/// How the annotation of a Deployment is named among those who scale it.
pub(super) fn annotation_name() -> String {
    format!("the annotation `{SCALE}` of the Deployment")
}
