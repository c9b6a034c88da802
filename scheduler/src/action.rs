use std::{sync::Arc, time::Duration};

use api::{
    Digest, ObjectKey, Pull, ReplicaId, Taint, Timestamp, WorkerMarks, WorkerName,
    replica::{Failure, FailureReason},
    session::Capacity,
};

use crate::{Resources, Revision, Template, autoscale::Why};

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Resolve the environment, then tell the worker to start this replica. If it cannot be resolved,
    /// answer with [`Event::StartFailed`](crate::Event::StartFailed).
    Start {
        /// The worker that is told.
        worker: WorkerName,
        /// Which replica.
        id: ReplicaId,
        /// Of which revision.
        revision: ObjectKey,
        /// What it is.
        template: Arc<Template>,
        /// Its pinned image.
        digest: Digest,
        /// When it was made.
        created: Timestamp,
    },
    /// Resolve the environment, then tell the worker to be ready to run this replica, whose first request starts it. If it
    /// cannot be resolved, answer with [`Event::StartFailed`](crate::Event::StartFailed).
    Standby {
        /// The worker that is told.
        worker: WorkerName,
        /// Which replica.
        id: ReplicaId,
        /// Of which revision.
        revision: ObjectKey,
        /// What it is.
        template: Arc<Template>,
        /// Its pinned image.
        digest: Digest,
        /// When it was made.
        created: Timestamp,
    },
    /// Tell the worker to drain and stop this replica. Comes after the `PublishReplica` that takes it from the endpoints.
    Stop {
        /// The worker that is told.
        worker: WorkerName,
        /// Which replica.
        id: ReplicaId,
        /// For requests in flight.
        grace: Duration,
    },
    /// Find the digest of a revision's image; answered by [`Event::ImageResolved`](crate::Event::ImageResolved).
    ResolveImage {
        /// For which revision.
        revision: ObjectKey,
        /// The reference.
        reference: String,
        /// How it is to be had.
        pull: Pull,
    },
    /// Write this revision to the store. Nothing waits for it.
    PutRevision(Revision),
    /// Delete it from the store.
    DeleteRevision(ObjectKey),
    /// Write a Deployment's status and its revision annotation.
    DeploymentStatus {
        /// The Deployment.
        key: ObjectKey,
        /// What its status is to say.
        status: DeploymentStatus,
    },
    /// Write a revision's status.
    RevisionStatus {
        /// The revision.
        key: ObjectKey,
        /// What its status is to say.
        status: RevisionStatus,
    },
    /// A replica is new or has changed: its Pod and the endpoints follow.
    PublishReplica(ReplicaView),
    /// A replica is gone.
    RemoveReplica(ReplicaId),
    /// A worker is new or has changed: its Node follows.
    PublishWorker(WorkerView),
    /// A worker is gone for good.
    RemoveWorker(WorkerName),
    /// Write the number of replicas that a Deployment's autoscaler wants, whenever that is.
    DeploymentReplicas {
        /// Which Deployment.
        key: ObjectKey,
        /// The number of replicas that it is to have.
        replicas: u32,
    },
    /// A Deployment wants another number of replicas, as its autoscaler decided.
    Rescaled {
        /// Which Deployment.
        deployment: ObjectKey,
        /// The number until now.
        before: u32,
        /// The number from now on.
        wanted: u32,
        /// From which inputs and by which rule, in one line.
        why: String,
    },
    /// What an autoscaler last decided and why, for its object's status.
    AutoscalerStatus {
        /// The Deployment that it scales.
        deployment: ObjectKey,
        /// What was decided, and from what.
        status: AutoscalerStatus,
    },
    /// Something that a user wants to know happened to an object.
    Emit {
        /// To which object.
        about: Subject,
        /// Normal or Warning.
        kind: EventKind,
        /// CamelCase, as Kubernetes names it.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// Send [`Event::Tick`](crate::Event::Tick) at this time at the latest.
    WakeAt(Timestamp),
}

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the kinds")]
pub enum Subject {
    Deployment(ObjectKey),
    Revision(ObjectKey),
    Replica(ReplicaId),
    Worker(WorkerName),
    Autoscaler(ObjectKey),
}

/// What is observed of an autoscaler.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoscalerStatus {
    /// The HorizontalPodAutoscaler, if there is one: else an annotation of the Deployment says how it is scaled.
    pub object: Option<ObjectKey>,
    /// Replicas that there are.
    pub replicas: u32,
    /// Replicas that are wanted.
    pub desired: u32,
    /// The last decision: its inputs, its rule, and what limited it.
    pub why: Why,
    /// When the wanted number last changed.
    pub last_scaled: Option<Timestamp>,
}

/// How an event is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

/// What is observed of a Deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentStatus {
    /// The generation that this speaks of.
    pub observed_generation: u64,
    /// The current revision's number.
    pub revision: u64,
    /// Replicas that are not being stopped.
    pub replicas: u32,
    /// Of these, with the current template.
    pub updated: u32,
    /// Of these, ready.
    pub ready: u32,
    /// Of these, ready for `min_ready`.
    pub available: u32,
    /// `Available`, `Progressing` and, where it applies, `ReplicaFailure`.
    pub conditions: Vec<Condition>,
}

impl DeploymentStatus {
    /// The condition of this kind, if it is there.
    pub fn condition(&self, kind: ConditionKind) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

/// The conditions of a Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum ConditionKind {
    Available,
    Progressing,
    ReplicaFailure,
}

impl ConditionKind {
    /// The condition's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Progressing => "Progressing",
            Self::ReplicaFailure => "ReplicaFailure",
        }
    }
}

/// Why a condition of a Deployment is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum ConditionReason {
    MinimumReplicasAvailable,
    MinimumReplicasUnavailable,
    NewReplicaSetCreated,
    ReplicaSetUpdated,
    NewReplicaSetAvailable,
    ProgressDeadlineExceeded,
    DeploymentPaused,
    FailedScheduling,
    /// A replica fails, or cannot be started.
    Failed(FailureReason),
}

impl ConditionReason {
    /// The condition's `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MinimumReplicasAvailable => "MinimumReplicasAvailable",
            Self::MinimumReplicasUnavailable => "MinimumReplicasUnavailable",
            Self::NewReplicaSetCreated => "NewReplicaSetCreated",
            Self::ReplicaSetUpdated => "ReplicaSetUpdated",
            Self::NewReplicaSetAvailable => "NewReplicaSetAvailable",
            Self::ProgressDeadlineExceeded => "ProgressDeadlineExceeded",
            Self::DeploymentPaused => "DeploymentPaused",
            Self::FailedScheduling => "FailedScheduling",
            Self::Failed(reason) => reason.as_str(),
        }
    }
}

/// A condition as Kubernetes writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// For example `Available`.
    pub kind: ConditionKind,
    /// True or False.
    pub status: bool,
    /// The reason, in one word.
    pub reason: ConditionReason,
    /// For people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition: Timestamp,
    /// When anything of it last changed.
    pub last_update: Timestamp,
}

/// What is observed of a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct RevisionStatus {
    /// Replicas that are not being stopped.
    pub replicas: u32,
    /// Of these, ready.
    pub ready: u32,
    /// Of these, ready for `min_ready`.
    pub available: u32,
}

/// What is known of a replica: its Pod is made from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaView {
    /// Which replica.
    pub id: ReplicaId,
    /// Of which revision.
    pub revision: ObjectKey,
    /// What it is.
    pub template: Arc<Template>,
    /// Its pinned image, once resolved.
    pub digest: Option<Digest>,
    /// Where it is placed.
    pub worker: Option<WorkerName>,
    /// Where room is kept for it until what takes it has ended.
    pub nominated: Option<WorkerName>,
    /// How far it is.
    pub state: ReplicaState,
    /// Requests that it takes at the same time, if its worker says another number than its concurrency.
    pub slots: Option<u32>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last was started.
    pub started: Option<Timestamp>,
    /// Since when it has been ready without a break.
    pub ready_since: Option<Timestamp>,
    /// How often it was started again after a failure.
    pub restarts: u32,
    /// The last failure, if there was one.
    pub last_failure: Option<(Failure, Timestamp)>,
}

/// How far a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaState {
    /// It runs nothing and is no Pod. Once its worker is ready for it, it is an endpoint that its first request starts.
    Standby {
        /// Whether its worker has said that it can start it.
        ready: bool,
    },
    /// It has no worker. The message says why, worker by worker or in sum.
    Unplaced(String),
    /// The worker was told to start it.
    Starting,
    /// It runs, but a probe has not succeeded.
    NotReady,
    /// It takes requests, as an endpoint.
    Ready,
    /// It failed and is started again at this time.
    BackOff {
        /// The time of the next start.
        until: Timestamp,
    },
    /// It has been told to stop.
    Stopping,
    /// Its worker is silent, so nothing is known of it.
    Unknown,
}

/// The taint of workers that gateways do not reach, with the effect `NoSchedule`.
pub const NETWORK_UNAVAILABLE: &str = "node.kubernetes.io/network-unavailable";

/// What is known of a worker: its Node is made from it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerView {
    /// Its name.
    pub name: WorkerName,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// What it can hold.
    pub capacity: Capacity,
    /// What is reserved on it.
    pub reserved: Resources,
    /// Replicas on it.
    pub replicas: u32,
    /// Whether it is connected and has been heard of lately.
    pub ready: bool,
    /// Whether a user has taken it out of placement.
    pub cordoned: bool,
    /// Why gateways do not reach it; `None`: they do.
    pub unreached: Option<Arc<str>>,
    /// Whether it is about to end, so that it takes none either.
    pub leaving: bool,
    /// What keeps replicas off it.
    pub taints: Vec<Taint>,
    /// What users have said of it. Its labels and taints are already so.
    pub marks: WorkerMarks,
    /// When it first said hello.
    pub since: Timestamp,
}
