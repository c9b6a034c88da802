//! Ours: start what requests need as they come; hold, for those that come next, the offered load and its square root.
//!
//! A replica starts in about a millisecond, so that what waits is not predicted but answered: requests that wait are
//! counted, and the replicas that hold them are started at once. Besides, `N = R + beta * sqrt(R)` slots stay, where `R` is
//! the offered load (arrival rate times service time): with that many, few requests have to wait at all (S. Halfin, W. Whitt,
//! "Heavy-Traffic Limits for Queues with Many Exponential Servers", Operations Research 29(3), 1981). Scaling down is for
//! ticks alone, and only where all gateways have told what they measured.

use std::time::Duration;

use api::Timestamp;

use super::{
    Decision, Policy, Rule, View,
    behavior::Own,
    policy::Proposal,
    targets::{Measured, Rates},
};

/// How many square roots of the offered load stay beside it. A request then finds no free slot about once in five times, and
/// waits for a start; with two square roots it is once in 40 times, which costs more than those starts do (`bench/`, Replay).
const BETA: f64 = 1.0;
/// The offered load is an average over this time.
const WINDOW: Duration = Duration::from_secs(10);
/// A load that has risen is seen in this time.
const SHORT: Duration = Duration::from_secs(1);
/// While there is something to scale down, it is looked at so often.
const TICK: Duration = Duration::from_millis(500);
/// Fewer replicas have to be enough for so long.
const DOWN_WINDOW: Duration = Duration::from_secs(1);
/// A metric may be below its target by this share before there are fewer replicas.
const TOLERANCE: f64 = 0.1;

pub(super) struct SqrtStaffing;

impl super::Autoscaler {
    /// Without another, after this time without a request there are no replicas.
    pub const DEFAULT_IDLE_AFTER: Duration = Duration::from_millis(300);
}

impl Policy for SqrtStaffing {
    fn decide(&self, now: Timestamp, view: &View<'_>) -> Decision {
        let (long, short) = (Rates::over(view, WINDOW, now), Rates::over(view, SHORT, now));
        let measured: Vec<Measured> = view
            .autoscaler
            .targets
            .iter()
            .map(|target| Measured::of(view, *target, &long, view.covered_since.is_some()))
            .collect();
        let inputs = long.inputs(view);
        let metrics = measured.iter().map(|measured| measured.value(view)).collect();
        let idle_after = view.autoscaler.idle_after.unwrap_or(super::Autoscaler::DEFAULT_IDLE_AFTER);
        let idle = idle_since(view, now).map(|since| now.since(since));
        let (replicas, rule) = match idle {
            Some(idle) if idle >= idle_after && view.covers(idle_after, now) => (0, Rule::Idle(idle_after)),
            _ => needed(view, &measured, &long, &short, now),
        };
        let down_window = if replicas == 0 { Duration::ZERO } else { DOWN_WINDOW };
        let own = Own { down_window, up_limit: |_| u32::MAX };
        Proposal { replicas, rule, inputs, metrics, tick: None }.settle(view, now, own, |desired| {
            let resting = idle.is_some() && desired <= view.autoscaler.min;
            let idle_at = idle.and_then(|idle| idle_after.checked_sub(idle)).filter(|left| !left.is_zero());
            (!resting).then(|| now + idle_at.map_or(TICK, |left| left.min(TICK)))
        })
    }
}

/// Since when there is no request; `None`: there is one.
fn idle_since(view: &View<'_>, now: Timestamp) -> Option<Timestamp> {
    if view.traffic.demand() > 0 {
        return None;
    }
    let since = view.traffic.busy_until(now).max(view.memory.awake_since());
    Some(since.unwrap_or(if view.desired > 0 { now } else { Timestamp::default() }))
}

/// Replicas that are needed for what there is.
fn needed(view: &View<'_>, measured: &[Measured], long: &Rates, short: &Rates, now: Timestamp) -> (u32, Rule) {
    let demand = (f64::from(view.traffic.demand()) / view.slots()).ceil() as u32;
    let mut most = (demand, Rule::Queue);
    let mut consider = |replicas: u32, rule: Rule| {
        if replicas > most.0 {
            most = (replicas, rule);
        }
    };
    // Nobody is there: what came a while ago is no reason to start anything.
    let awake = view.desired > 0 || demand > 0;
    if measured.is_empty() && awake {
        let (slots, rule) = staffing(view, long, short);
        consider((slots / view.slots()).ceil() as u32, rule);
    }
    for one in measured.iter().filter(|_| awake) {
        let Some(each) = one.each.filter(|each| *each > 0.0) else { continue };
        let total = match one.target.metric {
            super::Metric::Cpu => one.total,
            metric => long.of(metric).map(|long| long.max(surely(metric, short))),
        };
        let Some(wanted) = total.map(|total| total / each) else { continue };
        let current = f64::from(view.desired);
        let within = wanted <= current && wanted >= current * (1.0 - TOLERANCE);
        consider(if within { view.desired } else { wanted.ceil() as u32 }, Rule::Target(one.target.metric));
    }
    let known = view.covers(WINDOW, now) && measured.iter().all(|one| one.total.is_some());
    let least = if known { view.desired.min(1) } else { view.desired };
    if most.0 < least { (least, if known { Rule::LastReplica } else { Rule::NoData }) } else { most }
}

/// Slots for the offered load. Where requests take longer than the windows, rate times service time tells of requests that
/// will not all be here at once: of those there are never more than there were, or are now.
fn staffing(view: &View<'_>, long: &Rates, short: &Rates) -> (f64, Rule) {
    let service = long.totals.service_time().unwrap_or_default().as_secs_f64();
    let offered = (long.arrivals() * service).max(surely(super::Metric::RequestsPerSecond, short) * service);
    let offered = offered.min(long.concurrency().max(f64::from(view.traffic.demand())));
    let slots = offered + BETA * offered.sqrt();
    (slots, Rule::Staffing { offered, slots })
}

/// What has surely risen, and is not just chance: the measured value less two standard deviations of the requests that it is
/// made from.
fn surely(metric: super::Metric, short: &Rates) -> f64 {
    let requests = short.totals.arrivals as f64;
    if requests <= 4.0 {
        return 0.0;
    }
    short.of(metric).unwrap_or_default() * (1.0 - 2.0 / requests.sqrt())
}
