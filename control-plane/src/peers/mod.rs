//! What workers may ask and say: each no more than follows from what was placed on it, as with Kubernetes' Node authorizer
//! and its NodeRestriction. What a worker says of itself can only take rights away.
//!
//! `decision` decides, purely; `placed` is what it decides by; `heard` takes messages apart into what is to be decided;
//! `seal` lets a later life of the control plane know its own placements again, and `noted` says which of them were over.

mod allowance;
mod decision;
mod heard;
mod noted;
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

use api::{
    Call, ObjectKey, ReplicaId, Timestamp, WorkerName,
    replica::ReplicaSpec,
    session::{WorkerHello, WorkerUp},
};
use bytes::Bytes;
use kube_api::identity::now;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

pub(crate) use allowance::Allowance;
use decision::{Asked, Refusal, decide};
use noted::Noted;
pub(crate) use placed::Claim;
use placed::Placed;
pub(crate) use seal::Seal;
use store::{Store, StoreError, object_key};
use warnings::Warnings;

/// Under which is in the store what is written down of workers: no kind of the API.
const GROUP: &str = "sampan.dev";
/// Records that are read at a time.
const PAGE: usize = 1000;

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
    /// What an earlier life has written down of each.
    noted: HashMap<WorkerName, Noted>,
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

    /// What follows from it that a worker runs a replica that was sealed for it `at` a moment: once placed there, it may be so no
    /// more. Of an earlier life that is believed which it says first, as far as it was not over by what is written down.
    pub(crate) fn claim(&self, worker: &WorkerName, id: &ReplicaId, at: Timestamp) -> Claim {
        let state = self.state.lock();
        let noted = || state.noted.get(worker).is_some_and(|noted| noted.may_have(id, at));
        match state.workers.get(worker).map_or(Claim::Over, |placed| placed.claim(id)) {
            Claim::Over if !state.heard.contains(worker) && noted() => Claim::Open,
            claim => claim,
        }
    }

    /// A worker has said that it runs these, and nothing else.
    pub(crate) fn runs(&self, worker: &WorkerName, running: &HashSet<ReplicaId>) {
        let mut state = self.state.lock();
        state.heard.insert(worker.clone());
        let before = state.noted.remove(worker);
        let placed = state.workers.entry(worker.clone()).or_default();
        placed.runs(running, now());
        before.into_iter().flat_map(|noted| noted.images).for_each(|image| placed.remember(image));
    }

    /// There is no such worker any more.
    pub fn forget(&self, worker: &WorkerName) {
        let mut state = self.state.lock();
        state.workers.remove(worker);
        state.noted.remove(worker);
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
        heard::cut(message, &mut |asked| state.decide(worker, asked, at).is_ok())
    }

    /// Cuts what a worker says of itself to what its token allows, and what it says to have compiled to what was placed there: else
    /// it would draw what starts soonest where it is compiled. To be called once [`Peers::read`] is done.
    pub(crate) fn introduce(&self, hello: &mut WorkerHello) {
        let mut state = self.state.lock();
        let said = state.allowances.get(&hello.name).unwrap_or(&Allowance::default()).apply(hello);
        if let Some(said) = said {
            let (worker, said, counts) = (hello.name.clone(), format!("{said:?}"), format!("{:?}", hello.capacity));
            state.warnings.refused(&hello.name, &Refusal::Capacity { worker, said, counts }, now());
        }
        let (placed, noted) = (state.workers.get(&hello.name), state.noted.get(&hello.name));
        hello.cached.retain(|image| {
            placed.is_some_and(|placed| placed.had_image(image)) || noted.is_some_and(|it| it.images.contains(image))
        });
    }

    /// A worker has joined with a token that allows it this.
    pub(crate) fn allow(&self, worker: &WorkerName, allowance: Allowance) {
        self.state.lock().allowances.insert(worker.clone(), allowance);
    }

    /// Reads what workers were allowed in an earlier life, and what was placed on them. Answers until when that is known.
    pub(crate) async fn read(&self, store: &dyn Store) -> Result<Timestamp, StoreError> {
        let (allowances, noted) = (records(store, allowance::PLURAL).await?, records(store, noted::PLURAL).await?);
        let mut state = self.state.lock();
        for (worker, allowance) in allowances {
            state.allowances.entry(worker).or_insert(allowance);
        }
        state.noted = noted.into_iter().collect();
        Ok(state.noted.values().map(Noted::up_to).max().unwrap_or_default())
    }

    /// Whether what was placed on a worker is to be written down anew.
    pub(crate) fn is_to_be_noted(&self) -> bool {
        !self.state.lock().workers.values().all(Placed::is_written)
    }

    /// What is to be written down: the key and the record of each worker on which something has changed. All that was placed until
    /// `up_to` is known here.
    pub(crate) fn to_note(&self, up_to: Timestamp) -> Vec<(String, Bytes)> {
        let mut state = self.state.lock();
        let news = state.workers.iter_mut().filter_map(|(worker, placed)| Some((worker, placed.news(up_to)?)));
        let record = |noted: &Noted| Bytes::from(serde_json::to_vec(noted).expect("plain data is JSON"));
        news.map(|(worker, noted)| (placements_key(worker), record(&noted))).collect()
    }

    /// A worker that routes what its guests call speaks of a Service as only a gateway may, or one that was told of it.
    pub(crate) fn no_gateway(&self, worker: &WorkerName, service: &ObjectKey) {
        let refusal = Refusal::Service { worker: worker.clone(), service: service.clone() };
        self.state.lock().warnings.refused(worker, &refusal, now());
    }

    /// A worker says that it runs so many replicas that were not placed there.
    pub(crate) fn forged(&self, worker: &WorkerName, replicas: usize) {
        let refusal = Refusal::Forged { worker: worker.clone(), replicas };
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

/// Under which it is in the store what was placed on a worker.
pub(crate) fn placements_key(worker: &WorkerName) -> String {
    object_key(GROUP, noted::PLURAL, None, &worker.0)
}

/// What is written down of workers, by their names. What cannot be read is as if it were not there.
async fn records<T: DeserializeOwned>(store: &dyn Store, plural: &str) -> Result<Vec<(WorkerName, T)>, StoreError> {
    let prefix = object_key(GROUP, plural, None, "");
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&prefix, PAGE, after.as_deref()).await?;
        let read = page.items.iter().filter_map(|item| {
            Some((WorkerName(item.key[prefix.len()..].into()), serde_json::from_slice(&item.value).ok()?))
        });
        all.extend(read);
        after = page.items.last().map(|item| item.key.clone());
        if page.remaining == 0 {
            return Ok(all);
        }
    }
}
