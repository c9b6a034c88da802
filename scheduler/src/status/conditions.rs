//! A Deployment's conditions, with the reasons and messages that `kubectl rollout status` and people know.

use api::Timestamp;

use crate::{Condition, ConditionKind as Kind, ConditionReason as Reason, Deployment, DeploymentStatus};

/// What conditions are made of, besides the counts.
pub(super) struct Observed<'a> {
    pub(super) deployment: &'a Deployment,
    /// How many replicas it is to have now.
    pub(super) wanted: u32,
    /// The name of the current revision.
    pub(super) revision: &'a str,
    pub(super) min_available: u32,
    /// Whether the counts have come further than what was told before.
    pub(super) progressed: bool,
    /// When they last did.
    pub(super) progressed_at: Timestamp,
    /// Why replicas cannot be had: a reason and a message.
    pub(super) trouble: Option<(Reason, String)>,
}

/// What a condition says, without its times.
struct Saying {
    kind: Kind,
    status: bool,
    reason: Reason,
    message: String,
}

pub(super) fn conditions(
    observed: &Observed<'_>,
    status: &DeploymentStatus,
    told: Option<&DeploymentStatus>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut sayings = vec![available(observed, status), progressing(observed, status, told, now)];
    sayings.extend(observed.trouble.as_ref().map(|(reason, message)| Saying {
        kind: Kind::ReplicaFailure,
        status: true,
        reason: *reason,
        message: message.clone(),
    }));
    let before = told.map_or(&[][..], |told| &told.conditions);
    sayings.into_iter().map(|saying| timed(saying, before, now, observed.progressed)).collect()
}

/// As in Kubernetes: more updated, ready or available replicas, or fewer old ones.
pub(super) fn has_progressed(told: Option<&DeploymentStatus>, status: &DeploymentStatus) -> bool {
    told.is_none_or(|told| {
        status.observed_generation != told.observed_generation
            || status.updated > told.updated
            || status.ready > told.ready
            || status.available > told.available
            || status.replicas - status.updated < told.replicas - told.updated
    })
}

/// Whether the rollout may still run out of its time.
pub(super) fn is_progressing(status: &DeploymentStatus) -> bool {
    progressing_reason(status)
        .is_some_and(|reason| reason != Reason::NewReplicaSetAvailable && reason != Reason::ProgressDeadlineExceeded)
}

fn available(observed: &Observed<'_>, status: &DeploymentStatus) -> Saying {
    let (status, reason, message) = if status.available >= observed.min_available {
        (true, Reason::MinimumReplicasAvailable, "Deployment has minimum availability.")
    } else {
        (false, Reason::MinimumReplicasUnavailable, "Deployment does not have minimum availability.")
    };
    Saying { kind: Kind::Available, status, reason, message: message.to_owned() }
}

fn progressing(
    observed: &Observed<'_>,
    status: &DeploymentStatus,
    told: Option<&DeploymentStatus>,
    now: Timestamp,
) -> Saying {
    let (deployment, revision) = (observed.deployment, observed.revision);
    let wanted = observed.wanted;
    let complete = status.updated == wanted && status.replicas == wanted && status.available >= wanted;
    let before =
        told.filter(|told| told.observed_generation == status.observed_generation).and_then(progressing_reason);
    let overdue = now >= observed.progressed_at + deployment.progress_deadline;
    let (status, reason, message) = if deployment.paused {
        (true, Reason::DeploymentPaused, "Deployment is paused".to_owned())
    } else if complete || before == Some(Reason::NewReplicaSetAvailable) {
        // A rollout that was complete stays so when replicas fail later: that is no matter of progress.
        (true, Reason::NewReplicaSetAvailable, format!("ReplicaSet \"{revision}\" has successfully progressed."))
    } else if !observed.progressed && (overdue || before == Some(Reason::ProgressDeadlineExceeded)) {
        (false, Reason::ProgressDeadlineExceeded, format!("ReplicaSet \"{revision}\" has timed out progressing."))
    } else if status.updated == 0 {
        (true, Reason::NewReplicaSetCreated, format!("Created new replica set \"{revision}\""))
    } else {
        (true, Reason::ReplicaSetUpdated, format!("ReplicaSet \"{revision}\" is progressing."))
    };
    Saying { kind: Kind::Progressing, status, reason, message }
}

fn progressing_reason(status: &DeploymentStatus) -> Option<Reason> {
    status.condition(Kind::Progressing).map(|condition| condition.reason)
}

fn timed(saying: Saying, before: &[Condition], now: Timestamp, progressed: bool) -> Condition {
    let Saying { kind, status, reason, message } = saying;
    let before = before.iter().find(|condition| condition.kind == kind);
    let same_status = before.filter(|before| before.status == status);
    let same = same_status.filter(|before| before.reason == reason && before.message == message);
    let updated_now = same.is_none() || (kind == Kind::Progressing && progressed);
    let last_update = if updated_now { now } else { same.map_or(now, |before| before.last_update) };
    Condition {
        kind,
        status,
        reason,
        message,
        last_transition: same_status.map_or(now, |before| before.last_transition),
        last_update,
    }
}
