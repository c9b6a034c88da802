//! Placement: first filters say where a replica may run, then scores say where it is best. Each is a plain function of
//! the replica's class and a worker, listed once.

mod apply;
mod domains;
mod filters;
mod sampling;
mod scores;
mod standby;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use api::{Digest, ObjectKey, WorkerName};

use crate::{
    Settings, Template,
    state::{Worker, Workers},
};

pub(crate) use apply::Room;
pub(crate) use domains::Domains;
pub(crate) use filters::unsuitable;
pub(crate) use sampling::candidates;
pub(crate) use standby::{place_standby, suits_standby};

/// What placement asks of a replica. Replicas of one revision are one class: what holds for one holds for all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Class<'a> {
    pub(crate) template: &'a Template,
    pub(crate) digest: &'a Digest,
    /// What it is spread together with.
    pub(crate) group: &'a ObjectKey,
    /// How many replicas the group wants.
    pub(crate) desired: u32,
}

impl Class<'_> {
    pub(crate) fn priority(&self) -> i32 {
        self.template.priority.value
    }
}

/// Where a replica may be placed.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) workers: &'a Workers,
    /// These alone; `None`: all.
    pub(crate) only: Option<&'a [WorkerName]>,
    /// The position at which looking begins; it goes round.
    pub(crate) first: usize,
}

impl<'a> View<'a> {
    pub(crate) fn len(&self) -> usize {
        self.only.map_or(self.workers.len(), <[_]>::len)
    }

    /// Each of them once.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &'a Worker> + use<'a> {
        let workers = self.workers;
        let all = self.only.is_none().then(|| workers.from(self.first));
        let some = self.only.map(|names| {
            let (before, after) = names.split_at(self.first.min(names.len()));
            after.iter().chain(before).filter_map(|name| workers.get(name))
        });
        all.into_iter().flatten().chain(some.into_iter().flatten())
    }
}

/// The best worker for a replica of this class, or why there is none.
pub(crate) fn place(
    class: &Class<'_>,
    view: View<'_>,
    domains: &Domains,
    settings: &Settings,
) -> Result<WorkerName, String> {
    let wanted = candidates(view.len(), settings);
    let mut refusals: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut best: Option<(f64, &WorkerName)> = None;
    let mut found = 0;
    for worker in view.workers() {
        match filters::refusal(class, worker, domains) {
            Some(reason) => *refusals.entry(reason).or_default() += 1,
            None => {
                let score = scores::score(class, worker, domains, settings);
                if best.is_none_or(|(highest, _)| score > highest) {
                    best = Some((score, &worker.name));
                }
                found += 1;
                if found == wanted {
                    break;
                }
            }
        }
    }
    best.map(|(_, name)| name.clone()).ok_or_else(|| unplaceable(view.len(), &refusals))
}

/// As Kubernetes says it, the most frequent reason first.
pub(crate) fn unplaceable(workers: usize, refusals: &BTreeMap<&'static str, usize>) -> String {
    if workers == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut reasons: Vec<_> = refusals.iter().map(|(reason, count)| (*count, *reason)).collect();
    reasons.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let reasons: Vec<_> = reasons.iter().map(|(count, reason)| format!("{count} {reason}")).collect();
    format!("0/{workers} nodes are available: {}.", reasons.join(", "))
}
