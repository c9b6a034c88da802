//! The conditions of a HorizontalPodAutoscaler, with Kubernetes' reasons and words.

use super::{Limit, Metric, Rule, Why};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `AbleToScale`, `ScalingActive` or `ScalingLimited`.
    pub kind: &'static str,
    /// True or False.
    pub status: bool,
    /// CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Why {
    /// All three, as this decision leaves them.
    pub fn conditions(&self) -> [Condition; 3] {
        [self.able_to_scale(), self.scaling_active(), self.scaling_limited()]
    }

    fn able_to_scale(&self) -> Condition {
        let (reason, message) = if self.stabilized.is_some() {
            if self.proposed >= self.inputs.current {
                let message =
                    "recent recommendations were lower than current one, applying the lowest recent recommendation";
                ("ScaleUpStabilized", message.to_owned())
            } else {
                let message =
                    "recent recommendations were higher than current one, applying the highest recent recommendation";
                ("ScaleDownStabilized", message.to_owned())
            }
        } else if self.desired != self.inputs.current {
            let message = format!("the autoscaler was able to update the target scale to {}", self.desired);
            ("SucceededRescale", message)
        } else {
            ("ReadyForNewScale", "recommended size matches current size".to_owned())
        };
        Condition { kind: "AbleToScale", status: true, reason, message }
    }

    fn scaling_active(&self) -> Condition {
        let unknown = self.metrics.iter().filter(|metric| metric.average.is_none());
        let unknown = unknown.map(|metric| metric.metric).next();
        let (status, reason, message) = match (self.rule, unknown) {
            (Rule::NoData, Some(Metric::Cpu)) => {
                (false, "FailedGetResourceMetric", "no CPU time is known of its replicas".to_owned())
            }
            (Rule::NoData, _) => {
                (false, "FailedGetPodsMetric", "not all gateways have reported what they measured".to_owned())
            }
            (rule, _) => {
                let message = format!("the autoscaler was able to calculate a replica count: {rule}");
                (true, "ValidMetricFound", message)
            }
        };
        Condition { kind: "ScalingActive", status, reason, message }
    }

    fn scaling_limited(&self) -> Condition {
        let (reason, message) = match self.limit {
            Limit::None => ("DesiredWithinRange", "the desired count is within the acceptable range"),
            Limit::Max => ("TooManyReplicas", "the desired replica count is more than the maximum replica count"),
            Limit::Min => ("TooFewReplicas", "the desired replica count is less than the minimum replica count"),
            Limit::ScaleUp => {
                ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
            }
            Limit::ScaleDown => {
                ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
            }
        };
        let status = self.limit != Limit::None;
        Condition { kind: "ScalingLimited", status, reason, message: message.to_owned() }
    }
}
