use api::TaintEffect;

use super::{Class, Domains};
use crate::{Settings, state::Worker};

/// What speaks for a worker (above zero) or against it.
type Score = fn(&Class<'_>, &Worker, &Domains, &Settings) -> f64;

/// All scores; their sum decides.
const SCORES: [Score; 5] = [packing, spreading, preferred_spread, image_locality, taints_to_avoid];

pub(super) fn score(class: &Class<'_>, worker: &Worker, domains: &Domains, settings: &Settings) -> f64 {
    SCORES.iter().map(|score| score(class, worker, domains, settings)).sum()
}

/// BestFit-v3 as in Nomad and Google's study of it: 0 for an empty worker, 1 for a full one.
fn packing(class: &Class<'_>, worker: &Worker, _: &Domains, _: &Settings) -> f64 {
    const HIGHEST: f64 = 18.0;
    let requests = class.template.requests;
    let free_cpu = free_share(worker.reserved.cpu_millis + requests.cpu_millis, worker.capacity.cpu_millis);
    let free_memory = free_share(worker.reserved.memory_bytes + requests.memory_bytes, worker.capacity.memory_bytes);
    let fit = 20.0 - (power_of_ten(free_cpu) + power_of_ten(free_memory));
    fit.clamp(0.0, HIGHEST) / HIGHEST
}

/// Faster than `powf`, of which placing at thousands of workers does millions.
fn power_of_ten(exponent: f64) -> f64 {
    (exponent * std::f64::consts::LN_10).exp()
}

fn free_share(used: u64, capacity: u64) -> f64 {
    if capacity == 0 { 0.0 } else { 1.0 - (used as f64 / capacity as f64).min(1.0) }
}

/// Replicas of one Deployment should not go down together.
fn spreading(class: &Class<'_>, worker: &Worker, _: &Domains, _: &Settings) -> f64 {
    -f64::from(worker.of_group(class.group)) / f64::from(class.desired.max(1))
}

fn preferred_spread(class: &Class<'_>, worker: &Worker, domains: &Domains, settings: &Settings) -> f64 {
    let preferred = class.template.spread.iter().enumerate().filter(|(_, constraint)| !constraint.required);
    let skews = preferred.map(|(index, constraint)| {
        // A worker outside of all domains is as bad as one that is ahead by the whole skew.
        let skew = domains.skew_with(index, constraint, worker).unwrap_or(constraint.max_skew + 1);
        f64::from(skew.saturating_sub(1)) / f64::from(constraint.max_skew.max(1))
    });
    -settings.preferred_spread_weight * skews.sum::<f64>()
}

/// Where the component is compiled, a replica starts in no time.
fn image_locality(class: &Class<'_>, worker: &Worker, _: &Domains, settings: &Settings) -> f64 {
    if worker.cached.contains(class.digest) { settings.cached_bonus } else { 0.0 }
}

/// A worker that would rather not is taken when nothing else is as good.
fn taints_to_avoid(class: &Class<'_>, worker: &Worker, _: &Domains, _: &Settings) -> f64 {
    let avoided = worker.taints.iter().filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
    -(avoided.filter(|taint| !class.template.tolerates(taint)).count() as f64) * AVOIDED
}

/// More than everything else together may speak for a worker.
const AVOIDED: f64 = 10.0;
