//! Knative's autoscaler, as of knative/serving 1.22 (`pkg/autoscaler/scaling/autoscaler.go`, `pkg/reconciler/autoscaling/kpa`),
//! with the defaults of its `config-autoscaler`.
//!
//! What is measured there by sidecars each second is measured here by gateways, and where all replicas are gone it tells of a
//! waiting request at once, as Knative's activator does. A number that is zero is applied within the tick; there it takes up
//! to 3 s more.

use std::time::Duration;

use api::Timestamp;

use super::{
    Decision, Metric, Policy, Rule, Target, TargetValue, View,
    behavior::Own,
    memory::{Panic, Tick},
    policy::Proposal,
    targets::{Measured, Rates},
};

const TICK: Duration = Duration::from_secs(2);
const STABLE_WINDOW: Duration = Duration::from_secs(60);
/// 10 % of the stable one.
const PANIC_WINDOW: Duration = Duration::from_secs(6);
const PANIC_THRESHOLD: f64 = 2.0;
const MAX_SCALE_UP_RATE: f64 = 1000.0;
const MAX_SCALE_DOWN_RATE: f64 = 2.0;
const TARGET_UTILIZATION: f64 = 0.7;
const TARGET_MIN: f64 = 0.01;
const TARGET_BURST_CAPACITY: f64 = 211.0;
const SCALE_TO_ZERO_GRACE: Duration = Duration::from_secs(30);
/// Averages are made of buckets of this length.
const BUCKET: Duration = Duration::from_secs(1);

pub(super) struct Kpa;

impl Policy for Kpa {
    fn decide(&self, now: Timestamp, view: &View<'_>) -> Decision {
        let target = target(view);
        let stable = averages(view, STABLE_WINDOW, now);
        let measured = Measured::of(view, target, &stable, view.covered_since.is_some());
        let inputs = stable.inputs(view);
        let metrics = view.autoscaler.targets.iter().map(|wanted| match *wanted == target {
            true => measured.value(view),
            false => Measured { target: *wanted, total: None, each: None }.value(view),
        });
        let hold = Proposal {
            replicas: view.desired,
            rule: Rule::BetweenTicks,
            inputs,
            metrics: metrics.collect(),
            tick: None,
        };
        let due = view.memory.next_tick(TICK).filter(|due| view.desired > 0 && now < *due);
        if due.is_some() {
            return hold.hold(view, due);
        }
        if view.covered_since.is_none() {
            return Proposal { rule: Rule::NoData, ..hold }.hold(view, Some(now + TICK));
        }
        let mut scaled = scale(view, target, &stable, now);
        to_zero(view, &mut scaled, now);
        let quiet = scaled.tick.panic.is_none() && scaled.stable == 0.0 && view.traffic.demand() == 0;
        let proposal = Proposal { replicas: scaled.replicas, rule: scaled.rule, tick: Some(scaled.tick), ..hold };
        let own = Own { down_window: Duration::ZERO, up_limit: |_| u32::MAX };
        proposal.settle(view, now, own, |desired| (!quiet || desired > view.autoscaler.min).then(|| now + TICK))
    }
}

/// Knative scales by one metric: the first of the targets that it knows, else the concurrency that a replica takes.
fn target(view: &View<'_>) -> Target {
    let known = view.autoscaler.targets.iter().find(|target| target.metric != Metric::Cpu);
    let default = Target { metric: Metric::Concurrency, value: TargetValue::Average(view.slots()) };
    known.copied().unwrap_or(default)
}

/// Averages since traffic began, or since it is known, within the window.
fn averages(view: &View<'_>, window: Duration, now: Timestamp) -> Rates {
    let since = view.traffic.began().max(view.covered_since).unwrap_or_default();
    Rates::over(view, now.since(since).clamp(BUCKET, window), now)
}

struct Scaled {
    replicas: u32,
    rule: Rule,
    stable: f64,
    tick: Tick,
}

fn scale(view: &View<'_>, target: Target, stable: &Rates, now: Timestamp) -> Scaled {
    let panic = averages(view, PANIC_WINDOW, now);
    // The activator tells of requests that wait for a first replica as they come.
    let poke = if view.ready == 0 { f64::from(view.traffic.demand()) } else { 0.0 };
    let observe = |rates: &Rates| round(rates.of(target.metric).unwrap_or_default()).max(poke);
    let (stable, panic) = (observe(stable), observe(&panic));
    let total = match target.value {
        TargetValue::Average(value) if target.metric == Metric::Concurrency => value.min(view.slots()),
        TargetValue::Average(value) => value,
        TargetValue::Utilization(_) => view.slots(),
    };
    let each = (total * TARGET_UTILIZATION).max(TARGET_MIN);
    let ready = f64::from(view.ready.max(1));
    let (most, least) = ((MAX_SCALE_UP_RATE * ready).ceil(), (ready / MAX_SCALE_DOWN_RATE).floor());
    let wanted = |observed: f64| (observed / each).ceil().max(least).min(most) as u32;
    let over = (panic / each).ceil() / ready >= PANIC_THRESHOLD;
    let mode = panicking(view, over, now);
    let mut replicas = wanted(stable);
    let mut rule = Rule::Stable { stable, target: each };
    let panic_mode = mode.map(|mode| {
        let most = mode.most.max(replicas).max(wanted(panic));
        replicas = most;
        rule = Rule::Panic { panic, target: each };
        Panic { most, ..mode }
    });
    let excess = (f64::from(view.ready) * total - TARGET_BURST_CAPACITY - panic).floor();
    let burst_short_since = (excess < 0.0).then(|| view.memory.burst_short_since.unwrap_or(now));
    Scaled { replicas, rule, stable, tick: Tick { panic: panic_mode, burst_short_since } }
}

/// Panic begins above the threshold, and ends a stable window after it was last crossed. Where nothing was decided before,
/// several replicas are a reason to begin with it, so that none is stopped before enough is known.
fn panicking(view: &View<'_>, over: bool, now: Timestamp) -> Option<Panic> {
    let first = view.memory.next_tick(TICK).is_none() && view.ready > 1;
    let before = view.memory.panic.or(first.then_some(Panic { last: now, most: view.ready }));
    match before {
        None => over.then_some(Panic { last: now, most: 0 }),
        Some(panic) if over => Some(Panic { last: now, ..panic }),
        Some(panic) => (panic.last + STABLE_WINDOW >= now).then_some(panic),
    }
}

/// The last replica goes only when it has been there for a stable window, and requests have gone through the activator for the
/// grace period: there they do while replicas cannot take the target burst.
fn to_zero(view: &View<'_>, scaled: &mut Scaled, now: Timestamp) {
    let idle = view.traffic.busy_until(now).map_or(STABLE_WINDOW, |until| now.since(until));
    let resting = view.traffic.demand() == 0;
    if let Some(idle_after) = view.autoscaler.idle_after.filter(|_| resting) {
        if idle >= idle_after && view.covers(idle_after, now) {
            // Also where there are none: what came before is in the stable window still, and is no reason to start one.
            (scaled.replicas, scaled.rule) = (0, Rule::Idle(idle_after));
            scaled.tick.panic = None;
        } else if scaled.replicas == 0 {
            (scaled.replicas, scaled.rule) = (view.desired.min(1), Rule::LastReplica);
        }
        return;
    }
    if scaled.replicas > 0 || view.desired == 0 {
        return;
    }
    let active = view.memory.awake_since().is_some_and(|since| now.since(since) >= STABLE_WINDOW);
    let through_activator = scaled.tick.burst_short_since.is_some_and(|since| now.since(since) >= SCALE_TO_ZERO_GRACE);
    if !active || !through_activator {
        (scaled.replicas, scaled.rule) = (view.desired.min(1), Rule::LastReplica);
    }
}

/// To six digits, as Knative's averages are.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
