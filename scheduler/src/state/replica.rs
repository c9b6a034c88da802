use std::sync::Arc;

use api::{Digest, ObjectKey, ReplicaId, Timestamp, WorkerName, replica::Failure};

use super::RevisionState;
use crate::{ReplicaState, ReplicaView, Template};

/// A replica that the scheduler owns. It is bound to one worker for its life: what replaces it has another name.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) revision: ObjectKey,
    /// What it is spread together with: its Deployment, or its revision.
    pub(crate) group: ObjectKey,
    pub(crate) template: Arc<Template>,
    pub(crate) digest: Option<Digest>,
    pub(crate) worker: Option<WorkerName>,
    /// Where room is kept for it while it has no worker.
    pub(crate) nominated: Option<WorkerName>,
    /// Whether its worker's capacity is reserved for it: not while it only stands by.
    pub(crate) reserved: bool,
    pub(crate) state: ReplicaState,
    /// What it was before its worker fell silent.
    pub(crate) before_unknown: Option<ReplicaState>,
    /// Whether the worker has answered the last start.
    pub(crate) answered: bool,
    /// Whether it has been ready for the revision's `min_ready`.
    pub(crate) available: bool,
    /// Whether it is to leave its worker: it stops once another has taken its place.
    pub(crate) leaving: bool,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Requests that it takes at the same time, if its worker says another number than its concurrency.
    pub(crate) slots: Option<u32>,
    pub(crate) created: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ready_since: Option<Timestamp>,
    pub(crate) restarts: u32,
    pub(crate) last_failure: Option<(Failure, Timestamp)>,
}

impl Replica {
    pub(crate) fn new(id: ReplicaId, revision: &RevisionState, created: Timestamp) -> Self {
        Self {
            id,
            revision: revision.spec.key.clone(),
            group: revision.group().clone(),
            template: revision.spec.template.clone(),
            digest: revision.spec.digest.clone(),
            worker: None,
            nominated: None,
            reserved: true,
            state: ReplicaState::Unplaced("waiting to be placed".to_owned()),
            before_unknown: None,
            answered: false,
            available: false,
            leaving: false,
            failures: 0,
            slots: None,
            created,
            started: None,
            ready_since: None,
            restarts: 0,
            last_failure: None,
        }
    }

    /// A replica that runs nothing until its first request: its worker is asked to be ready for it.
    pub(crate) fn standby(id: ReplicaId, revision: &RevisionState, worker: WorkerName, created: Timestamp) -> Self {
        Self {
            worker: Some(worker),
            reserved: false,
            state: ReplicaState::Standby { ready: false },
            ..Self::new(id, revision, created)
        }
    }

    /// It is told to start, and has not answered yet.
    pub(crate) fn begin(&mut self) {
        self.state = ReplicaState::Starting;
        self.answered = false;
        self.ready_since = None;
    }

    /// Whether it counts as a replica of its revision.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_stopping() && !self.is_standby()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.state == ReplicaState::Stopping
    }

    pub(crate) fn is_standby(&self) -> bool {
        matches!(self.state, ReplicaState::Standby { .. })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == ReplicaState::Ready
    }

    /// Whether it waits for a worker or a restart, so that people want to know why.
    pub(crate) fn is_troubled(&self) -> bool {
        matches!(self.state, ReplicaState::Unplaced(_) | ReplicaState::BackOff { .. })
    }

    pub(crate) fn priority(&self) -> i32 {
        self.template.priority.value
    }

    pub(crate) fn view(&self) -> ReplicaView {
        ReplicaView {
            id: self.id.clone(),
            revision: self.revision.clone(),
            template: self.template.clone(),
            digest: self.digest.clone(),
            worker: self.worker.clone(),
            nominated: self.nominated.clone(),
            state: self.state.clone(),
            slots: self.slots,
            created: self.created,
            started: self.started,
            ready_since: self.ready_since,
            restarts: self.restarts,
            last_failure: self.last_failure.clone(),
        }
    }
}
