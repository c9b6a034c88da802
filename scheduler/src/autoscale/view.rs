use api::Timestamp;

use super::{Autoscaler, Memory, Traffic};

/// All that a decision depends on.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// What is scaled, and how.
    pub autoscaler: &'a Autoscaler,
    /// What gateways measured.
    pub traffic: &'a Traffic,
    /// What replicas use of CPU, where [`Autoscaler::follows_cpu`].
    pub cpu: Option<CpuView>,
    /// How many replicas are wanted until now.
    pub desired: u32,
    /// How many take requests.
    pub ready: u32,
    /// How many requests a replica takes at a time.
    pub concurrency: u32,
    /// Since when all gateways have reported without a gap; `None`: one of them is silent, and nothing is known.
    pub covered_since: Option<Timestamp>,
    /// What was decided before.
    pub memory: &'a Memory,
}

impl View<'_> {
    /// Requests that a replica takes at a time, at least one.
    pub(super) fn slots(&self) -> f64 {
        f64::from(self.concurrency.max(1))
    }

    /// Whether it is known what happened in all of the `span` before now.
    pub(super) fn covers(&self, span: std::time::Duration, now: Timestamp) -> bool {
        self.covered_since.is_some_and(|since| since <= now - span)
    }
}

/// What a Deployment's replicas use of CPU.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuView {
    /// Cores, of each replica of which it is known.
    pub cores: Vec<f64>,
    /// What each requests, in thousandths of a core; 0: nothing.
    pub requested_millis: u64,
}
