use std::{cmp::Reverse, collections::BTreeMap};

use api::ReplicaId;

use crate::{
    placement::Class,
    state::{Load, Replica, Worker},
};

/// Who would have to leave a worker so that one of this class fits, once everything that is being stopped there has ended.
/// `None`: it would not fit even if all that may be preempted went.
///
/// As in Kubernetes all of lower priority are taken away at first, and then as many are spared as there is room for: those
/// that matter most before others, then those that serve, then the oldest. Unlike there, a Deployment whose new version
/// matters more does not stop its own old one, which serves until the new one does.
pub(super) fn on<'a>(
    class: &Class<'_>,
    worker: &Worker,
    replicas: &'a BTreeMap<ReplicaId, Replica>,
) -> Option<Vec<&'a Replica>> {
    let mut load = to_come(class, worker, replicas);
    let may_go = |held: &&Replica| held.priority() < class.priority() && held.group != *class.group;
    let mut lower: Vec<&Replica> = staying(worker, replicas).filter(may_go).collect();
    lower.iter().for_each(|victim| load.remove(victim.template.requests));
    let fits = |load: &Load| load.lacks(class.template.requests, &worker.capacity).is_none();
    if !fits(&load) {
        return None;
    }
    lower.sort_by_key(|held| (Reverse(held.priority()), !held.is_ready(), held.created, &held.id));
    lower.retain(|held| {
        let mut with_it = load;
        with_it.add(held.template.requests);
        let spared = fits(&with_it);
        if spared {
            load = with_it;
        }
        !spared
    });
    Some(lower)
}

/// Whether one of this class fits once everything that is being stopped there has ended.
pub(super) fn will_fit(class: &Class<'_>, worker: &Worker, replicas: &BTreeMap<ReplicaId, Replica>) -> bool {
    to_come(class, worker, replicas).lacks(class.template.requests, &worker.capacity).is_none()
}

/// What will be taken of a worker, as this class sees it, once everything that is being stopped there has ended.
fn to_come(class: &Class<'_>, worker: &Worker, replicas: &BTreeMap<ReplicaId, Replica>) -> Load {
    let mut load = worker.load_for(class.priority());
    worker.leftovers.values().for_each(|held| load.remove(*held));
    let owned = worker.replicas.iter().filter_map(|id| replicas.get(id));
    owned.filter(|held| held.is_stopping()).for_each(|held| load.remove(held.template.requests));
    load
}

fn staying<'a>(worker: &Worker, replicas: &'a BTreeMap<ReplicaId, Replica>) -> impl Iterator<Item = &'a Replica> {
    let owned = worker.replicas.iter().filter_map(|id| replicas.get(id));
    owned.filter(|held| !held.is_stopping())
}
