//! How fast it may go: `behavior` of a HorizontalPodAutoscaler, as Kubernetes' controller applies it
//! (`pkg/controller/podautoscaler/horizontal.go`), for all policies.

use std::time::Duration;

use api::Timestamp;

use super::{Behavior, Limit, RulePolicy, Rules, Select, View};

/// What a policy does where `behavior` says nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    /// The stabilisation window of scaling down.
    pub(super) down_window: Duration,
    /// The most replicas that there may be next, of so many, where there is no `behavior` at all.
    pub(super) up_limit: fn(u32) -> u32,
}

/// What may be done of what was recommended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settled {
    pub(super) desired: u32,
    pub(super) stabilized: Option<u32>,
    pub(super) limit: Limit,
    pub(super) keep_recommendations: Duration,
    pub(super) keep_changes: Duration,
}

/// Stabilises, and applies the policies and the bounds.
pub(super) fn settle(view: &View<'_>, now: Timestamp, recommended: u32, own: Own) -> Settled {
    let behavior = view.autoscaler.behavior.as_ref();
    let up = behavior.and_then(|behavior| behavior.scale_up.as_ref());
    let down = behavior.and_then(|behavior| behavior.scale_down.as_ref());
    let up_window = up.and_then(|rules| rules.stabilization).unwrap_or_default();
    let down_window = down.and_then(|rules| rules.stabilization).unwrap_or(own.down_window);
    let stable = stabilize(view, now, recommended, (up_window, down_window));
    let (desired, limit) = bound(view, now, stable, own);
    Settled {
        desired,
        stabilized: (stable != recommended).then_some(stable),
        limit,
        keep_recommendations: up_window.max(down_window),
        keep_changes: [up, down].into_iter().flatten().map(longest_period).max().unwrap_or_default(),
    }
}

/// As little change as was recommended within each direction's window.
fn stabilize(view: &View<'_>, now: Timestamp, recommended: u32, (up, down): (Duration, Duration)) -> u32 {
    let first = view.memory.is_blank().then_some(view.desired);
    let least = view.memory.recommended(up, now).chain(first.filter(|_| !up.is_zero())).fold(recommended, u32::min);
    let most = view.memory.recommended(down, now).chain(first.filter(|_| !down.is_zero())).fold(recommended, u32::max);
    view.desired.max(least).min(most)
}

fn bound(view: &View<'_>, now: Timestamp, stable: u32, own: Own) -> (u32, Limit) {
    let (autoscaler, current) = (view.autoscaler, view.desired);
    let (min, max) = (autoscaler.min, autoscaler.max.max(autoscaler.min));
    let behavior = autoscaler.behavior.as_ref();
    // Outside of the bounds there is nothing to weigh.
    if current > max || current < min {
        let limit = if current > max { Limit::Max } else { Limit::Min };
        return (current.clamp(min, max), limit);
    }
    if stable > current {
        let allowed = up_limit(view, now, behavior, own).max(current);
        let (allowed, limit) = if max > allowed { (allowed, Limit::ScaleUp) } else { (max, Limit::Max) };
        if stable > allowed {
            return (allowed, limit);
        }
    } else if stable < current {
        let rules = behavior.and_then(|behavior| behavior.scale_down.as_ref());
        let allowed = rules.map_or(0, |rules| down_limit(view, now, rules)).min(current);
        let (allowed, limit) = if min < allowed { (allowed, Limit::ScaleDown) } else { (min, Limit::Min) };
        if stable < allowed {
            return (allowed, limit);
        }
    } else if stable < min {
        return (min, Limit::Min);
    }
    (stable, Limit::None)
}

fn up_limit(view: &View<'_>, now: Timestamp, behavior: Option<&Behavior>, own: Own) -> u32 {
    let Some(behavior) = behavior else { return (own.up_limit)(view.desired) };
    let Some(rules) = &behavior.scale_up else { return u32::MAX };
    let proposals = rules.policies.as_ref().map(|policies| {
        policies.iter().map(|policy| {
            let before = before(view, now, policy.period());
            match *policy {
                RulePolicy::Pods { pods, .. } => before.saturating_add(i64::from(pods)),
                // Rounded up, or few replicas would never become more.
                RulePolicy::Percent { percent, .. } => {
                    (before as f64 * (1.0 + f64::from(percent) / 100.0)).ceil() as i64
                }
            }
        })
    });
    let allowed = match (rules.select, proposals) {
        (Select::Disabled, _) => Some(i64::from(view.desired)),
        (_, None) => None,
        (Select::Max, Some(proposals)) => proposals.max(),
        (Select::Min, Some(proposals)) => proposals.min(),
    };
    allowed.map_or(u32::MAX, |allowed| u32::try_from(allowed.max(0)).unwrap_or(u32::MAX))
}

fn down_limit(view: &View<'_>, now: Timestamp, rules: &Rules) -> u32 {
    let proposals = rules.policies.as_ref().map(|policies| {
        policies.iter().map(|policy| {
            let before = before(view, now, policy.period());
            match *policy {
                RulePolicy::Pods { pods, .. } => before - i64::from(pods),
                RulePolicy::Percent { percent, .. } => (before as f64 * (1.0 - f64::from(percent) / 100.0)) as i64,
            }
        })
    });
    let allowed = match (rules.select, proposals) {
        (Select::Disabled, _) => Some(i64::from(view.desired)),
        (_, None) => None,
        // The greatest change leaves the fewest.
        (Select::Max, Some(proposals)) => proposals.min(),
        (Select::Min, Some(proposals)) => proposals.max(),
    };
    allowed.map_or(0, |allowed| u32::try_from(allowed.max(0)).unwrap_or(u32::MAX))
}

/// How many replicas there were as a period began.
fn before(view: &View<'_>, now: Timestamp, period: Duration) -> i64 {
    let (more, fewer) = view.memory.changed(period, now);
    i64::from(view.desired) - i64::from(more) + i64::from(fewer)
}

fn longest_period(rules: &Rules) -> Duration {
    rules.policies.iter().flatten().map(|policy| policy.period()).max().unwrap_or_default()
}
