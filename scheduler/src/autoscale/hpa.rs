//! Kubernetes' HorizontalPodAutoscaler, as of 1.35 (`pkg/controller/podautoscaler`), with the defaults of its controller.
//!
//! Its metrics are averages over the last sync period. Two things are ours, for it knows neither: where there are no replicas
//! and `min` is 0, a request that waits wakes the first; and without targets it holds 70 % of what replicas take at a time.

use std::time::Duration;

use api::Timestamp;

use super::{
    Decision, Metric, Policy, Rule, Target, TargetValue, View,
    behavior::Own,
    memory::Tick,
    policy::Proposal,
    targets::{Measured, Rates},
};

const SYNC: Duration = Duration::from_secs(15);
const TOLERANCE: f64 = 0.1;
const DOWN_WINDOW: Duration = Duration::from_secs(300);
const DEFAULT_UTILIZATION: f64 = 0.7;

pub(super) struct Hpa;

impl Policy for Hpa {
    fn decide(&self, now: Timestamp, view: &View<'_>) -> Decision {
        let rates = Rates::over(view, SYNC, now);
        let reported = view.covers(SYNC, now);
        let measured: Vec<_> =
            targets(view).iter().map(|target| Measured::of(view, *target, &rates, reported)).collect();
        let listed = &measured[..view.autoscaler.targets.len()];
        let metrics = listed.iter().map(|measured| measured.value(view)).collect();
        let inputs = rates.inputs(view);
        let hold = Proposal { replicas: view.desired, rule: Rule::BetweenTicks, inputs, metrics, tick: None };
        let own = Own { down_window: DOWN_WINDOW, up_limit: |current| current.saturating_mul(2).max(4) };
        let woken = view.desired == 0 && view.traffic.demand() > 0;
        let due = view.memory.next_tick(SYNC).filter(|due| now < *due);
        if let Some(due) = due {
            if woken {
                return Proposal { replicas: 1, rule: Rule::Queue, ..hold }.settle(view, now, own, |_| Some(due));
            }
            return hold.hold(view, Some(due));
        }
        let hold = Proposal { tick: Some(Tick::default()), ..hold };
        let Some((replicas, rule)) = proposal(view, &measured) else {
            if woken {
                return Proposal { replicas: 1, rule: Rule::Queue, ..hold }
                    .settle(view, now, own, |_| Some(now + SYNC));
            }
            return Proposal { rule: Rule::NoData, ..hold }.hold(view, Some(now + SYNC));
        };
        let (replicas, rule) = if woken && replicas == 0 { (1, Rule::Queue) } else { (replicas, rule) };
        let quiet = rates.totals == Default::default() && view.traffic.demand() == 0 && !view.autoscaler.follows_cpu();
        Proposal { replicas, rule, ..hold }
            .settle(view, now, own, |desired| (!quiet || desired > view.autoscaler.min).then(|| now + SYNC))
    }
}

fn targets(view: &View<'_>) -> Vec<Target> {
    if view.autoscaler.targets.is_empty() {
        let value = TargetValue::Average(view.slots() * DEFAULT_UTILIZATION);
        return vec![Target { metric: Metric::Concurrency, value }];
    }
    view.autoscaler.targets.clone()
}

/// The most that any metric wants; `None`: not enough is known.
fn proposal(view: &View<'_>, measured: &[Measured]) -> Option<(u32, Rule)> {
    let each = measured.iter().filter_map(|one| Some((one.target.metric, replicas(view, one)?)));
    let each: Vec<(Metric, u32)> = each.collect();
    let (metric, most) = each.iter().copied().max_by_key(|(_, replicas)| *replicas)?;
    // What is not known could be a reason against fewer.
    (each.len() == measured.len() || most >= view.desired).then_some((most, Rule::Target(metric)))
}

/// What one metric wants; `None`: it is not known.
fn replicas(view: &View<'_>, measured: &Measured) -> Option<u32> {
    let (total, each) = (measured.total?, measured.each.filter(|each| *each > 0.0)?);
    let current = view.desired;
    if current == 0 {
        return measured.replicas();
    }
    if view.ready == 0 {
        return None;
    }
    let rules = view.autoscaler.behavior.as_ref();
    let tolerance = |rules: Option<&super::Rules>| rules.and_then(|rules| rules.tolerance).unwrap_or(TOLERANCE);
    let up = tolerance(rules.and_then(|behavior| behavior.scale_up.as_ref()));
    let down = tolerance(rules.and_then(|behavior| behavior.scale_down.as_ref()));
    let within = |ratio: f64| (1.0 - down..=1.0 + up).contains(&ratio);
    let (known, missing) = known(view, measured);
    let ratio = total_of(view, measured, total) / (each * f64::from(known));
    let starting = current.saturating_sub(view.ready);
    if missing == 0 && (starting == 0 || ratio <= 1.0) {
        if within(ratio) {
            return Some(current);
        }
        return Some((ratio * f64::from(view.ready)).ceil() as u32);
    }
    // Those that are not known use nothing where there are to be more, and all of their target where there are to be fewer;
    // those that start use nothing.
    let added = if ratio < 1.0 { f64::from(missing) * each } else { 0.0 };
    let count = known + missing + if ratio > 1.0 { starting } else { 0 };
    let corrected = (total_of(view, measured, total) + added) / (each * f64::from(count));
    if within(corrected) || (ratio < 1.0 && corrected > 1.0) || (ratio > 1.0 && corrected < 1.0) {
        return Some(current);
    }
    let wanted = (corrected * f64::from(count)).ceil() as u32;
    let turned = (corrected < 1.0 && wanted > current) || (corrected > 1.0 && wanted < current);
    Some(if turned { current } else { wanted })
}

/// Ready replicas of which the metric is known, and of which it is not.
fn known(view: &View<'_>, measured: &Measured) -> (u32, u32) {
    match (measured.target.metric, &view.cpu) {
        (Metric::Cpu, Some(cpu)) => {
            let known = u32::try_from(cpu.cores.len()).unwrap_or(u32::MAX).clamp(1, view.ready);
            (known, view.ready - known)
        }
        _ => (view.ready, 0),
    }
}

/// The sum over those of which it is known.
fn total_of(view: &View<'_>, measured: &Measured, total: f64) -> f64 {
    match (measured.target.metric, &view.cpu) {
        (Metric::Cpu, Some(cpu)) => cpu.cores.iter().sum(),
        _ => total,
    }
}
