//! What workers may ask and say: each no more than follows from what was placed on it, as with Kubernetes' Node authorizer
//! and its NodeRestriction. What a worker says of itself can only take rights away.
//!
//! `decision` decides, purely; `placed` is what it decides by; `heard` takes messages apart into what is to be decided;
//! `seal` lets a later life of the control plane know its own placements again.

mod allowance;
mod decision;
mod heard;
mod placed;
mod seal;
#[cfg(test)]
mod tests;
mod warnings;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use api::{Call, ObjectKey, ReplicaId, Timestamp, WorkerName, replica::ReplicaSpec, session::WorkerUp};
use parking_lot::Mutex;

use crate::{
    identity::now,
    store::{Store, StoreError},
};
pub(crate) use allowance::Allowance;
use decision::{Asked, Refusal, decide};
pub(crate) use placed::Claim;
use placed::Placed;
pub(crate) use seal::Seal;
use warnings::Warnings;

/// What was placed on each worker, and what follows from it. Clones are handles to the same.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    workers: HashMap<WorkerName, Placed>,
    /// Those that have said in this life what they ran before it.
    heard: HashSet<WorkerName>,
    allowances: HashMap<WorkerName, Allowance>,
    warnings: Warnings,
}

impl Peers {
    /// A worker is about to be told to run a replica, or to stand by for it.
    pub fn place(&self, worker: &WorkerName, spec: &ReplicaSpec) {
        self.state.lock().workers.entry(worker.clone()).or_default().place(spec);
    }

    /// A worker is told to stop a replica within `grace`: what that may ask ends with it, whatever the worker says.
    pub fn stop(&self, worker: &WorkerName, id: &ReplicaId, grace: Duration) {
        self.change(worker, |placed| placed.stop(id, now() + grace));
    }

    /// A replica is not placed on its worker any more.
    pub fn take_away(&self, id: &ReplicaId) {
        let at = now();
        self.state.lock().workers.values_mut().for_each(|placed| placed.take_away(id, at));
    }

    /// A worker says that it has stopped a replica: it asks nothing for it from now on, and may have last words of it.
    pub fn stopped(&self, worker: &WorkerName, id: &ReplicaId) {
        self.change(worker, |placed| placed.stopped(id, now()));
    }

    /// What follows from it that a worker runs a replica that was sealed for it: once placed there, it may be so no more. Of an
    /// earlier life that is believed which it says first: what it leaves out then has ended.
    pub(crate) fn claim(&self, worker: &WorkerName, id: &ReplicaId) -> Claim {
        let state = self.state.lock();
        match state.workers.get(worker).map_or(Claim::Over, |placed| placed.claim(id)) {
            Claim::Over if !state.heard.contains(worker) => Claim::Open,
            claim => claim,
        }
    }

    /// A worker has said that it runs these, and nothing else.
    pub(crate) fn runs(&self, worker: &WorkerName, running: &HashSet<ReplicaId>) {
        let mut state = self.state.lock();
        state.heard.insert(worker.clone());
        state.workers.entry(worker.clone()).or_default().runs(running, now());
    }

    /// There is no such worker any more.
    pub fn forget(&self, worker: &WorkerName) {
        let mut state = self.state.lock();
        state.workers.remove(worker);
        state.warnings.forget(worker);
    }

    /// Whether anything that may still run was placed on a worker.
    pub(crate) fn is_used(&self, worker: &WorkerName) -> bool {
        let at = now();
        self.state.lock().workers.get(worker).is_some_and(|placed| placed.is_used(at))
    }

    /// The revisions whose replicas may run on a worker, if that may be others than when there were `seen` changes; and how many
    /// there are now.
    pub(crate) fn guests(&self, worker: &WorkerName, seen: u64) -> Option<(BTreeSet<ObjectKey>, u64)> {
        let state = self.state.lock();
        let placed = state.workers.get(worker)?;
        (placed.changes() != seen).then(|| (placed.guests(now()), placed.changes()))
    }

    /// Whether a worker may ask this. The error is for people.
    pub fn call(&self, worker: &WorkerName, call: Call<'_>) -> Result<(), String> {
        let asked = match call {
            Call::KeyValue(bucket) => Asked::KeyValue(bucket),
            Call::Image(digest) => Asked::Image(digest),
        };
        self.state.lock().decide(worker, &asked, now()).map_err(|refusal| refusal.to_string())
    }

    /// What counts of a worker's message. The rest is dropped, counted, and warned of.
    pub fn hear(&self, worker: &WorkerName, message: WorkerUp) -> Option<WorkerUp> {
        let (mut state, at) = (self.state.lock(), now());
        let mut heard = heard::cut(message, &mut |asked| state.decide(worker, asked, at).is_ok())?;
        if let WorkerUp::Hello(hello) = &mut heard {
            state.allowances.get(worker).unwrap_or(&Allowance::default()).apply(hello);
        }
        Some(heard)
    }

    /// A worker has joined with a token that allows it this.
    pub(crate) fn allow(&self, worker: &WorkerName, allowance: Allowance) {
        self.state.lock().allowances.insert(worker.clone(), allowance);
    }

    /// Reads what workers were allowed in an earlier life.
    pub(crate) async fn read_allowances(&self, store: &dyn Store) -> Result<(), StoreError> {
        for (worker, allowance) in Allowance::read_all(store).await? {
            self.state.lock().allowances.entry(worker).or_insert(allowance);
        }
        Ok(())
    }

    /// A worker that routes what its guests call speaks of a Service as only a gateway may, or one that was told of it.
    pub(crate) fn no_gateway(&self, worker: &WorkerName, service: &ObjectKey) {
        let refusal = Refusal::Service { worker: worker.clone(), service: service.clone() };
        self.state.lock().warnings.refused(worker, &refusal, now());
    }

    /// How often each worker was refused what it asked or said, since the process started or it was forgotten.
    pub fn refused(&self) -> Vec<(WorkerName, u64)> {
        self.state.lock().warnings.counts()
    }

    /// Forgets what ended long ago.
    pub fn expire(&self) {
        let at = now();
        self.state.lock().workers.values_mut().for_each(|placed| placed.expire(at));
    }

    fn change(&self, worker: &WorkerName, change: impl FnOnce(&mut Placed)) {
        if let Some(placed) = self.state.lock().workers.get_mut(worker) {
            change(placed);
        }
    }
}

impl State {
    /// Decides, and counts what is refused.
    fn decide(&mut self, worker: &WorkerName, asked: &Asked<'_>, at: Timestamp) -> Result<(), Refusal> {
        let nothing = Placed::default();
        let decided = decide(worker, asked, self.workers.get(worker).unwrap_or(&nothing), at);
        if let Err(refusal) = &decided {
            self.warnings.refused(worker, refusal, at);
        }
        decided
    }
}
