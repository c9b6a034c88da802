use api::{ReplicaId, WorkerMarks, WorkerName};
use scheduler::Event;
use tokio::sync::{mpsc, oneshot};

use super::Input;

/// What a user may ask of the live state, which is nobody's durable intent.
#[derive(Debug, Clone)]
pub struct Commands {
    events: mpsc::Sender<Input>,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// More events wait than are allowed.
    #[error("the scheduler is busy: try again in a moment")]
    Busy,
    /// The control plane is shutting down.
    #[error("the control plane is shutting down")]
    Closed,
}

impl Commands {
    pub(crate) fn new(events: mpsc::Sender<Input>) -> Self {
        Self { events }
    }

    /// Stops a replica as `kubectl delete pod` does: it is drained, and another takes its place if it is wanted.
    /// Fine if there is no such replica: the caller has looked at the Pod.
    pub fn delete_replica(&self, id: ReplicaId) -> Result<(), CommandError> {
        self.send(Input::Event(Event::DeleteReplica(id)))
    }

    /// Moves a replica off its worker, as `kubectl drain` does: it stops once another has taken its place.
    pub fn evict_replica(&self, id: ReplicaId) -> Result<(), CommandError> {
        self.send(Input::Event(Event::Evict(id)))
    }

    /// Takes a worker out of placement (`true`), or puts it back, as `kubectl cordon` and `uncordon` do.
    pub fn cordon(&self, worker: WorkerName, cordoned: bool) -> Result<(), CommandError> {
        self.send(Input::Event(Event::Cordon { worker, cordoned }))
    }

    /// All that users have said of a worker, as `kubectl label`, `annotate` and `taint` do.
    pub fn mark(&self, worker: WorkerName, marks: WorkerMarks) -> Result<(), CommandError> {
        self.send(Input::Event(Event::Marked { worker, marks }))
    }

    /// Forgets a worker that is gone for good, as `kubectl delete node` does: its replicas are replaced at once. Answers
    /// `false`, and does nothing, if it has a session.
    pub async fn forget(&self, worker: WorkerName) -> Result<bool, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.send(Input::Forget(worker, answer))?;
        answered.await.map_err(|_| CommandError::Closed)
    }

    /// Tells that the certificate of a worker was revoked. Where too much waits, its silence tells.
    pub(crate) fn certificate_revoked(&self, worker: WorkerName) {
        let _ = self.send(Input::Revoked(worker));
    }

    fn send(&self, input: Input) -> Result<(), CommandError> {
        self.events.try_send(input).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Closed,
        })
    }
}
