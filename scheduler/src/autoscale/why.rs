use std::{fmt, time::Duration};

use super::{Metric, PolicyKind, TargetValue};

/// From which inputs a decision came, by which rule, and what limited it. Its display is one line of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// Who decided.
    pub policy: PolicyKind,
    /// What was known.
    pub inputs: Inputs,
    /// What each target's metric is, in the order of the targets.
    pub metrics: Vec<MetricValue>,
    /// By which rule.
    pub rule: Rule,
    /// What the rule alone would have.
    pub proposed: u32,
    /// What was recommended within a stabilisation window, where that is less of a change.
    pub stabilized: Option<u32>,
    /// What else limited it.
    pub limit: Limit,
    /// What was decided.
    pub desired: u32,
}

/// What was known when it was decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inputs {
    /// Replicas that were wanted until now.
    pub current: u32,
    /// Replicas that take requests.
    pub ready: u32,
    /// Requests that are being served.
    pub in_flight: u32,
    /// Requests that wait.
    pub queued: u32,
    /// Requests that arrived in a second.
    pub rate: f64,
    /// Requests that were here at a time.
    pub concurrency: f64,
    /// How long a request is worked on; `None`: none ended.
    pub service_time: Option<Duration>,
    /// Requests that a replica takes at a time.
    pub slots: u32,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricValue {
    /// What is measured.
    pub metric: Metric,
    /// What it is to be.
    pub target: TargetValue,
    /// What it is for each replica, in the metric's unit; `None`: that is not known.
    pub average: Option<f64>,
    /// Of CPU, where the target is one: the percentage of what is requested.
    pub utilization: Option<u32>,
}

/// By which rule it was decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Requests wait: what they need is started.
    Queue,
    /// As many slots as the offered load and a multiple of its square root.
    Staffing {
        /// The offered load: how many requests are served at a time.
        offered: f64,
        /// Slots that are to be there.
        slots: f64,
    },
    /// As many as hold a metric's target.
    Target(Metric),
    /// There was no request for so long.
    Idle(Duration),
    /// The average over Knative's stable window.
    Stable {
        /// Over that window.
        stable: f64,
        /// Of each replica.
        target: f64,
    },
    /// Load has doubled: the average over Knative's panic window, and never fewer than before.
    Panic {
        /// Over the panic window.
        panic: f64,
        /// Of each replica.
        target: f64,
    },
    /// The last replica stays for a while.
    LastReplica,
    /// It is not the time for the policy to decide.
    BetweenTicks,
    /// What would be needed for a decision is not known.
    NoData,
}

/// What limited a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Nothing.
    None,
    /// The autoscaler's maximum.
    Max,
    /// The autoscaler's minimum.
    Min,
    /// The policies of scaling up.
    ScaleUp,
    /// The policies of scaling down.
    ScaleDown,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}->{}: {}", self.policy, self.inputs.current, self.desired, self.rule)?;
        if self.proposed != self.desired {
            write!(f, " proposes {}", self.proposed)?;
        }
        if let Some(stabilized) = self.stabilized {
            write!(f, ", stabilized to {stabilized}")?;
        }
        match self.limit {
            Limit::None => {}
            Limit::Max => f.write_str(", limited by the maximum")?,
            Limit::Min => f.write_str(", limited by the minimum")?,
            Limit::ScaleUp => f.write_str(", limited by behavior.scaleUp")?,
            Limit::ScaleDown => f.write_str(", limited by behavior.scaleDown")?,
        }
        write!(f, " ({}", self.inputs)?;
        self.metrics.iter().try_for_each(|metric| write!(f, ", {metric}"))?;
        f.write_str(")")
    }
}

impl fmt::Display for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ready, in_flight, queued, rate, concurrency, slots, .. } = self;
        write!(f, "ready {ready}, in flight {in_flight}, queued {queued}, {rate:.1}/s, concurrency {concurrency:.2}")?;
        if let Some(time) = self.service_time {
            write!(f, ", service time {:.1}ms", time.as_secs_f64() * 1e3)?;
        }
        write!(f, ", {slots} at a time")
    }
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.metric.name())?;
        match (self.utilization, self.average) {
            (Some(percent), _) => write!(f, "{percent}%")?,
            (None, Some(average)) => write!(f, "{average:.3}")?,
            (None, None) => f.write_str("unknown")?,
        }
        match self.target {
            TargetValue::Average(target) => write!(f, " of {target}"),
            TargetValue::Utilization(percent) => write!(f, " of {percent}%"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue => f.write_str("requests wait"),
            Self::Staffing { offered, slots } => write!(f, "offered load {offered:.2} wants {slots:.2} slots"),
            Self::Target(metric) => write!(f, "target of {}", metric.name()),
            Self::Idle(span) => write!(f, "no request for {}", api::format_span(*span)),
            Self::Stable { stable, target } => write!(f, "stable window {stable:.3} at {target:.3} each"),
            Self::Panic { panic, target } => write!(f, "panic window {panic:.3} at {target:.3} each"),
            Self::LastReplica => f.write_str("the last replica stays"),
            Self::BetweenTicks => f.write_str("between ticks"),
            Self::NoData => f.write_str("not all that happened is known"),
        }
    }
}
