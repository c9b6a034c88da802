use std::{cmp::Reverse, collections::BTreeMap};

use api::{ReplicaId, Timestamp, WorkerName};

use super::victims;
use crate::{
    Settings,
    placement::{Class, Domains, View, candidates, unplaceable, unsuitable},
    state::{Replica, Worker},
};

/// Where room is made, and who goes for it. Nobody, where those that go anyway leave enough.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) worker: WorkerName,
    pub(super) victims: Vec<ReplicaId>,
}

/// What preemption on a worker costs; the least is chosen. As Kubernetes compares nodes: the highest priority among the
/// victims, the sum of their priorities, how many there are, and how long the oldest of the highest has been there.
type Cost = (Option<i32>, i64, usize, Reverse<Option<Timestamp>>);

/// The worker where making room for one of this class costs least, or why there is none.
pub(super) fn choose(
    class: &Class<'_>,
    view: View<'_>,
    domains: &Domains,
    replicas: &BTreeMap<ReplicaId, Replica>,
    settings: &Settings,
) -> Result<Choice, String> {
    let wanted = candidates(view.len(), settings);
    let mut refusals: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut best: Option<(Cost, &Worker, Vec<&Replica>)> = None;
    let mut found = 0;
    for worker in view.workers() {
        if unsuitable(class, worker, domains).is_some() {
            *refusals.entry("Preemption is not helpful for scheduling").or_default() += 1;
            continue;
        }
        let Some(victims) = victims::on(class, worker, replicas) else {
            *refusals.entry("No preemption victims found for incoming pod").or_default() += 1;
            continue;
        };
        let cost = cost(&victims);
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, worker, victims));
        }
        found += 1;
        if found == wanted {
            break;
        }
    }
    let chosen = best.map(|(_, worker, victims)| Choice {
        worker: worker.name.clone(),
        victims: victims.iter().map(|victim| victim.id.clone()).collect(),
    });
    chosen.ok_or_else(|| unplaceable(view.len(), &refusals))
}

/// Victims come in the order of what they matter.
fn cost(victims: &[&Replica]) -> Cost {
    // Counted from the lowest that there can be, so that more victims are never a smaller sum.
    let from_lowest = |victim: &&Replica| i64::from(victim.priority()) - i64::from(i32::MIN);
    let highest = victims.iter().map(|victim| victim.priority()).max();
    let oldest = victims.iter().filter(|victim| Some(victim.priority()) == highest).map(|victim| victim.created).min();
    (highest, victims.iter().map(from_lowest).sum(), victims.len(), Reverse(oldest))
}
