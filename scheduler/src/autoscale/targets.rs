//! Metrics beside their targets.

use std::time::Duration;

use api::Timestamp;

use super::{Inputs, Metric, MetricValue, Target, TargetValue, View, traffic::Totals};

/// A target, and what is measured of all replicas together, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) target: Target,
    /// `None`: that is not known.
    pub(super) total: Option<f64>,
    /// What it is to be for each replica, in the metric's unit; `None`: that cannot be said.
    pub(super) each: Option<f64>,
}

/// What happened in a `span` before now, for each second of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) totals: Totals,
    pub(super) span: Duration,
}

impl Rates {
    pub(super) fn over(view: &View<'_>, span: Duration, now: Timestamp) -> Self {
        Self { totals: view.traffic.totals(span, now), span }
    }

    pub(super) fn arrivals(&self) -> f64 {
        self.totals.arrivals as f64 / self.span.as_secs_f64()
    }

    pub(super) fn concurrency(&self) -> f64 {
        self.totals.presence.as_secs_f64() / self.span.as_secs_f64()
    }

    pub(super) fn of(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::RequestsPerSecond => Some(self.arrivals()),
            Metric::Concurrency => Some(self.concurrency()),
            Metric::Cpu => None,
        }
    }

    /// For the log and the status.
    pub(super) fn inputs(&self, view: &View<'_>) -> Inputs {
        Inputs {
            current: view.desired,
            ready: view.ready,
            in_flight: view.traffic.in_flight(),
            queued: view.traffic.queued(),
            rate: self.arrivals(),
            concurrency: self.concurrency(),
            service_time: self.totals.service_time(),
            slots: view.concurrency.max(1),
        }
    }
}

impl Measured {
    /// What is measured for a target; of traffic, nothing where not all gateways have `reported`.
    pub(super) fn of(view: &View<'_>, target: Target, rates: &Rates, reported: bool) -> Self {
        match target.metric {
            Metric::Cpu => Self { target, total: cores(view), each: cores_each(view, target.value) },
            metric => {
                let each = match target.value {
                    TargetValue::Average(value) => Some(value),
                    TargetValue::Utilization(_) => None,
                };
                Self { target, total: rates.of(metric).filter(|_| reported), each }
            }
        }
    }

    /// Replicas that hold the target.
    pub(super) fn replicas(&self) -> Option<u32> {
        let wanted = (self.total? / self.each.filter(|each| *each > 0.0)?).ceil();
        // Saturates.
        Some(wanted as u32)
    }

    /// For the log and the status.
    pub(super) fn value(&self, view: &View<'_>) -> MetricValue {
        let average = self.total.map(|total| total / f64::from(view.ready.max(1)));
        let utilization = match (self.target.value, average, self.each) {
            (TargetValue::Utilization(percent), Some(average), Some(each)) => {
                Some((average / each * f64::from(percent)) as u32)
            }
            _ => None,
        };
        MetricValue { metric: self.target.metric, target: self.target.value, average, utilization }
    }
}

/// What all replicas use of CPU: those of which it is not known are taken to use as much as the others do.
fn cores(view: &View<'_>) -> Option<f64> {
    let known = view.cpu.as_ref().filter(|cpu| !cpu.cores.is_empty())?;
    let sum: f64 = known.cores.iter().sum();
    Some(sum * f64::from(view.ready.max(1)) / known.cores.len() as f64)
}

fn cores_each(view: &View<'_>, target: TargetValue) -> Option<f64> {
    match target {
        TargetValue::Average(cores) => Some(cores),
        TargetValue::Utilization(percent) => {
            let requested = view.cpu.as_ref()?.requested_millis;
            (requested > 0).then(|| requested as f64 / 1000.0 * f64::from(percent) / 100.0)
        }
    }
}
