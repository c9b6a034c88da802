use std::sync::Arc;

use api::{
    Digest, ObjectKey, ReplicaId, WorkerMarks, WorkerName,
    replica::Failure,
    session::{ServiceSample, WorkerUp},
};

use crate::{Deployment, Revision, autoscale::Autoscaler};

/// Tells gateways apart, for as long as their sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(pub u64);

/// What the scheduler is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// A Deployment is new or has changed.
    Deployment(Deployment),
    /// A Deployment is gone, and its revisions and replicas with it.
    DeploymentDeleted(ObjectKey),
    /// A Deployment is gone, and its revisions and replicas stay: they are nobody's, and keep the number that they have.
    DeploymentOrphaned(ObjectKey),
    /// A revision is in the store: at start, or because somebody wrote it. Told before the Deployments at start.
    Revision(Revision),
    /// A revision was deleted by somebody.
    RevisionDeleted(ObjectKey),
    /// Somebody wrote another number or template into a Deployment's revision: it is to be written as it was decided.
    RevisionOverwritten(ObjectKey),
    /// A revision was deleted by somebody, and its replicas stay: its Deployment makes it again, and they are the new one's.
    RevisionReleased(ObjectKey),
    /// The store has been read: from now on what is missing is not wanted, and decisions may be taken.
    Loaded,
    /// The answer to [`Action::ResolveImage`](crate::Action::ResolveImage).
    ImageResolved {
        /// The revision that it is for.
        revision: ObjectKey,
        /// The digest, or why there is none.
        result: Result<Digest, String>,
    },
    /// A message of a worker session.
    Worker {
        /// Which worker.
        worker: WorkerName,
        /// What it says. `Log` messages need not be told.
        message: WorkerUp,
    },
    /// A worker session ended. The worker may come back.
    WorkerDisconnected(WorkerName),
    /// A worker's process has ended, as who started it saw: nothing runs there any more.
    WorkerDied(WorkerName),
    /// A worker of an earlier life of the control plane, told before [`Event::Loaded`]: nothing is decided until it has said
    /// hello, or had its time.
    KnownWorker {
        /// Which worker.
        worker: WorkerName,
        /// Whether it was cordoned.
        cordoned: bool,
    },
    /// A worker takes no new replicas (`true`), or takes them again.
    Cordon {
        /// Which worker.
        worker: WorkerName,
        /// Whether it is cordoned.
        cordoned: bool,
    },
    /// What users have said of a worker: its labels, annotations and taints. All of it, whatever was told before.
    Marked {
        /// Which worker.
        worker: WorkerName,
        /// What they say.
        marks: WorkerMarks,
    },
    /// Whether gateways reach a worker. One that they do not reach takes no new replicas, unless these tolerate
    /// [`NETWORK_UNAVAILABLE`](crate::NETWORK_UNAVAILABLE).
    Reach {
        /// Which worker.
        worker: WorkerName,
        /// Why they do not, for its user; `None`: they do.
        unavailable: Option<Arc<str>>,
    },
    /// A worker without a session is gone for good, as somebody says: its replicas are replaced, and it is forgotten. One that
    /// is connected stays.
    Forget(WorkerName),
    /// A replica could not be started because what it needs could not be resolved.
    StartFailed {
        /// Which replica.
        id: ReplicaId,
        /// What could not be resolved, and why.
        failure: Failure,
    },
    /// A ConfigMap or a Secret of this namespace was written: replicas that could not be started for want of one are tried
    /// again at once.
    ConfigStored(Arc<str>),
    /// Somebody deleted this replica; another takes its place if it is wanted.
    DeleteReplica(ReplicaId),
    /// This replica is to leave its worker: it stops once another has taken its place.
    Evict(ReplicaId),
    /// What a Deployment's number of replicas follows from now on. Told before [`Event::Loaded`] at start.
    Autoscaler(Arc<Autoscaler>),
    /// Its number is the user's again.
    AutoscalerDeleted(ObjectKey),
    /// A gateway says what it measured in its last window: of each Deployment that it has anything to say of. It is told
    /// each window also where there is nothing: otherwise nothing is known of its requests.
    Sampled {
        /// Which gateway.
        gateway: GatewayId,
        /// The Deployment that each sample is for.
        samples: Vec<(ObjectKey, ServiceSample)>,
    },
    /// Requests wait at a gateway for a replica of a Deployment: there is none, or all are busy.
    Waiting {
        /// Which gateway.
        gateway: GatewayId,
        /// At which Service.
        service: ObjectKey,
        /// For replicas of this Deployment.
        deployment: ObjectKey,
        /// How many wait there.
        queued: u32,
        /// How many are being served from there.
        in_flight: u32,
    },
    /// A gateway's session ended. It may serve on, and come back.
    GatewayDisconnected(GatewayId),
    /// Time has passed: at least as often as [`Action::WakeAt`](crate::Action::WakeAt) asks for.
    Tick,
}
