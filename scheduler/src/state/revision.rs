use std::collections::BTreeSet;

use api::{ObjectKey, ReplicaId, Timestamp, replica::Failure};

use crate::{Revision, RevisionStatus, scaling::StandbyFailure};

/// A revision and its replicas, counted.
#[derive(Debug)]
pub(crate) struct RevisionState {
    pub(crate) spec: Revision,
    /// Replicas that are not being stopped.
    pub(crate) live: BTreeSet<ReplicaId>,
    /// Replicas that are being stopped.
    pub(crate) stopping: BTreeSet<ReplicaId>,
    /// Those that stand by: they run nothing, and do not count.
    pub(crate) standbys: BTreeSet<ReplicaId>,
    /// Live ones that leave: each stops once another is ready in its place.
    pub(crate) leaving: BTreeSet<ReplicaId>,
    /// Of these, ready.
    pub(crate) leaving_ready: u32,
    /// Live ones without a worker.
    pub(crate) unplaced: BTreeSet<ReplicaId>,
    /// Live ones that wait for a worker or a restart.
    pub(crate) troubled: BTreeSet<ReplicaId>,
    pub(crate) ready: u32,
    pub(crate) available: u32,
    /// Its rollout has not begun, since its Deployment has been paused all the time.
    pub(crate) held_back: bool,
    pub(crate) image: ImageState,
    /// Why there is no standby though there should be.
    pub(crate) standby_failure: Option<StandbyFailure>,
    /// Requests that a replica of it takes at the same time, as a worker said last.
    pub(crate) slots: Option<u32>,
    pub(crate) told: Option<RevisionStatus>,
}

/// How far a revision's image is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ImageState {
    /// When the shell was asked.
    pub(crate) asked: Option<Timestamp>,
    pub(crate) failures: u32,
    pub(crate) failure: Option<(Failure, Timestamp)>,
    /// Not before this time.
    pub(crate) retry_at: Option<Timestamp>,
}

impl RevisionState {
    pub(crate) fn new(spec: Revision) -> Self {
        Self {
            spec,
            live: BTreeSet::new(),
            stopping: BTreeSet::new(),
            standbys: BTreeSet::new(),
            leaving: BTreeSet::new(),
            leaving_ready: 0,
            unplaced: BTreeSet::new(),
            troubled: BTreeSet::new(),
            ready: 0,
            available: 0,
            held_back: false,
            image: ImageState::default(),
            standby_failure: None,
            slots: None,
            told: None,
        }
    }

    /// What its replicas are spread together with: all of the Deployment's.
    pub(crate) fn group(&self) -> &ObjectKey {
        self.spec.deployment.as_ref().unwrap_or(&self.spec.key)
    }

    /// Live replicas that do not leave.
    pub(crate) fn staying(&self) -> u32 {
        (self.live.len() - self.leaving.len()) as u32
    }

    /// How many of those that leave are no longer needed: for each place that is wanted, one that is ready is.
    pub(crate) fn surplus_leaving(&self) -> u32 {
        let needed = self.spec.replicas.saturating_sub(self.ready - self.leaving_ready);
        (self.leaving.len() as u32).saturating_sub(needed)
    }

    pub(crate) fn live_count(&self) -> u32 {
        self.live.len() as u32
    }

    pub(crate) fn status(&self) -> RevisionStatus {
        RevisionStatus { replicas: self.live_count(), ready: self.ready, available: self.available }
    }
}
