use api::TaintEffect;

use super::{Class, Domains};
use crate::{SpreadConstraint, Template, state::Worker};

/// Whether a worker may hold a replica of this class, and what is said of those that may not.
struct Filter {
    admits: fn(&Class<'_>, &Worker, &Domains) -> bool,
    otherwise: &'static str,
}

/// What a worker must be, whatever it holds. The first filter that refuses it gives the reason; then room does.
const FILTERS: [Filter; 6] = [
    Filter { admits: is_ready, otherwise: "node(s) were not ready" },
    Filter { admits: is_schedulable, otherwise: "node(s) were unschedulable" },
    Filter { admits: is_reached, otherwise: "node(s) had untolerated taint {node.kubernetes.io/network-unavailable}" },
    Filter { admits: tolerates, otherwise: "node(s) had untolerated taint(s)" },
    Filter { admits: has_labels, otherwise: "node(s) didn't match Pod's node affinity/selector" },
    Filter { admits: keeps_spread, otherwise: "node(s) didn't match pod topology spread constraints" },
];

/// Why this worker is refused, or `None` if it may hold the replica.
pub(super) fn refusal(class: &Class<'_>, worker: &Worker, domains: &Domains) -> Option<&'static str> {
    let template = class.template;
    unsuitable(class, worker, domains)
        .or_else(|| worker.load_for(template.priority.value).lacks(template.requests, &worker.capacity))
}

/// Why this worker would be refused with any room.
pub(crate) fn unsuitable(class: &Class<'_>, worker: &Worker, domains: &Domains) -> Option<&'static str> {
    FILTERS.iter().find(|filter| !(filter.admits)(class, worker, domains)).map(|filter| filter.otherwise)
}

/// Whether a worker may hold what takes no room: it is there, and nothing about it keeps the template away.
pub(super) fn suits_class(template: &Template, worker: &Worker) -> bool {
    let in_domain = |constraint: &SpreadConstraint| worker.labels.contains_key(&constraint.topology_key);
    worker.is_open()
        && worker.taints.iter().all(|taint| taint.effect == TaintEffect::PreferNoSchedule || template.tolerates(taint))
        && template.admits(&worker.labels)
        && template.spread.iter().filter(|constraint| constraint.required).all(in_domain)
}

fn is_ready(_: &Class<'_>, worker: &Worker, _: &Domains) -> bool {
    worker.ready
}

fn is_schedulable(_: &Class<'_>, worker: &Worker, _: &Domains) -> bool {
    !worker.cordoned && !worker.leaving
}

fn is_reached(class: &Class<'_>, worker: &Worker, _: &Domains) -> bool {
    worker.is_reached_by(class.template)
}

fn tolerates(class: &Class<'_>, worker: &Worker, _: &Domains) -> bool {
    worker.taints.iter().all(|taint| taint.effect == TaintEffect::PreferNoSchedule || class.template.tolerates(taint))
}

fn has_labels(class: &Class<'_>, worker: &Worker, _: &Domains) -> bool {
    class.template.admits(&worker.labels)
}

fn keeps_spread(class: &Class<'_>, worker: &Worker, domains: &Domains) -> bool {
    let mut required = class.template.spread.iter().enumerate().filter(|(_, constraint)| constraint.required);
    required.all(|(index, constraint)| {
        domains.skew_with(index, constraint, worker).is_some_and(|skew| skew <= constraint.max_skew)
    })
}
